"""Histogram of changes and the bin at which the K largest end. Golden model: model/exact/transport.py, ``largest``."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...spec.config import CoreConfig, bits_for
from ...spec.transport import BINS
from ..arithmetic.delay import delay, delays
from ..memory.ram import Ram

__all__ = ["ChangeHistogram"]


class ChangeHistogram(wiring.Component):
    """Counts for each lane how many changes fall into each bin, then goes through the bins from the highest down.

    Clearing takes BINS cycles, searching ``search_latency(lanes)``; counting takes a word a cycle, the last of which is counted
    2 cycles after it.

    Members
    -------
    clear : In(1). Empty all bins. search : In(1). Find ``limit``. Both only while not ``busy``.
    en, present, bin : In(1), In(P), In(array of P). Count the lanes that are present.
    count : In(32). K. Stable while searching.
    limit, remaining : Out. The lowest bin that is needed, and how many of its weights; bin 0 and K when all weights are fewer.
    busy : Out(1). Clearing or searching.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._counts = bits_for(config.feedback_words + 1)
        index = bits_for(BINS)
        super().__init__({
            "clear": In(1), "search": In(1), "en": In(1), "present": In(config.lanes), "bin": In(index).array(config.lanes),
            "count": In(32), "limit": Out(index), "remaining": Out(32), "busy": Out(1),
        })

    @staticmethod
    def search_latency(lanes: int) -> int:
        """Cycles from ``search`` to the first in which it is not busy."""
        return BINS + exact_log2(lanes) + 5

    def elaborate(self, platform):
        m = Module()
        lanes = self._config.lanes
        index, clearing, searching = Signal(range(BINS)), Signal(), Signal()
        with m.If(clearing | searching):
            m.d.sync += index.eq(index - 1)
            with m.If(index == 0):
                m.d.sync += [clearing.eq(0), searching.eq(0)]
        with m.If(self.clear | self.search):
            m.d.sync += [index.eq(BINS - 1), clearing.eq(self.clear), searching.eq(self.search)]

        counting, present = delay(m, self.en, 1, "counting"), delay(m, self.present, 1, "present")
        counts = []
        for k in range(lanes):
            m.submodules[f"lane_{k}"] = ram = Ram(self._counts, BINS, transparent=True)
            late = delay(m, self.bin[k], 1, f"bin_{k}")
            m.d.comb += [
                ram.r_en.eq(self.en | searching), ram.r_addr.eq(Mux(searching, index, self.bin[k])),
                ram.w_en.eq(clearing | (counting & present[k])), ram.w_addr.eq(Mux(clearing, index, late)),
                ram.w_data.eq(Mux(clearing, 0, ram.r_data + 1)),
            ]
            counts.append(ram.r_data)
        m.d.comb += self.busy.eq(clearing | searching | self._search(m, counts, index, searching))
        return m

    def _search(self, m, counts, index, searching):
        """The lanes' counts of a bin are added up in a tree, then to those of the bins above; K is met in the first bin in which
        the sum reaches it. Returns whether bins are on their way."""
        level = 0
        while len(counts) > 1:
            sums = [Signal(self._counts + level + 1, name=f"sum_{level}_{k}") for k in range(len(counts) // 2)]
            m.d.sync += [sums[k].eq(counts[2 * k] + counts[2 * k + 1]) for k in range(len(sums))]
            counts, level = sums, level + 1
        here, bins = (delays(m, now, level + 3, name) for now, name in ((searching, "here"), (index, "place")))
        above, total, found = Signal(32), Signal(32), Signal()  # of the bins above this one; this one included
        with m.If(here[level + 1]):
            m.d.sync += [above.eq(total), total.eq(total + counts[0])]
        with m.If(here[level + 2] & ~found & (total >= self.count)):
            m.d.sync += [found.eq(1), self.limit.eq(bins[level + 2]), self.remaining.eq(self.count - above)]
        with m.If(self.search):
            m.d.sync += [total.eq(0), found.eq(0), self.limit.eq(0), self.remaining.eq(self.count)]
        return Cat(here[1:]).any()
