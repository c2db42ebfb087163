"""LaneProducts against Python's products: each lane by itself, extreme factors, held while not enabled."""

import random

import pytest
from amaranth.hdl import signed, unsigned

from coldspike.hw.arithmetic.lane_products import LaneProducts

from ..support import simulate


def limits(shape):
    return (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)


@pytest.mark.parametrize("a, b", [(signed(16), unsigned(9)), (signed(18), signed(18)), (signed(36), unsigned(17)),
                                  (signed(2), signed(1))])
def test_products(a, b):
    lanes, rng = 3, random.Random(str((a, b)))
    dut = LaneProducts(a, b, lanes)

    def factor(shape):
        low, high = limits(shape)
        return rng.choice([low, high, 0, rng.randint(low, high)])

    async def bench(ctx):
        expected = [0] * lanes
        for _ in range(200):
            for k in range(lanes):
                en, x, y = rng.random() < 0.6, factor(a), factor(b)
                ctx.set(dut.en[k], en)
                ctx.set(dut.a[k], x)
                ctx.set(dut.b[k], y)
                expected[k] = x * y if en else expected[k]
            await ctx.tick()
            assert [ctx.get(product) for product in dut.product] == expected

    simulate(dut, bench)
