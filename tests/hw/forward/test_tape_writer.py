"""TapeWriter against a list of blocks: contents, addresses, latency, one block a cycle."""

import random

import pytest

from coldspike.hw.forward.tape_writer import TapeWriter
from coldspike.spec.config import CoreConfig

from ..support import cycle_of, simulate, watch


def spikes_of(word, lanes):
    return [(int(word[lane].time), int(word[lane].fired)) for lane in range(lanes)]


def signals(dut):
    return {"en": dut.en, "address": dut.address, "data": dut.data, "last": dut.block_last}


@pytest.mark.parametrize("lanes, density, idle", [(2, 0.5, 0.3), (4, 0.1, 0.0), (4, 1.0, 0.5), (8, 0.0, 0.0)])
def test_random_layers(lanes, density, idle):
    rng = random.Random(lanes)
    config = CoreConfig.for_network((5, 40, 30), lanes=lanes)
    dut = TapeWriter(config)
    expected, trace = [], []

    async def drive(ctx, **values):
        while rng.random() < idle:
            await ctx.tick()
        for name, value in values.items():
            ctx.set(getattr(dut, name), value)
        await ctx.tick()
        for name in values:
            ctx.set(getattr(dut, name), 0)

    async def bench(ctx):
        for _ in range(12):
            base, blocks = rng.randrange(5), rng.randrange(1, 5)
            start = {"start": 1, "base": base}
            if rng.random() < 0.5:  # spikes of a block that start drops
                await drive(ctx, fired=1, lane=0, time=1)
                await drive(ctx, **start)
                start = {}
            for block in range(blocks):
                word = [(0, 0)] * lanes
                fired = [lane for lane in range(lanes) if rng.random() < density]
                last_with_spike = bool(fired) and rng.random() < 0.7
                for lane in fired:
                    word[lane] = (rng.randrange(config.window + 1), 1)
                    last = last_with_spike and lane == fired[-1]
                    await drive(ctx, fired=1, lane=lane, time=word[lane][0], block_last=last, **start)
                    start = {}
                if not last_with_spike:
                    await drive(ctx, block_last=1, **start)
                    start = {}
                expected.append((base + block, word))
        await ctx.tick().repeat(2)

    simulate(dut, bench, background=[watch(trace, **signals(dut))])
    assert [(t["address"], spikes_of(t["data"], lanes)) for t in trace if t["en"]] == expected


def test_one_block_per_cycle_one_cycle_later():
    config = CoreConfig.for_network((5, 12, 2), lanes=4)
    dut = TapeWriter(config)
    trace = []

    async def bench(ctx):
        ctx.set(dut.base, 1)
        ctx.set(dut.block_last, 1)
        for block in range(3):
            ctx.set(dut.start, block == 0)
            ctx.set(dut.fired, block != 1)
            ctx.set(dut.lane, block)
            ctx.set(dut.time, 10 + block)
            await ctx.tick()
        ctx.set(dut.block_last, 0)
        ctx.set(dut.fired, 0)
        await ctx.tick().repeat(2)

    simulate(dut, bench, background=[watch(trace, **signals(dut))])
    assert cycle_of(trace, lambda t: t["last"]) == 0
    assert [t["en"] for t in trace[:5]] == [0, 1, 1, 1, 0]
    assert [t["address"] for t in trace[1:4]] == [1, 2, 3]
    none = (0, 0)
    assert [spikes_of(t["data"], 4) for t in trace[1:4]] == [
        [(10, 1), none, none, none], [none] * 4, [none, none, (12, 1), none]]
