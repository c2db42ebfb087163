"""RegisterAccess in front of a dictionary: pauses on every channel, errors, timing."""

import random

import pytest

from coldspike.hw.link.register_access import RegisterAccess

from ..support import simulate
from .slave import slave


async def access(ctx, dut, address, value=None):
    """Reads, or writes ``value``; returns what was read, whether the register exists, and the cycles that it took."""
    command = dut.read if value is None else dut.write
    ctx.set(dut.address, address)
    ctx.set(dut.data, 0 if value is None else value)
    ctx.set(command, 1)
    await ctx.tick()
    ctx.set(command, 0)
    for cycles in range(1, 500):
        _, _, done, found, known = await ctx.tick().sample(dut.done, dut.value, dut.known)
        if done:
            return found, known, cycles
    raise AssertionError("never done")


@pytest.mark.parametrize("pause", [0.0, 0.5, 0.9])
def test_random_accesses(pause):
    dut, rng, accesses = RegisterAccess(12), random.Random(1), []
    registers = {4 * n: rng.getrandbits(32) for n in range(8)} | {0xFFC: 5}
    model, expected = dict(registers), []

    async def bench(ctx):
        for _ in range(80):
            address = rng.choice([*registers, 0x20, 0x800])
            value = rng.choice([None, rng.getrandbits(32)])
            found, known, _ = await access(ctx, dut, address, value)
            expected.append(("read", address) if value is None else ("write", address, value))
            assert known == (address in model)
            if value is None:
                assert found == model.get(address, found)
            elif address in model:
                model[address] = value
            for _ in range(rng.choice([0, 0, 1, 5])):
                _, _, done = await ctx.tick().sample(dut.done)
                assert not done

    simulate(dut, bench, background=[slave(dut.bus, registers, accesses, pause=pause, rng=random.Random(2))])
    assert accesses == expected and registers == model


@pytest.mark.parametrize("value", [None, 7])
def test_latency(value):
    """The slave's, one cycle, and two."""
    dut = RegisterAccess(12)

    async def bench(ctx):
        for _ in range(3):
            assert (await access(ctx, dut, 4, value))[2] == 3

    simulate(dut, bench, background=[slave(dut.bus, {4: 1}, [])])
