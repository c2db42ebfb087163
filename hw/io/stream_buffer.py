"""Two registers in a stream. Golden model: a Python list (tests/hw/io/test_stream_register.py)."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamBuffer"]


class StreamBuffer(wiring.Component):
    """Holds up to two payloads, so that neither side sees the other's handshake but through registers.

    Latency: one cycle. Throughput: one payload in every cycle.

    Parameters
    ----------
    shape : shape of the payload.

    Members
    -------
    i : In(stream of shape).
    o : Out(stream of shape).
    """

    def __init__(self, shape: ShapeLike):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        # The second payload waits in ``spare`` while the first one cannot leave.
        spare = Signal.like(self.i.payload)
        waiting = Signal()
        m.d.comb += self.i.ready.eq(~waiting)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(waiting | self.i.valid), waiting.eq(0)]
            with m.If(waiting):
                m.d.sync += self.o.payload.eq(spare)
            with m.Elif(self.i.valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & ~waiting):
            m.d.sync += [spare.eq(self.i.payload), waiting.eq(1)]
        return m
