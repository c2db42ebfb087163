"""Counters against Python integers."""

import random

from coldspike.hw.control.counters import COUNT_BITS, Counters, IncrementLayout
from coldspike.spec.config import CoreConfig
from coldspike.spec.registers import counters

from ..support import simulate

CONFIG = CoreConfig.for_network((5, 3, 2), lanes=2)


def test_every_counter_counts_alone_and_together():
    rng = random.Random(0)
    dut = Counters(CONFIG)
    names = [name.lower() for name, _ in counters(CONFIG)]
    expected = dict.fromkeys(names, 0)

    async def bench(ctx):
        def check():
            assert [int(value) for value in ctx.get(dut.values)] == list(expected.values())

        for name in names + [None] * 100:
            limits = {n: 1 << field.width for n, field in IncrementLayout(CONFIG)}
            increments = {n: rng.randrange(limit) if name is None else int(n == name) for n, limit in limits.items()}
            ctx.set(dut.increments, increments)
            await ctx.tick()
            check()  # not yet
            for n, value in increments.items():
                expected[n] += value
        await ctx.tick()
        check()
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        expected.update({n: expected[n] + value for n, value in increments.items()})
        check()
        await ctx.tick()
        expected.update(dict.fromkeys(names, 0))
        check()
        await ctx.tick()
        expected.update(increments)
        check()

    simulate(dut, bench)


def test_lane_counts_are_wide_and_carry_into_the_upper_half():
    dut = Counters(CONFIG)
    assert {n for n, field in IncrementLayout(CONFIG) if field.width == COUNT_BITS} == {
        "weights_read", "weights_transported", "signs_transported", "level_clips", "slope_clips", "error_saturations",
        "gradient_saturations", "weight_saturations"}

    async def bench(ctx):
        n = dut.names.index("weights_transported")
        await ctx.tick()  # of reset
        ctx.set(dut.counted[n], (1 << 32) - 1)
        ctx.set(dut.increments.weights_transported, 128)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.values[n]) == (1 << 32) + 127

    simulate(dut, bench)
