"""Bytes from a serial wire: 8 data bits, no parity. Golden model: the wire's bits in Python (tests/hw/link/test_uart.py)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from .uart import PARTS, bit_time

__all__ = ["UartReceiver"]


class UartReceiver(wiring.Component):
    """Samples each bit in its middle, counted from the start bit's edge.

    A start bit that is gone by its middle is a glitch; a byte without stop bit is dropped, and the wire must be idle again
    before the next. Latency: half a bit and 3 cycles after the stop bit's beginning. Throughput: bytes back to back.

    Parameters
    ----------
    clock : Hz. baud : bits per second, at most a quarter of the clock.

    Members
    -------
    rx : In(1) the wire, asynchronous, high when idle.
    data, valid : Out(8), Out(1) a byte, for one cycle; there is no time to wait.

    Raises
    ------
    ValueError : the clock is too slow for the baud.
    """

    def __init__(self, clock: int, baud: int):
        self.bit_time = bit_time(clock, baud)
        super().__init__({"rx": In(1, init=1), "data": Out(8), "valid": Out(1)})

    def elaborate(self, platform):
        m = Module()
        rx, before = Signal(init=1), Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)
        m.d.sync += before.eq(rx)

        left = Signal(range(2 * self.bit_time), init=0)  # until the next sample
        bits = Signal(8)
        count = Signal(range(10))
        due = left < PARTS
        m.d.sync += [self.valid.eq(0), left.eq(left - PARTS)]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(before & ~rx):
                    # The edge is seen a cycle after it came.
                    m.d.sync += [left.eq(self.bit_time // 2 - PARTS), count.eq(0)]
                    m.next = "BITS"
            with m.State("BITS"):
                with m.If(due):
                    m.d.sync += [left.eq(left + self.bit_time - PARTS), count.eq(count + 1), bits.eq(Cat(bits[1:], rx))]
                    with m.If((count == 0) & rx):
                        m.next = "IDLE"
                    with m.If(count == 9):
                        m.d.sync += [bits.eq(bits), self.data.eq(bits), self.valid.eq(rx)]
                        m.next = "IDLE"
        return m
