"""AxiLiteSlave in front of a dictionary: both directions at once, every order of channels, responses, timing."""

import random

import pytest

from coldspike.hw.io.axi_lite import AxiLiteSlave, Response

from ..support import cycle_of, simulate, watch
from .axi import read, write

WORDS = 8  # of the dictionary; addresses above answer SLVERR


def registers_behind(dut, memory):
    """Background process: the registers; writes are answered in the cycle of the strobe, reads in the next one only."""
    async def run(ctx):
        while True:
            ctx.set(dut.write_error, ctx.get(dut.write_address) not in memory)
            _, _, reads, address, strobe, at, data, strobes = await ctx.tick().sample(
                dut.read, dut.read_address, dut.write, dut.write_address, dut.write_data, dut.write_strobes)
            ctx.set(dut.read_data, memory.get(address, 0) if reads else 0xDEAD)
            ctx.set(dut.read_error, address not in memory if reads else 0)
            if strobe and at in memory:
                mask = sum(0xFF << 8 * n for n in range(4) if strobes >> n & 1)
                memory[at] = memory[at] & ~mask | data & mask
    return run


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_random_transactions(pause):
    """A writer owns the lower words, a reader checks the upper ones, at the same time; then all is read back."""
    dut = AxiLiteSlave(8)
    rng = random.Random(3)
    memory = {n: n * 0x01010101 for n in range(WORDS)}
    model = dict(memory)
    finished = []

    async def writer(ctx):
        for _ in range(80):
            address = rng.choice([0, 1, 2, 3, 30])
            data, strobes = rng.getrandbits(32), rng.getrandbits(4)
            order = rng.choice(["together", "address", "data"])
            response = await write(ctx, dut.axi, address * 4 + rng.randrange(4), data, strobes, order=order, rng=rng,
                                   pause=pause)
            assert response == (Response.OKAY if address in model else Response.SLVERR)
            if address in model:
                mask = sum(0xFF << 8 * n for n in range(4) if strobes >> n & 1)
                model[address] = model[address] & ~mask | data & mask
        finished.append(writer)

    async def reader(ctx):
        for _ in range(40):
            address = rng.choice([4, 5, 6, 7, 63])
            expected = (memory[address], Response.OKAY) if address in memory else (0, Response.SLVERR)
            assert await read(ctx, dut.axi, 4 * address, rng=rng, pause=pause) == expected

        finished.append(reader)

    async def final(ctx):
        while len(finished) < 2:
            await ctx.tick()
        for address in range(WORDS):
            assert await read(ctx, dut.axi, 4 * address) == (model[address], Response.OKAY)

    simulate(dut, writer, reader, final, background=[registers_behind(dut, memory)])
    assert memory == model


def test_latency_and_throughput_with_both_directions_busy():
    dut, trace = AxiLiteSlave(8), []

    async def bench(ctx):
        for name in ("awvalid", "wvalid", "bready", "arvalid", "rready"):
            ctx.set(getattr(dut.axi, name), 1)
        await ctx.tick().repeat(21)

    names = ("awready", "wready", "bvalid", "arready", "rvalid")
    simulate(dut, bench, background=[watch(trace, write=dut.write, read=dut.read,
                                           **{name: getattr(dut.axi, name) for name in names})])
    for accept, strobe, answer, delay in (("awready", "write", "bvalid", 1), ("arready", "read", "rvalid", 2)):
        assert cycle_of(trace, lambda t, n=accept: t[n]) == 0
        assert cycle_of(trace, lambda t, n=strobe: t[n]) == 1
        assert cycle_of(trace, lambda t, n=answer: t[n]) == 1 + delay
        assert sum(t[strobe] for t in trace) == 10
    assert [t["wready"] for t in trace] == [t["awready"] for t in trace]


def test_responses_wait_and_hold_back_the_next_access():
    dut, trace = AxiLiteSlave(8), []

    async def bench(ctx):
        for name in ("awvalid", "wvalid", "arvalid"):
            ctx.set(getattr(dut.axi, name), 1)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.axi.bvalid) and ctx.get(dut.axi.rvalid)
        assert not ctx.get(dut.axi.awready) and not ctx.get(dut.axi.arready)

    simulate(dut, bench, background=[watch(trace, write=dut.write, read=dut.read)])
    assert (sum(t["write"] for t in trace), sum(t["read"] for t in trace)) == (1, 1)
