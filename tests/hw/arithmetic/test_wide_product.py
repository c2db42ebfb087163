"""wide_product against Python's product: signs, widths around the parts' borders, latency, holding."""

import random

import pytest
from amaranth.hdl import Module, Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.delay import delays
from coldspike.hw.arithmetic.wide_product import wide_product

from ..cycles import play


class Multiplier(wiring.Component):
    """The function with ports."""

    def __init__(self, wide, narrow):
        super().__init__({"wide": In(wide), "narrow": In(narrow), "enable": In(1), "product": Out(Shape(80, True))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.product.eq(wide_product(m, self.wide, self.narrow, delays(m, self.enable, 1, "enable"), "product"))
        return m


@pytest.mark.parametrize("width", [1, 16, 17, 18, 32, 34, 35])
@pytest.mark.parametrize("is_signed", [False, True])
def test_against_integers(width, is_signed):
    rng = random.Random(width)
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if is_signed else (0, (1 << width) - 1)
    pairs = [(a, b) for a in (low, high, 0) for b in (0, 1, 255)]
    pairs += [(rng.randint(low, high), rng.randrange(256)) for _ in range(60)]
    cycles = [{"wide": a, "narrow": b, "enable": n < 9 or rng.random() < 0.6} for n, (a, b) in enumerate(pairs)]
    trace = play(Multiplier(Shape(width, is_signed), 8), cycles, ["product"], rest=2)
    shown = 0
    for inputs, seen in zip(cycles, trace[2:], strict=True):
        shown = inputs["wide"] * inputs["narrow"] if inputs["enable"] else shown
        assert seen["product"] == shown
