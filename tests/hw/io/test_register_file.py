"""RegisterFile against the register map: every register, commands, errors, interrupts."""

import random

import pytest

from coldspike.hw.io.axi_lite import Response
from coldspike.hw.io.register_file import RegisterFile
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.registers import Access, Control, Interrupt, core_digest, counters, register_map

from ..support import simulate, watch
from .axi import read, write

CONFIG = CoreConfig.for_network((5, 4, 3, 2), lanes=2)
PARTIAL = CoreConfig.for_network((5, 4, 3, 2), lanes=2, partial_transport=True)
SIGNS = CoreConfig.for_network((5, 4, 3, 2), lanes=2, feedback_precision="sign", weight_bits=8, weight_fraction=4)
RATE = CoreConfig.for_network((5, 4, 3, 2), lanes=2, rules="rate")
ALL = CoreConfig.for_network((5, 4, 3, 2), lanes=2, rules=tuple(Rule), rate_loss=True)
BUILDS = [pytest.param(config, id=name) for name, config in (
    ("ttfs", CONFIG), ("partial transport", PARTIAL), ("signs", SIGNS), ("rate", RATE), ("all rules", ALL))]


def map_of(config):
    return {register.name: register for register in register_map(config)}


MAP = map_of(CONFIG)


def access(dut, registers):
    """Read and write by name; every answer is OKAY."""
    async def load(ctx, name):
        data, response = await read(ctx, dut.bus, registers[name].address)
        assert response == Response.OKAY
        return data

    async def store(ctx, name, value, strobes=0b1111):
        assert await write(ctx, dut.bus, registers[name].address, value, strobes) == Response.OKAY
        await ctx.tick()
    return load, store


def run(body, config=CONFIG):
    """Simulates ``body(ctx, dut, load, store)``; returns the trace of commands and irq."""
    dut, trace = RegisterFile(config), []
    load, store = access(dut, map_of(config))

    async def testbench(ctx):
        await body(ctx, dut, load, store)

    simulate(dut, testbench,
             background=[watch(trace, start=dut.start, stop=dut.stop, clear=dut.clear_counters, irq=dut.irq)])
    return trace


def settings_of(value, config):
    """Value of a SettingsLayout by register name."""
    names = ["layers", "interval", "interval_start"]
    if Rule.TTFS in config.rules:
        names += ["readout", "level_clip", "slope_clip"]
    if config.rules != (Rule.TTFS,):
        names += ["steps"]
    if Rule.SPARSE_BPTT in config.rules:
        names += ["window", "gradients"]
    if Rule.RATE in config.rules:
        names += ["coding", "ticks"]
    out = {name.upper(): int(getattr(value, name)) for name in names + ["rule"] * (len(config.rules) > 1)}
    fields = ["logit"] * (Rule.SPARSE_BPTT in config.rules) + ["rate_bounds"] * config.rate_loss
    out |= {name.upper(): getattr(value, name).as_bits() for name in fields}
    for l in range(config.max_layers + 1):
        out[f"SIZE_{l}"] = int(value.size[l])
    for l in range(1, config.max_layers + 1):
        out[f"RATE_{l}"] = int(value.rate[l - 1].mantissa) | int(value.rate[l - 1].shift) << 8
        out[f"DECAY_{l}"] = int(value.decay[l - 1])
    for l in range(2, config.max_layers + 1):
        scheme = value.transport[l - 1]
        out[f"TRANSPORT_{l}"] = int(scheme.signs) | int(scheme.every_update) << 2 | int(scheme["values"]) << 3
        out |= {f"SELECT_{l}": int(value.select[l - 1])} if config.partial_transport else {}
        out |= {f"SCALE_{l}": int(value.scale[l - 1])} if config is SIGNS else {}
        if Rule.SPARSE_BPTT in config.rules:
            out[f"ERROR_SHIFT_{l}"] = int(value.error_shift[l - 2])
        if config.rate_loss:
            out[f"RATE_LOSS_{l}"] = value.rate_loss[l - 2].as_bits()
    return out


@pytest.mark.parametrize("config", BUILDS)
def test_reset_values_identity_and_unmapped_addresses(config):
    registers = map_of(config)

    async def body(ctx, dut, load, store):
        assert await load(ctx, "DIGEST") == core_digest(config)
        for name, register in registers.items():
            if name != "DIGEST":
                assert await load(ctx, name) == register.reset, name
        mapped = {register.address for register in registers.values()}
        for address in set(range(0, 0x480, 4)) | {0xFFC}:
            if address not in mapped:
                assert await read(ctx, dut.bus, address) == (0, Response.SLVERR)
        for address in (0x01C, 0x0FC, 0xFFC):
            assert await write(ctx, dut.bus, address, 1) == Response.SLVERR
    run(body, config)


@pytest.mark.parametrize("config", BUILDS)
def test_configuration_is_written_by_bytes_and_reaches_the_settings(config):
    rng, registers = random.Random(1), map_of(config)
    names = [name for name, register in registers.items() if register.access is Access.CONFIG]
    expected = {name: registers[name].reset for name in names}

    async def body(ctx, dut, load, store):
        assert settings_of(ctx.get(dut.settings), config) == expected
        for name in rng.sample(names * 4, 4 * len(names)):
            value, strobes = rng.getrandbits(32), rng.choice([0b1111, rng.getrandbits(4)])
            await store(ctx, name, value, strobes)
            mask = sum(0xFF << 8 * n for n in range(4) if strobes >> n & 1)
            expected[name] = (expected[name] & ~mask | value & mask) & ((1 << registers[name].bits) - 1)
            assert settings_of(ctx.get(dut.settings), config) == expected
        for name in names:
            assert await load(ctx, name) == expected[name]
        assert await load(ctx, "STATUS") == 0
    run(body, config)


