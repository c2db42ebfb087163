"""Spikes packed into tape words. Golden model: lists of spikes (tests/hw/forward/test_tape_writer.py)."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..layouts import spike_layout

__all__ = ["TapeWriter"]


class TapeWriter(wiring.Component):
    """Assembles the spikes of one layer into tape words and requests one write for each block.

    Latency: the write request stands one cycle after ``block_last``; the memory holds the word one cycle later.
    Throughput: one spike and one block in every cycle, no stalls. The word under assembly is also the register
    that drives ``data``, so the lanes of a word cost one register each.

    Parameters
    ----------
    config : build configuration.
    address_bits : bits of a tape address; by default those of the hidden layers' tape (``neuron_blocks``).

    Members
    -------
    start : In(1) pulse: the next block goes to ``base``. May coincide with the first spike or block of the layer and
        drops spikes of an unfinished block.
    base : In(address_bits) address of the layer's first block, used with ``start``.
    fired : In(1) a spike of the current block is present.
    lane, time : In(lane bits), In(time bits, ticks before the window's end) the spike.
    block_last : In(1) pulse: the current block is complete, a spike of this cycle included.
    en : Out(1) write request.
    address : Out(address_bits) where to, ``base`` + blocks since ``start``.
    data : Out(spike_layout) lanes without a spike are zero.
    """

    def __init__(self, config: CoreConfig, *, address_bits: int | None = None):
        address_bits = bits_for(config.neuron_blocks) if address_bits is None else address_bits
        super().__init__({
            "start": In(1),
            "base": In(address_bits),
            "fired": In(1),
            "lane": In(bits_for(config.lanes)),
            "time": In(config.time.bits),
            "block_last": In(1),
            "en": Out(1),
            "address": Out(address_bits),
            "data": Out(spike_layout(config)),
        })

    def elaborate(self, platform):
        m = Module()

        m.d.sync += self.en.eq(self.block_last)
        with m.If(self.start):
            m.d.sync += self.address.eq(self.base)
        with m.Elif(self.en):
            m.d.sync += self.address.eq(self.address + 1)

        with m.If(self.start | self.en):
            m.d.sync += self.data.eq(0)
        with m.If(self.fired):
            m.d.sync += [self.data[self.lane].time.eq(self.time), self.data[self.lane].fired.eq(1)]
        return m
