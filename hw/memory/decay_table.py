"""Powers of the membrane's decay, looked up by many at once. Golden model: spec/lif.py (LifSettings.decays)."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY
from .ram import Ram

__all__ = ["DecayTable"]


class DecayTable(wiring.Component):
    """B[n], n = 0 to T, as the host wrote them; two readers share a block memory. Latency 1, a look a cycle each.

    Parameters
    ----------
    readers : how many look things up.

    Members
    -------
    w_en, w_addr, w_data : In. Write B[n]; while nobody looks.
    r_en : In(1), one for all. r_addr : In, array. r_data : Out(UQ1.16), array, held while ``r_en`` is low.
    """

    def __init__(self, config: CoreConfig, readers: int):
        self._depth, self._readers = config.max_steps + 1, readers
        address = bits_for(self._depth)
        super().__init__({"w_en": In(1), "w_addr": In(address), "w_data": In(DECAY.bits),
                          "r_en": In(1), "r_addr": In(address).array(readers), "r_data": Out(DECAY.bits).array(readers)})

    def elaborate(self, platform):
        m = Module()
        for first in range(0, self._readers, 2):
            both = first + 1 < self._readers
            m.submodules[f"powers_{first}"] = ram = Ram(DECAY.bits, self._depth, second=both, block=True)
            m.d.comb += [ram.w_en.eq(self.w_en), ram.w_addr.eq(self.w_addr), ram.w_data.eq(self.w_data),
                         ram.r_en.eq(self.r_en), ram.r_addr.eq(self.r_addr[first]), self.r_data[first].eq(ram.r_data)]
            if both:
                m.d.comb += [ram.s_en.eq(self.r_en), ram.s_addr.eq(self.r_addr[first + 1]), self.r_data[first + 1].eq(ram.s_data)]
        return m
