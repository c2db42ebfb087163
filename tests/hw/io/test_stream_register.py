"""StreamRegister against a list: order, latency, throughput."""

import random

import pytest

from coldspike.hw.io.stream_register import StreamRegister

from ..support import PAUSES, cycle_of, put, simulate, sink, source, watch


@pytest.mark.parametrize("idle, stall", PAUSES)
def test_order(idle, stall):
    dut, collected = StreamRegister(8), []
    simulate(dut, source(dut.i, range(100), idle=idle, rng=random.Random(1)),
             sink(dut.o, collected, 100, stall=stall, rng=random.Random(2)))
    assert collected == list(range(100))


def test_latency_and_throughput():
    dut, trace, collected = StreamRegister(8), [], []
    simulate(dut, source(dut.i, range(50)), sink(dut.o, collected, 50),
             background=[watch(trace, i=dut.i.valid, o=dut.o.valid)])
    assert cycle_of(trace, lambda t: t["o"]) == cycle_of(trace, lambda t: t["i"]) + 1
    assert len(trace) == 51


def test_fills_without_a_ready_sink():
    dut = StreamRegister(8)

    async def bench(ctx):
        await put(ctx, dut.i, 5)
        assert ctx.get(dut.o.valid)
        assert not ctx.get(dut.i.ready)

    simulate(dut, bench, deadline=10)
