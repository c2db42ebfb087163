"""PacketFifo against a list: visibility, order, rewinding, latency, throughput."""

import random

import pytest

from coldspike.hw.memory.packet_fifo import PacketFifo

from ..support import PAUSES, cycle_of, put, refusal, simulate, sink, source, watch


@pytest.mark.parametrize("idle, stall", PAUSES)
@pytest.mark.parametrize("depth", [2, 4, 16])
def test_random_packets(depth, idle, stall):
    rng = random.Random(depth)
    dut = PacketFifo(16, depth=depth)
    packets = [([rng.randrange(1 << 16) for _ in range(rng.randrange(depth))], rng.random() < 0.3)
               for _ in range(60)]
    expected = [word for words, dropped in packets if not dropped for word in words]
    collected = []

    async def writer(ctx):
        for words, dropped in packets:
            with_last = bool(words) and rng.random() < 0.5
            for word in words[:len(words) - with_last]:
                while rng.random() < idle:
                    await ctx.tick()
                await put(ctx, dut.i, word)
            if with_last:  # commit, or rewind, in the cycle that writes the last word
                while not ctx.get(dut.i.ready):
                    await ctx.tick()
                ctx.set(dut.i.payload, words[-1])
                ctx.set(dut.i.valid, 1)
            ctx.set(dut.commit, not dropped or rng.random() < 0.5)
            ctx.set(dut.rewind, dropped)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.commit, 0)
            ctx.set(dut.rewind, 0)
        await ctx.tick().repeat(5)

    simulate(dut, writer, sink(dut.o, collected, len(expected), stall=stall, rng=random.Random(1)))
    assert collected == expected


def test_invisible_until_commit_and_latency():
    dut = PacketFifo(8, depth=4)
    trace = []

    async def bench(ctx):
        for word in (1, 2, 3):
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(5)
        ctx.set(dut.commit, 1)
        await ctx.tick()
        ctx.set(dut.commit, 0)
        await ctx.tick().repeat(5)

    simulate(dut, bench, background=[watch(trace, commit=dut.commit, valid=dut.o.valid, payload=dut.o.payload)])
    committed = cycle_of(trace, lambda t: t["commit"])
    valid = cycle_of(trace, lambda t: t["valid"])
    assert valid == committed + 2
    assert trace[valid]["payload"] == 1


def test_one_word_per_cycle():
    dut = PacketFifo(8, depth=8)
    trace, collected = [], []

    async def commit_always(ctx):
        ctx.set(dut.commit, 1)

    simulate(dut, source(dut.i, range(100)), sink(dut.o, collected, 100), commit_always,
             background=[watch(trace, valid=dut.o.valid)])
    assert collected == list(range(100))
    assert len(trace) == 102


def test_depth_words_wait_for_commit():
    dut = PacketFifo(8, depth=8)

    async def bench(ctx):
        for word in range(8):
            assert ctx.get(dut.i.ready)
            await put(ctx, dut.i, word)
        assert not ctx.get(dut.i.ready)
        assert not ctx.get(dut.o.valid)

    simulate(dut, bench)


@pytest.mark.parametrize("depth", [0, 1, 3, 12])
def test_depth_is_a_power_of_two(depth):
    expected = f"depth = {depth}: the queue's depth must be a power of two, at least 2"
    assert refusal(lambda: PacketFifo(depth=depth)) == expected
