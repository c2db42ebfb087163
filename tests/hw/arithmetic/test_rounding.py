"""Saturation and rounding shifts, every value of a small width."""

from fractions import Fraction
from math import floor

import pytest
from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.rounding import overflows, round_shift, saturate
from coldspike.hw.layouts import shape_of
from coldspike.spec.formats import Q

from ..cycles import play

FORMATS = (Q(bits=4, fraction=0), Q(bits=3, fraction=1, signed=False), Q(bits=1, fraction=0), Q(bits=7, fraction=3),
           Q(bits=9, fraction=0))
SHIFTS = (0, 1, 2, 5)


class Rounder(wiring.Component):
    """All formats and shifts side by side."""

    def __init__(self, shape):
        super().__init__({"value": In(shape), **{f"shifted_{n}": Out(signed(9)) for n in SHIFTS},
                          **{f"limited_{n}": Out(shape_of(q)) for n, q in enumerate(FORMATS)},
                          **{f"over_{n}": Out(1) for n in range(len(FORMATS))}})

    def elaborate(self, platform):
        m = Module()
        for n, q in enumerate(FORMATS):
            m.d.comb += [getattr(self, f"limited_{n}").eq(saturate(self.value, q)),
                         getattr(self, f"over_{n}").eq(overflows(self.value, q))]
        m.d.comb += [getattr(self, f"shifted_{n}").eq(round_shift(self.value, n)) for n in SHIFTS]
        return m


@pytest.mark.parametrize("shape, values", [(signed(7), range(-64, 64)), (unsigned(6), range(64))])
def test_every_value(shape, values):
    dut = Rounder(shape)
    outputs = [name for name in dut.signature.members if name != "value"]
    trace = play(dut, [{"value": value} for value in values], outputs)
    for value, shown in zip(values, trace, strict=True):
        for n, q in enumerate(FORMATS):
            assert shown[f"limited_{n}"] == q.clamp(value), (value, q)
            assert shown[f"over_{n}"] == (not q.min <= value <= q.max), (value, q)
        for n in SHIFTS:
            assert shown[f"shifted_{n}"] == floor(Fraction(value, 1 << n) + (Fraction(1, 2) if n else 0)), (value, n)
