"""From the bodies of frames to requests (docs/link.md). Golden model: docs/link.md in Python (tests/hw/link/frames.py)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.link import GROUP, Request
from ..layouts import ResultLayout

__all__ = ["ARGUMENT_BYTES", "REQUEST", "RequestParser"]

ARGUMENT_BYTES = 6
"""Bytes of the longest request without words."""

REQUEST = data.StructLayout({"sequence": 8, "kind": 8, "arguments": data.ArrayLayout(8, ARGUMENT_BYTES), "known": 1, "fits": 1})
"""``known`` : the kind exists and the length belongs to it. ``fits`` : all its words found room."""

_LENGTHS = {Request.HELLO: 4, Request.READ: 2, Request.WRITE: 6}
_WANT_BYTES = 2


class RequestParser(wiring.Component):
    """Takes bodies apart; words go on at once, before the CRC is known.

    Latency: ``done`` in the cycle of ``end``, a word in the cycle of its last byte. Throughput: a byte in every cycle.

    Members
    -------
    data, valid, end, good : In, as FrameReceiver gives them.
    word, word_valid : Out(ResultLayout), Out(1) words of an EXCHANGE; none can wait. word_taken : In(1) it found room: if not, the
        request does not fit.
    done : Out(1) with ``end``: the frame was good and long enough for a request. request : Out(REQUEST) with ``done``.
    """

    def __init__(self):
        super().__init__({"data": In(8), "valid": In(1), "end": In(1), "good": In(1),
                          "word": Out(ResultLayout()), "word_valid": Out(1), "word_taken": In(1),
                          "done": Out(1), "request": Out(REQUEST)})

    def elaborate(self, platform):
        m = Module()
        request = self.request
        at = Signal(range(2 + ARGUMENT_BYTES + 2))  # bytes so far; stays at its largest value
        length = Signal.like(at)
        lost = Signal()
        m.d.comb += [
            self.done.eq(self.end & self.good & (at >= 2)), length.eq(at - 2),
            request.fits.eq(~lost),
        ]
        with m.If(self.valid & (at != 2 + ARGUMENT_BYTES + 1)):
            m.d.sync += at.eq(at + 1)
        with m.If(self.valid), m.Switch(at):
            for place, byte in enumerate((request.sequence, request.kind, *request.arguments)):
                with m.Case(place):
                    m.d.sync += byte.eq(self.data)

        # Words: a byte of flags, then up to GROUP times four bytes.
        flags, low = Signal(GROUP), Signal(24)
        number, byte = Signal(range(GROUP)), Signal(2)
        open, whole = Signal(), Signal(init=1)  # a group's flags have come; what has come ends with a word
        within = self.valid & (request.kind == Request.EXCHANGE) & (at >= 2 + _WANT_BYTES)
        m.d.comb += [self.word.data.eq(Cat(low, self.data)), self.word.last.eq(flags[0]),
                     self.word_valid.eq(within & open & (byte == 3))]
        with m.If(within):
            m.d.sync += whole.eq(self.word_valid)
            with m.If(open):
                m.d.sync += [low.eq(Cat(low[8:], self.data)), byte.eq(byte + 1)]
            with m.Else():
                m.d.sync += [flags.eq(self.data), open.eq(1)]
        with m.If(self.word_valid):
            m.d.sync += [flags.eq(flags >> 1), number.eq(number + 1), open.eq(number != GROUP - 1)]
            with m.If(~self.word_taken):
                m.d.sync += lost.eq(1)
        with m.Switch(request.kind):
            for kind, bytes in _LENGTHS.items():
                with m.Case(kind):
                    m.d.comb += request.known.eq(length == bytes)
            with m.Case(Request.EXCHANGE):
                m.d.comb += request.known.eq((length >= _WANT_BYTES) & whole)
        with m.If(self.end):
            m.d.sync += [at.eq(0), number.eq(0), byte.eq(0), open.eq(0), whole.eq(1), lost.eq(0)]
        return m
