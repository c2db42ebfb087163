"""Block memory of P lanes: one word holds one element for each lane."""

from amaranth.hdl import Module, ShapeLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for
from .ram import Ram

__all__ = ["LaneRam"]


class LaneRam(wiring.Component):
    """P memories at one address. Latency, throughput and transparency as Ram.

    The lanes are separate memories and separate signals: synthesis merges what it can, while a simulator that
    keeps 1,000-bit words in arrays spends most of its time cutting lanes out of them.

    Members
    -------
    r_en, r_addr : In. Read request. ``r_data`` : Out, array of P. Valid in the cycle after it, held while ``r_en`` is low.
    w_en, w_addr, w_data : In, array of P. Write request.
    s_en, s_addr, s_data : second read port, never transparent; only if ``second`` is asked for.
    """

    def __init__(self, shape: ShapeLike, lanes: int, depth: int, *, transparent: bool = False,
                 second: bool = False):
        self._shape, self._lanes, self._depth, self._second = shape, lanes, depth, second
        self._transparent = transparent
        address = bits_for(depth)
        super().__init__({
            "r_en": In(1), "r_addr": In(address), "r_data": Out(shape).array(lanes),
            "w_en": In(1), "w_addr": In(address), "w_data": In(shape).array(lanes),
            **({"s_en": In(1), "s_addr": In(address), "s_data": Out(shape).array(lanes)} if second else {}),
        })

    def elaborate(self, platform):
        m = Module()
        for lane in range(self._lanes):
            m.submodules[f"lane_{lane}"] = ram = Ram(
                self._shape, self._depth, transparent=self._transparent, second=self._second)
            m.d.comb += [
                ram.r_en.eq(self.r_en), ram.r_addr.eq(self.r_addr), self.r_data[lane].eq(ram.r_data),
                ram.w_en.eq(self.w_en), ram.w_addr.eq(self.w_addr), ram.w_data.eq(self.w_data[lane]),
            ]
            if self._second:
                m.d.comb += [ram.s_en.eq(self.s_en), ram.s_addr.eq(self.s_addr), self.s_data[lane].eq(ram.s_data)]
        return m
