"""StreamRegister and StreamBuffer against a list: order, latency, throughput, capacity."""

import random

import pytest

from coldspike.hw.io.stream_buffer import StreamBuffer
from coldspike.hw.io.stream_register import StreamRegister

from ..support import PAUSES, cycle_of, put, simulate, sink, source, watch

KINDS = {"register": StreamRegister, "cut": lambda shape: StreamRegister(shape, cut=True), "buffer": StreamBuffer}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("idle, stall", PAUSES)
def test_order(kind, idle, stall):
    dut, collected = KINDS[kind](8), []
    simulate(dut, source(dut.i, range(100), idle=idle, rng=random.Random(1)),
             sink(dut.o, collected, 100, stall=stall, rng=random.Random(2)))
    assert collected == list(range(100))


@pytest.mark.parametrize("kind, interval", [("register", 1), ("cut", 2), ("buffer", 1)])
def test_latency_and_throughput(kind, interval):
    dut, trace, collected = KINDS[kind](8), [], []
    simulate(dut, source(dut.i, range(50)), sink(dut.o, collected, 50),
             background=[watch(trace, i=dut.i.valid, o=dut.o.valid)])
    assert cycle_of(trace, lambda t: t["o"]) == cycle_of(trace, lambda t: t["i"]) + 1
    assert len(trace) == 50 * interval + 2 - interval


@pytest.mark.parametrize("kind, capacity", [("register", 1), ("cut", 1), ("buffer", 2)])
def test_fills_without_a_ready_sink(kind, capacity):
    dut = KINDS[kind](8)

    async def bench(ctx):
        for value in range(capacity):
            assert ctx.get(dut.i.ready)
            await put(ctx, dut.i, value)
            assert ctx.get(dut.o.valid) and ctx.get(dut.o.payload) == 0
        assert not ctx.get(dut.i.ready)

    simulate(dut, bench, deadline=10)


@pytest.mark.parametrize("kind", ["cut", "buffer"])
def test_the_sides_are_apart(kind):
    """Whatever the sink does, the source sees it a cycle later."""
    dut = KINDS[kind](8)

    async def bench(ctx):
        while ctx.get(dut.i.ready):
            await put(ctx, dut.i, 1)
        ctx.set(dut.o.ready, 1)
        assert not ctx.get(dut.i.ready)
        await ctx.tick()
        assert ctx.get(dut.i.ready)

    simulate(dut, bench, deadline=10)
