"""A register in a stream. Golden model: a Python list (tests/hw/io/test_stream_register.py)."""

from amaranth.hdl import Module, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamRegister"]


class StreamRegister(wiring.Component):
    """Holds one payload, so that what follows sees valid and payload from registers.

    Latency: one cycle. Throughput: one payload in every cycle, and ``i.ready`` depends on ``o.ready``; with ``cut`` one in
    two cycles, and no signal depends on the other side.

    Parameters
    ----------
    shape : shape of the payload.
    cut : whether to keep the sides apart.

    Members
    -------
    i : In(stream of shape).
    o : Out(stream of shape).
    """

    def __init__(self, shape: ShapeLike, *, cut: bool = False):
        self._cut = cut
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid if self._cut else ~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(self.i.payload)]
        return m
