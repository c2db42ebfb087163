"""RunControl: starting, refusing, stopping when idle."""

from coldspike.hw.control.run_control import RunControl
from coldspike.spec.config import CoreConfig
from coldspike.spec.errors import ErrorCode

from ..networks import settings_of
from ..support import simulate

CONFIG = CoreConfig.for_network((5, 3, 2), lanes=2)
CYCLES = 5 * 2 + 7  # of the network table


async def pulse(ctx, signal):
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)


def test_start_and_stop():
    dut = RunControl(CONFIG)

    async def bench(ctx):
        ctx.set(dut.settings, settings_of(CONFIG, (5, 3, 2)))
        ctx.set(dut.idle, 1)
        assert not ctx.get(dut.running) and not ctx.get(dut.locked)
        await pulse(ctx, dut.stop)  # nothing to stop, and not remembered
        await pulse(ctx, dut.start)
        for n in range(1, CYCLES + 1):
            assert ctx.get(dut.locked) and not ctx.get(dut.running) and not ctx.get(dut.error_valid)
            assert ctx.get(dut.started) == (n == CYCLES)  # the cycle before running rises
            await ctx.tick()
        assert [int(size) for size in ctx.get(dut.network.size)] == [5, 3, 2]
        for _ in range(10):
            assert ctx.get(dut.running) and ctx.get(dut.locked) and not ctx.get(dut.started)
            await ctx.tick()
        ctx.set(dut.idle, 0)
        await pulse(ctx, dut.stop)
        for _ in range(5):
            assert ctx.get(dut.running)
            await ctx.tick()
        ctx.set(dut.idle, 1)
        await ctx.tick()
        for _ in range(5):
            assert not ctx.get(dut.running) and not ctx.get(dut.locked)
            await ctx.tick()
        await pulse(ctx, dut.start)  # the stop is forgotten
        await ctx.tick().repeat(CYCLES + 5)
        assert ctx.get(dut.running)

    simulate(dut, bench)


def test_start_while_running_changes_nothing():
    dut = RunControl(CONFIG)

    async def bench(ctx):
        ctx.set(dut.settings, settings_of(CONFIG, (5, 3, 2)))
        await pulse(ctx, dut.start)
        await ctx.tick().repeat(CYCLES + 1)
        ctx.set(dut.settings, settings_of(CONFIG, (4, 0, 2)))
        await pulse(ctx, dut.start)
        for _ in range(2 * CYCLES):
            assert ctx.get(dut.running) and not ctx.get(dut.started) and not ctx.get(dut.error_valid)
            assert int(ctx.get(dut.network.size[0])) == 5
            await ctx.tick()

    simulate(dut, bench)


def test_network_that_does_not_fit():
    dut = RunControl(CONFIG)

    async def bench(ctx):
        ctx.set(dut.idle, 1)
        ctx.set(dut.settings, settings_of(CONFIG, (5, 4, 2)))
        await pulse(ctx, dut.start)
        errors = []
        for _ in range(2 * CYCLES):
            if ctx.get(dut.error_valid):
                errors.append(ctx.get(dut.error_code))
            assert not ctx.get(dut.started) and not ctx.get(dut.running)
            await ctx.tick()
        assert errors == [ErrorCode.NETWORK]
        assert not ctx.get(dut.locked)
        ctx.set(dut.settings, settings_of(CONFIG, (5, 3, 2)))
        await pulse(ctx, dut.start)
        await ctx.tick().repeat(CYCLES + 1)
        assert ctx.get(dut.running)

    simulate(dut, bench)
