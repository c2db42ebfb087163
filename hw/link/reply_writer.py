"""From replies to the bodies of frames (docs/link.md). Golden model: docs/link.md in Python (tests/hw/link/frames.py)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.link import GROUP
from ..layouts import ResultLayout
from .frame_sender import BODY

__all__ = ["HEAD_BYTES", "ReplyWriter"]

HEAD_BYTES = 12
"""Bytes of the longest reply without words."""


class ReplyWriter(wiring.Component):
    """Sends a reply's head, then words in groups with their flags after them.

    Latency: the first byte a cycle after ``start``. Throughput: a byte in every cycle, the words' own pauses apart.

    Parameters
    ----------
    most : words of a reply at most.

    Members
    -------
    start : In(1) sends a reply; only while not ``busy``. head : In(HEAD_BYTES bytes). length : In(1 to HEAD_BYTES) of the head that
        are sent. count : In(0 to most) words.
    busy : Out(1).
    words : In(stream of ResultLayout).
    o : Out(stream of BODY).
    """

    def __init__(self, most: int):
        super().__init__({
            "start": In(1), "head": In(data.ArrayLayout(8, HEAD_BYTES)), "length": In(range(HEAD_BYTES + 1)),
            "count": In(range(most + 1)), "busy": Out(1),
            "words": In(stream.Signature(ResultLayout())), "o": Out(stream.Signature(BODY)),
        })

    def elaborate(self, platform):
        m = Module()
        head, length, count = Signal(8 * HEAD_BYTES), Signal.like(self.length), Signal.like(self.count)
        flags, number, byte = Signal(GROUP), Signal(range(GROUP)), Signal(2)
        sent = self.o.valid & self.o.ready
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.sync += [head.eq(self.head), length.eq(self.length), count.eq(self.count)]
                    m.next = "HEAD"
            with m.State("HEAD"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(head[:8]),
                             self.o.payload.last.eq((length == 1) & (count == 0))]
                with m.If(sent):
                    m.d.sync += [head.eq(head >> 8), length.eq(length - 1)]
                    with m.If(length == 1):
                        with m.If(count == 0):
                            m.next = "IDLE"
                        with m.Else():
                            m.d.sync += [flags.eq(0), number.eq(0)]
                            m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += [self.o.valid.eq(self.words.valid), self.words.ready.eq(self.o.ready & (byte == 3)),
                             self.o.payload.data.eq(self.words.payload.data.word_select(byte, 8))]
                with m.If(sent):
                    m.d.sync += byte.eq(byte + 1)
                with m.If(self.words.valid & self.words.ready):
                    m.d.sync += [flags.bit_select(number, 1).eq(self.words.payload.last), number.eq(number + 1),
                                 count.eq(count - 1)]
                    with m.If((number == GROUP - 1) | (count == 1)):
                        m.next = "FLAGS"
            with m.State("FLAGS"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(flags), self.o.payload.last.eq(count == 0)]
                with m.If(sent):
                    m.d.sync += [flags.eq(0), number.eq(0)]
                    with m.If(count == 0):
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "WORDS"
        return m
