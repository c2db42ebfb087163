"""cocotb tests of the echo core (tests/sim/echo.py): they show that the cocotb set-up itself works."""

import random

import cocotb

from tests.sim.echo import CYCLES, HOLD, IRQ, PLAIN, VIOLATIONS

from .bench import start


async def echo_everything(bench, rng):
    """Random packets come back whole and in order, registers read what was written, and nothing is left over."""
    packets = [[rng.getrandbits(32) for _ in range(rng.randint(1, 12))] for _ in range(30)]
    for packet in packets:
        await bench.send(packet)
    for n in range(8):
        await bench.write(PLAIN, n << 28 | 5)
        assert await bench.read(PLAIN) == n << 28 | 5
    assert [await bench.receive() for _ in packets] == packets
    assert bench.sink.empty() and bench.source.empty()
    assert await bench.read(VIOLATIONS) == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def without_pauses(dut):
    await echo_everything(await start(dut), random.Random(1))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def with_pauses_on_every_channel(dut):
    await echo_everything(await start(dut, pause=0.5), random.Random(2))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_clears_registers(dut):
    bench = await start(dut)
    await bench.write(IRQ, 1)
    await bench.write(HOLD, 0)
    assert dut.irq.value == 1
    before = await bench.read(CYCLES)
    bench = await start(dut)
    assert dut.irq.value == 0 and await bench.read(CYCLES) < before


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def fails(dut):
    """Run only by a test that wants to see a failure."""
    assert not cocotb.plusargs.get("always") and dut.irq.value == 1
