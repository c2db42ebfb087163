"""Lint: what is waived is waived, what matters is still reported."""

import pytest

from coldspike.hw import verilog
from coldspike.hw.verilog import TOP
from coldspike.sim.lint import lint

from .echo import Echo


def test_generated_verilog_is_clean(tmp_path):
    (tmp_path / "core.v").write_text(verilog.convert(Echo()))
    assert lint(tmp_path / "core.v") == ""


@pytest.mark.parametrize(("body", "rule"), [
    ("always @* if (a) q = b;", "LATCH"),
    ("wire c; assign c = ~c; always @* q = c & a & b;", "UNOPTFLAT"),
    ("wire c; always @* q = a & b & c;", "UNDRIVEN"),
    ("always @(posedge a) q <= b; always @(posedge b) q <= a;", "MULTIDRIVEN"),
])
def test_what_matters_is_reported(tmp_path, body, rule):
    (tmp_path / "bad.v").write_text(f"module {TOP}(input a, input b, output reg q);\n{body}\nendmodule\n")
    assert f"%Warning-{rule}:" in lint(tmp_path / "bad.v")
