"""From the bodies of frames to bytes (docs/link.md). Golden model: framing in Python (tests/hw/link/frames.py)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.link import ESCAPE, ESCAPE_BIT, FLAG
from .frame_receiver import CRC, CRC_BYTES

__all__ = ["BODY", "FrameSender"]

BODY = data.StructLayout({"data": 8, "last": 1})
"""A byte of a body; ``last`` : its end."""


class FrameSender(wiring.Component):
    """Adds the CRC, the escapes and a FLAG at either end.

    Latency: the first FLAG in the cycle in which a body begins. Throughput: a byte in every cycle.

    Members
    -------
    i : In(stream of BODY).
    o : Out(stream of 8) bytes for the wire.
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(BODY)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.checksum = crc = CRC(8).create()
        m.d.comb += crc.data.eq(self.i.payload.data)
        number = Signal(range(CRC_BYTES))
        byte, escaped, done = Signal(8), Signal(), Signal()
        special = ((byte == FLAG) | (byte == ESCAPE)) & ~escaped

        def send(valid):
            """The byte, in one step or two; ``done`` in the last."""
            m.d.comb += [self.o.valid.eq(valid), done.eq(valid & self.o.ready & ~special),
                         self.o.payload.eq(Mux(special, ESCAPE, byte ^ Mux(escaped, ESCAPE_BIT, 0)))]
            with m.If(valid & self.o.ready):
                m.d.sync += escaped.eq(special)

        with m.FSM():
            with m.State("OPEN"):
                m.d.comb += [self.o.payload.eq(FLAG), self.o.valid.eq(self.i.valid), crc.start.eq(1)]
                with m.If(self.o.valid & self.o.ready):
                    m.next = "BODY"
            with m.State("BODY"):
                m.d.comb += byte.eq(self.i.payload.data)
                send(self.i.valid)
                m.d.comb += [self.i.ready.eq(done), crc.valid.eq(done)]
                with m.If(done & self.i.payload.last):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += byte.eq(crc.crc.word_select(number, 8))
                send(1)
                with m.If(done):
                    m.d.sync += number.eq(number + 1)
                    with m.If(number == CRC_BYTES - 1):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [self.o.payload.eq(FLAG), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    m.next = "OPEN"
        return m
