"""A small build stays within the area that was recorded for it."""

from coldspike.fpga.synthesis import synthesize
from coldspike.fpga.targets import TARGETS
from coldspike.hw.verilog import generate
from coldspike.spec.config import CoreConfig, Optimizer

from .support import needs_yosys

CONFIG = CoreConfig.for_network((64, 16, 10), lanes=2, optimizer=Optimizer.SIGN_MOMENTUM)
BUDGET = {"LUT": 13_040, "LUT RAM": 925, "FF": 11_900, "block RAM": 15, "DSP": 23}
"""What yosys 0.70 needs, rounded up by 2 %; whoever raises it says why in the commit."""

IN_BLOCK_RAM = ("core.weights", "core.feedback", "core.gradients", "core.tapes", "core.lists")
"""Memories that are block RAM in every build."""


@needs_yosys
def test_a_small_build_keeps_its_budget(tmp_path):
    netlist = synthesize(generate(CONFIG), TARGETS["ecp5-85k"], tmp_path)
    over = {name: area for name, area in netlist.total.items() if area > BUDGET[name]}
    assert not over, f"{over}, the budget is {BUDGET}"
    assert all(netlist.components[name]["LUT RAM"] == 0 < netlist.components[name]["block RAM"] for name in IN_BLOCK_RAM)
    # Each lane: product of the event, two of the backward pass, weight times decay, two for the momentum's decay.
    per_lane = sum(netlist.components[name]["DSP"] for name in ("core.forward", "core.backward", "core.update")) / CONFIG.lanes
    assert per_lane >= 6