def test_state_from_outside():
    rng = random.Random(2)
    values = [rng.getrandbits(64) for _ in counters(CONFIG)]

    async def body(ctx, dut, load, store):
        ctx.set(dut.counters, values)
        ctx.set(dut.sequence, 0x12345678)
        ctx.set(dut.interval_position, 0x9ABCDEF0)
        for n, (name, _) in enumerate(counters(CONFIG)):
            assert await load(ctx, name) | await load(ctx, f"{name}_HI") << 32 == values[n]
        assert await load(ctx, "SEQUENCE") == 0x12345678
        assert await load(ctx, "INTERVAL_POSITION") == 0x9ABCDEF0
        for running, idle in ((0, 1), (1, 0), (1, 1)):
            ctx.set(dut.running, running)
            ctx.set(dut.idle, idle)
            assert await load(ctx, "STATUS") == running | idle << 1
    run(body)


def test_writes_to_read_only_registers_do_nothing():
    async def body(ctx, dut, load, store):
        before = {name: await load(ctx, name) for name in MAP}
        for name, register in MAP.items():
            if register.access is Access.READ_ONLY:
                await store(ctx, name, 0xFFFFFFFF)
        assert {name: await load(ctx, name) for name in MAP} == before
    run(body)


@pytest.mark.parametrize("bit, name", [(Control.START, "start"), (Control.STOP, "stop"),
                                       (Control.CLEAR_COUNTERS, "clear")])
def test_commands_pulse_for_one_cycle(bit, name):
    async def body(ctx, dut, load, store):
        await store(ctx, "CONTROL", 1 << bit)
        await store(ctx, "CONTROL", 1 << bit, strobes=0b1110)
        assert await load(ctx, "CONTROL") == 0

    trace = run(body)
    assert {n: sum(t[n] for t in trace) for n in ("start", "stop", "clear")} == {
        "start": 0, "stop": 0, "clear": 0, name: 1}


def test_busy_while_running():
    async def body(ctx, dut, load, store):
        await store(ctx, "SIZE_1", 77)
        ctx.set(dut.running, 1)
        ctx.set(dut.locked, 1)
        for clear_first in (False, True):
            if clear_first:
                await store(ctx, "CONTROL", 1 << Control.CLEAR_ERROR)
                assert await load(ctx, "STATUS") == 1
                await store(ctx, "CONTROL", 1 << Control.START)
            else:
                await store(ctx, "SIZE_1", 5)
            assert await load(ctx, "STATUS") == 1 | ErrorCode.BUSY << 8
        assert await load(ctx, "SIZE_1") == 77
        await store(ctx, "CONTROL", 1 << Control.CLEAR_ERROR)
        await store(ctx, "INTERRUPT_ENABLE", 3)
        assert await load(ctx, "STATUS") == 1
        assert await load(ctx, "INTERRUPT_ENABLE") == 3

    assert not any(t["start"] for t in run(body))


async def report(ctx, dut, code):
    ctx.set(dut.error_valid, 1)
    ctx.set(dut.error_code, code)
    await ctx.tick()
    ctx.set(dut.error_valid, 0)


@pytest.mark.parametrize("code", [code for code in ErrorCode if code])
def test_first_error_sticks(code):
    async def body(ctx, dut, load, store):
        await report(ctx, dut, code)
        await report(ctx, dut, ErrorCode.NETWORK if code != ErrorCode.NETWORK else ErrorCode.KIND)
        assert await load(ctx, "STATUS") == code << 8
        assert await load(ctx, "INTERRUPT_STATUS") == 1 << Interrupt.ERROR
        await store(ctx, "CONTROL", 1 << Control.CLEAR_ERROR)
        assert await load(ctx, "STATUS") == 0
        await report(ctx, dut, ErrorCode.SHORT)
        assert await load(ctx, "STATUS") == ErrorCode.SHORT << 8
    run(body)


def test_interrupts_are_enabled_raised_and_cleared_one_by_one():
    async def body(ctx, dut, load, store):
        async def check(status, irq):
            await ctx.tick().repeat(2)
            assert (await load(ctx, "INTERRUPT_STATUS"), ctx.get(dut.irq)) == (status, irq)

        batch, error = 1 << Interrupt.BATCH, 1 << Interrupt.ERROR
        ctx.set(dut.batch_done, 1)
        await ctx.tick()
        ctx.set(dut.batch_done, 0)
        await check(batch, 0)
        await store(ctx, "INTERRUPT_ENABLE", error)
        await check(batch, 0)
        await store(ctx, "INTERRUPT_ENABLE", batch)
        await check(batch, 1)
        await report(ctx, dut, ErrorCode.TIME)
        await check(batch | error, 1)
        await store(ctx, "INTERRUPT_STATUS", error)
        await check(batch, 1)
        await store(ctx, "INTERRUPT_STATUS", batch, strobes=0b1110)
        await check(batch, 1)
        await store(ctx, "INTERRUPT_STATUS", batch)
        await check(0, 0)
        await store(ctx, "INTERRUPT_ENABLE", 0xFFFFFFFF)
        assert await load(ctx, "INTERRUPT_ENABLE") == 3
        await report(ctx, dut, ErrorCode.TIME)  # not recorded: the first is still there
        await check(0, 0)
        await store(ctx, "CONTROL", 1 << Control.CLEAR_ERROR)
        await report(ctx, dut, ErrorCode.TIME)
        await check(error, 1)
    run(body)
