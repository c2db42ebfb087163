"""Spike counts: how often each hidden neuron fired in the sample, for the losses of firing rates. Golden model:
model/exact/sparse_bptt.py (rate_errors)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delays
from ..arithmetic.spread import spread
from ..layouts import block_count_bits
from ..memory.ram import Ram

__all__ = ["SpikeCounts"]


class SpikeCounts(wiring.Component):
    """A counter for each neuron, P a block. A spike a cycle; the same neuron may come again 3 cycles later.

    Members
    -------
    clear : In(1). The counts of ``blocks`` blocks from ``base`` on become zero, one a cycle, from the next cycle on.
    base, blocks : In. The layer's; from ``clear`` to its last spike.
    spike_en, index : In. A neuron of the layer fired; not from ``clear`` on until ``blocks`` + 1 cycles later.
    r_en, r_addr (of each lane), counts : read port (latency 1); not in a cycle of ``spike_en`` or the one after it.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        block = bits_for(config.neuron_blocks)
        super().__init__({
            "clear": In(1), "base": In(block), "blocks": In(block_count_bits(config)), "spike_en": In(1),
            "index": In(bits_for(config.max_neurons)), "r_en": In(1), "r_addr": In(block).array(config.lanes),
            "counts": Out(bits_for(config.max_steps + 1)).array(config.lanes),
        })

    def elaborate(self, platform):
        m = Module()
        c, low = self._config, bits_for(self._config.lanes)
        clearing, left, place = Signal(), Signal.like(self.blocks), Signal.like(self.base)
        m.d.sync += [place.eq(place + 1), left.eq(left - 1)]
        with m.If(clearing & (left == 1)):
            m.d.sync += clearing.eq(0)
        with m.If(self.clear):
            m.d.sync += [clearing.eq(1), left.eq(self.blocks), place.eq(self.base)]

        # Cycle 1: the neuron's count is asked for. Cycle 2: it is here, and written one larger.
        asks, lanes = delays(m, self.spike_en, 2, "ask"), delays(m, self.index[:low], 2, "lane")
        block = delays(m, (self.base + (self.index >> low))[:len(self.base)], 1, "block")
        counting, here = spread(m, asks[0], c.lanes, "counting"), spread(m, block[0], c.lanes, "here")
        written, empty = spread(m, Mux(clearing, place, block[1]), c.lanes, "written"), spread(m, clearing, c.lanes, "empty")
        for k in range(c.lanes):
            m.submodules[f"count_{k}"] = ram = Ram(self.counts[k].shape(), c.neuron_blocks)
            m.d.comb += [
                ram.r_en.eq(self.r_en | (counting[k] & (lanes[1] == k))),
                ram.r_addr.eq(Mux(counting[k], here[k], self.r_addr[k])),
                ram.w_en.eq(empty[k] | (asks[2] & (lanes[2] == k))), ram.w_addr.eq(written[k]),
                ram.w_data.eq(Mux(empty[k], 0, ram.r_data + 1)), self.counts[k].eq(ram.r_data),
            ]
        return m
