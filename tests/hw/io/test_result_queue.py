"""ResultQueue against a list: order, depth, latency, throughput."""

import random

import pytest

from coldspike.hw.io.result_queue import ResultQueue
from coldspike.spec.config import CoreConfig

from ..support import PAUSES, cycle_of, put, simulate, sink, source, watch


def build(depth):
    return ResultQueue(CoreConfig.for_network((5, 3, 2), lanes=2, result_words=depth))


@pytest.mark.parametrize("idle, stall", PAUSES)
@pytest.mark.parametrize("depth", [4, 5, 64])
def test_order(depth, idle, stall):
    rng = random.Random(depth)
    words = [{"data": rng.getrandbits(32), "last": rng.getrandbits(1)} for _ in range(150)]
    dut, collected = build(depth), []
    simulate(dut, source(dut.i, words, idle=idle, rng=random.Random(1)),
             sink(dut.o, collected, len(words), stall=stall, rng=random.Random(2)))
    assert [{"data": word.data, "last": word.last} for word in collected] == words


def test_latency_and_throughput():
    dut, trace, collected = build(8), [], []
    words = [{"data": n, "last": 0} for n in range(50)]
    simulate(dut, source(dut.i, words), sink(dut.o, collected, 50),
             background=[watch(trace, i=dut.i.valid, o=dut.o.valid)])
    assert cycle_of(trace, lambda t: t["o"]) == cycle_of(trace, lambda t: t["i"]) + 2
    assert len(trace) == 52


def test_depth():
    dut = build(6)

    async def bench(ctx):
        for n in range(6):
            assert ctx.get(dut.i.ready)
            await put(ctx, dut.i, {"data": n, "last": 0})
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.i.ready)

    simulate(dut, bench)
