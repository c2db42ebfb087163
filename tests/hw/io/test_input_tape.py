"""InputTape against lists of blocks: contents, one write for each block, n + b cycles."""

import random

import pytest

from coldspike.hw.io.input_tape import InputTape
from coldspike.spec.config import CoreConfig

from ..support import cycle_of, simulate, watch


@pytest.mark.parametrize("inputs, lanes", [(1, 2), (2, 2), (7, 2), (8, 4), (9, 4), (17, 16)])
def test_blocks_and_cycles(inputs, lanes):
    rng = random.Random(inputs)
    config = CoreConfig.for_network((inputs, 3), lanes=lanes)
    blocks = -(-inputs // lanes)
    dut = InputTape(config)
    expected, trace = [], []

    async def bench(ctx):
        ctx.set(dut.blocks, blocks)
        for round_ in range(12):
            slot, density = round_ % 4, rng.choice([0, 0.3, 1])
            events = [(i, rng.randrange(config.window + 1)) for i in range(inputs) if rng.random() < density]
            ctx.set(dut.slot, slot)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            cycles = 0
            for index, time in events:
                ctx.set(dut.i.payload, {"index": index, "time": time})
                ctx.set(dut.i.valid, 1)
                ready = 0
                while not ready:
                    _, _, ready = await ctx.tick().sample(dut.i.ready)
                    cycles += 1
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.finish, 1)
            last = 0
            while not last:
                _, _, last = await ctx.tick().sample(dut.last)
                cycles += 1
            ctx.set(dut.finish, 0)
            assert cycles == len(events) + blocks
            words = [[(0, 0)] * lanes for _ in range(blocks)]
            for index, time in events:
                words[index // lanes][index % lanes] = (time, 1)
            expected.extend((slot << dut.block_bits | block, word) for block, word in enumerate(words))
        await ctx.tick().repeat(2)

    simulate(dut, bench, background=[watch(trace, en=dut.en, address=dut.address, data=dut.data, finish=dut.finish)])
    written = [(t["address"], [(int(lane.time), int(lane.fired)) for lane in t["data"]]) for t in trace if t["en"]]
    assert written == expected
    if blocks == 1:
        assert cycle_of(trace, lambda t: t["en"]) == cycle_of(trace, lambda t: t["finish"]) + 2
