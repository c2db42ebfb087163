"""Bytes onto a serial wire: 8 data bits, no parity. Golden model: the wire's bits in Python (tests/hw/link/test_uart.py)."""

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .uart import PARTS, bit_time

__all__ = ["UartTransmitter"]


class UartTransmitter(wiring.Component):
    """Shifts out start bit, data and stop bit.

    Latency: the start bit begins a cycle after the byte is taken. Throughput: a byte in every ten bits.

    Parameters
    ----------
    clock : Hz. baud : bits per second, at most a quarter of the clock.

    Members
    -------
    i : In(stream of 8).
    tx : Out(1) the wire, high when idle.

    Raises
    ------
    ValueError : the clock is too slow for the baud.
    """

    def __init__(self, clock: int, baud: int):
        self.bit_time = bit_time(clock, baud)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        frame = Signal(10, init=1)  # bits from now on, the present one first
        count = Signal(range(11))   # how many of them are left
        left = Signal(range(2 * self.bit_time))
        due = left < PARTS
        m.d.comb += [self.i.ready.eq(count == 0), self.tx.eq(frame[0])]
        m.d.sync += left.eq(left - PARTS)
        with m.If(count == 0):
            with m.If(self.i.valid):
                # Parts of a cycle are not carried from byte to byte: the receiver finds its place at each start bit anew.
                m.d.sync += [frame.eq(Cat(C(0, 1), self.i.payload, C(1, 1))), count.eq(10), left.eq(self.bit_time - PARTS)]
        with m.Elif(due):
            m.d.sync += [frame.eq(Cat(frame[1:], C(1, 1))), count.eq(count - 1), left.eq(left + self.bit_time - PARTS)]
        return m
