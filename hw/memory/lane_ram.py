"""Memory of P lanes: one word holds one element for each lane."""

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for
from ..arithmetic.delay import delay, delays
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
        read data of a transparent memory hold for a cycle only. If they come two or more ahead, a transparent memory writes a word
        from a register, a cycle later: what makes the word need not be near to the memory.
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
        behind = int(forward and self._ahead > 1)  # cycles that a word waits to be written
        reading, r_address, writing, w_address = (
            spread(m, signal, self._lanes, name, self._ahead + later) if self._ahead else [signal] * self._lanes
            for name, signal, later in (("reading", self.r_en, 0), ("r_address", self.r_addr, 0),
                                        ("writing", self.w_en, behind), ("w_address", self.w_addr, behind)))
        if forward:
            # Whether a read meets a write, or the one before, is known before both, so the new words wait in registers of their
            # own: neither a comparison nor a multiplexer lies between them and the read register.
            hits = [spread(m, self._meets(m, late), self._lanes, f"hit_{late}", self._ahead) for late in range(1 + behind)]
        for first in range(0, self._lanes, together):
            lanes = range(first, min(first + together, self._lanes))
            m.submodules[f"lane_{first}"] = ram = Ram(bits * len(lanes), self._depth, second=self._second, block=self._block,
                                                      transparent=self._transparent and not forward, forwarded=forward)
            data, words = ram.r_data, [self._word(self.w_data, lanes)]
            if forward:
                words = delays(m, words[0], 1 + behind, f"written_{first}")
                for hit, word in reversed(list(zip(hits, words[1:], strict=True))):
                    data = Mux(hit[first], word, data)
            m.d.comb += [
                ram.r_en.eq(reading[first]), ram.r_addr.eq(r_address[first]), self._word(self.r_data, lanes).eq(data),
                ram.w_en.eq(writing[first]), ram.w_addr.eq(w_address[first]), ram.w_data.eq(words[behind]),
            ]
            if self._second:
                m.d.comb += [ram.s_en.eq(self.s_en[first] if self._ahead else self.s_en),
                             ram.s_addr.eq(self.s_addr[first] if self._ahead else self.s_addr),
                             self._word(self.s_data, lanes).eq(ram.s_data)]
        return m

    def _meets(self, m: Module, late: int) -> Value:
        """Whether the request before read what one ``late`` cycles older wrote."""
        w_en, w_addr = delay(m, self.w_en, late, f"w_en_{late}"), delay(m, self.w_addr, late, f"w_addr_{late}")
        return delay(m, self.r_en & w_en & (self.r_addr == w_addr), 1, f"meets_{late}")

    @staticmethod
    def _word(elements, lanes: range) -> Value:
        """The lanes' elements side by side."""
        return Cat(Value.cast(elements[lane]) for lane in lanes)
