"""What cocotb tests share: clock and reset, the three ports with cocotbext-axi, and random pauses."""

import itertools
import random
from dataclasses import dataclass

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamMonitor,
    AxiStreamSink,
    AxiStreamSource,
)

__all__ = ["Bench", "start"]


@dataclass
class Bench:
    """The ports of the core under test. ``sent`` records what really crossed the input stream."""

    dut: object
    registers: AxiLiteMaster
    source: AxiStreamSource
    sink: AxiStreamSink
    sent: AxiStreamMonitor

    async def read(self, address: int) -> int:
        """A register."""
        return await self.registers.read_dword(address)

    async def write(self, address: int, value: int) -> None:
        """A register."""
        await self.registers.write_dword(address, value)

    async def send(self, words: list[int]) -> None:
        """One packet."""
        await self.source.send(AxiStreamFrame(tdata=words))

    async def receive(self) -> list[int]:
        """One packet."""
        return list((await self.sink.recv()).tdata)

    async def reset(self) -> None:
        """Pulls the reset in the middle of whatever goes on, and forgets what both sides still had to send."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        for port in (self.source, self.sink, self.sent):
            port.clear()
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    def pause(self, probability: float, seed: int) -> None:
        """Makes every channel of every port pause at random."""
        channels = [self.source, self.sink]
        for interface in (self.registers.write_if, self.registers.read_if):
            channels += [getattr(interface, name) for name in ("aw_channel", "w_channel", "b_channel", "ar_channel",
                                                               "r_channel") if hasattr(interface, name)]
        for n, channel in enumerate(channels):
            draw = random.Random(seed * 100 + n)
            channel.set_pause_generator(draw.random() < probability for _ in itertools.count())


async def start(dut, *, pause: float = 0.0, seed: int = 1) -> Bench:
    """Starts clock and ports, and resets the core."""
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    dut.s_axi_awprot.value = dut.s_axi_arprot.value = 0
    stream_in, stream_out = AxiStreamBus.from_prefix(dut, "s_axis"), AxiStreamBus.from_prefix(dut, "m_axis")
    words = {"clock": dut.clk, "reset": dut.rst, "byte_lanes": 1}  # one 32-bit "byte" a beat
    bench = Bench(dut, AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst),
                  AxiStreamSource(stream_in, **words), AxiStreamSink(stream_out, **words),
                  AxiStreamMonitor(stream_in, **words))
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    if pause:
        bench.pause(pause, seed)
    return bench
