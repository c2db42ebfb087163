"""A register in a stream. Golden model: a Python list (tests/hw/io/test_stream_register.py)."""

from amaranth.hdl import Module, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamRegister"]


class StreamRegister(wiring.Component):
    """Holds one payload, so that what follows sees valid and payload from registers.

    Latency: one cycle. Throughput: one payload in every cycle. ``i.ready`` depends on ``o.ready``.

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
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
            with m.If(self.i.valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m
