"""Highest and lowest set bit, number of bits: every value of small widths, single bits and random values of large ones."""

import random

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.priority import at_least, bit_length, lowest_bit

from ..cycles import play


class Functions(wiring.Component):
    """The functions with ports."""

    def __init__(self, width):
        super().__init__({"value": In(width), "length": Out(8), "lowest": Out(8), "reached": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.length.eq(bit_length(self.value)), self.lowest.eq(lowest_bit(self.value)),
                     self.reached.eq(Cat(at_least(self.value, count) for count in (1, 2, 3, 4)))]
        return m


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 16, 27, 33])
def test_against_integers(width):
    rng = random.Random(width)
    values = range(1 << width) if width <= 8 else [0, *(1 << n for n in range(width)), (1 << width) - 1,
                                                   *(rng.getrandbits(width) >> rng.randrange(width) for _ in range(100))]
    trace = play(Functions(width), [{"value": value} for value in values], ["length", "lowest", "reached"])
    for value, seen in zip(values, trace, strict=True):
        assert seen["length"] == value.bit_length(), value
        assert seen["lowest"] == ((value & -value).bit_length() - 1 if value else width - 1), value
        assert seen["reached"] == sum(1 << n for n in range(4) if value.bit_count() > n), value
