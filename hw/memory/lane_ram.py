"""Memory of P lanes: one word holds one element for each lane."""

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for
from ..arithmetic.delay import delay
from ..arithmetic.spread import spread
from .ram import Ram

__all__ = ["LaneRam"]

BLOCK_BITS = 36
"""Width of the block RAMs that FPGAs have."""


class LaneRam(wiring.Component):
    """P memories at one address. Latency, throughput and parameters as Ram.

    The lanes are separate signals and separate memories (in block RAM as many of them share one as fit its 36 bits):
    a simulator that keeps 1,000-bit words in arrays spends most of its time cutting lanes out of them.

    Members
    -------
    r_en, r_addr : In. Read request. ``r_data`` : Out, array of P. Valid in the cycle after it, held while ``r_en`` is low.
    w_en, w_addr, w_data : In, array of P. Write request. If requests come cycles ``ahead``, all but ``w_data`` is given so much
        earlier: it passes registers, at last one for a few lanes each, because one for all of them is too far from most; and the
        read data of a transparent memory hold for a cycle only.
    s_en, s_addr, s_data : second read port, never transparent; only if ``second`` is asked for. Not ahead: where the rest is,
        ``s_en`` and ``s_addr`` are arrays of P, so that the user may give neighbours registers of their own
        (hw/arithmetic/spread.py).
    """

    def __init__(self, shape: ShapeLike, lanes: int, depth: int, *, transparent: bool = False,
                 second: bool = False, block: bool = False, ahead: int = 0):
        self._shape, self._lanes, self._depth, self._second = shape, lanes, depth, second
        self._transparent, self._block, self._ahead = transparent, block, ahead
        address = bits_for(depth)
        super().__init__({
            "r_en": In(1), "r_addr": In(address), "r_data": Out(shape).array(lanes),
            "w_en": In(1), "w_addr": In(address), "w_data": In(shape).array(lanes),
            **({"s_en": In(1).array(lanes) if ahead else In(1), "s_addr": In(address).array(lanes) if ahead else In(address),
                "s_data": Out(shape).array(lanes)} if second else {}),
        })

    def elaborate(self, platform):
        m = Module()
        bits = Shape.cast(self._shape).width
        together = max(1, BLOCK_BITS // bits) if self._block else 1
        forward = self._transparent and self._ahead
        reading, r_address, writing, w_address = (
            spread(m, signal, self._lanes, name, self._ahead) if self._ahead else [signal] * self._lanes for name, signal in (
                ("reading", self.r_en), ("r_address", self.r_addr), ("writing", self.w_en), ("w_address", self.w_addr)))
        if forward:
            # Whether a read meets a write is known before both, so the new word waits in a register of its own: neither a
            # comparison nor a multiplexer lies between it and the read register.
            meets = delay(m, self.r_en & self.w_en & (self.r_addr == self.w_addr), 1, "meets")
            hit = spread(m, meets, self._lanes, "hit", self._ahead)
        for first in range(0, self._lanes, together):
            lanes = range(first, min(first + together, self._lanes))
            m.submodules[f"lane_{first}"] = ram = Ram(bits * len(lanes), self._depth, second=self._second, block=self._block,
                                                      transparent=self._transparent and not forward, forwarded=forward)
            data = ram.r_data
            if forward:
                written = Signal.like(ram.w_data, name=f"written_{first}")
                m.d.sync += written.eq(ram.w_data)
                data = Mux(hit[first], written, ram.r_data)
            m.d.comb += [
                ram.r_en.eq(reading[first]), ram.r_addr.eq(r_address[first]), self._word(self.r_data, lanes).eq(data),
                ram.w_en.eq(writing[first]), ram.w_addr.eq(w_address[first]), ram.w_data.eq(self._word(self.w_data, lanes)),
            ]
            if self._second:
                m.d.comb += [ram.s_en.eq(self.s_en[first] if self._ahead else self.s_en),
                             ram.s_addr.eq(self.s_addr[first] if self._ahead else self.s_addr),
                             self._word(self.s_data, lanes).eq(ram.s_data)]
        return m

    @staticmethod
    def _word(elements, lanes: range) -> Value:
        """The lanes' elements side by side."""
        return Cat(Value.cast(elements[lane]) for lane in lanes)
