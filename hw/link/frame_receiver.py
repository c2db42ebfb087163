"""From bytes to the bodies of frames (docs/link.md). Golden model: framing in Python (tests/hw/link/frames.py)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.crc import Algorithm
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from ...spec.link import ESCAPE, ESCAPE_BIT, FLAG

__all__ = ["CRC", "CRC_BYTES", "FrameReceiver"]

CRC: Algorithm = CRC32_ETHERNET
CRC_BYTES = 4


class FrameReceiver(wiring.Component):
    """Undoes the escapes, checks the CRC and keeps it from the body.

    Latency: a byte of the body comes with the fourth after it; ``end`` in the cycle of the frame's FLAG. Throughput: a byte
    in every cycle.

    Members
    -------
    i_data, i_valid : In(8), In(1) bytes from the wire.
    data, valid : Out(8), Out(1) bytes of a body whose CRC is not known yet.
    end : Out(1) the body is over; what follows is another. good : Out(1) with ``end``: its CRC was right.
    """

    def __init__(self):
        super().__init__({"i_data": In(8), "i_valid": In(1), "data": Out(8), "valid": Out(1), "end": Out(1), "good": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.checksum = crc = CRC(8).create()
        byte, escaped = Signal(8), Signal()
        held = Signal(8 * CRC_BYTES)  # these may be the CRC
        count = Signal(range(CRC_BYTES + 1))
        is_flag, is_escape = self.i_data == FLAG, self.i_data == ESCAPE
        taken = self.i_valid & ~is_flag & ~is_escape
        m.d.comb += [
            byte.eq(self.i_data ^ Mux(escaped, ESCAPE_BIT, 0)),
            self.end.eq(self.i_valid & is_flag),
            self.good.eq(crc.match_detected & (count == CRC_BYTES) & ~escaped),
            self.data.eq(held[:8]), self.valid.eq(taken & (count == CRC_BYTES)),
            crc.data.eq(byte), crc.valid.eq(taken), crc.start.eq(self.end),
        ]
        with m.If(self.i_valid):
            m.d.sync += escaped.eq(is_escape)
        with m.If(taken):
            m.d.sync += held.eq((byte << 8 * (CRC_BYTES - 1)) | (held >> 8))
            with m.If(count != CRC_BYTES):
                m.d.sync += count.eq(count + 1)
        with m.If(self.end):
            m.d.sync += [count.eq(0), escaped.eq(0)]
        return m
