"""Active lists: which neurons pass gradient, with their clipped derivatives. Golden model: model/exact/forward.py."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..layouts import SLOT_BITS, SLOTS, ActiveLayout
from ..memory.ram import Ram

__all__ = ["ActiveList"]


class ActiveList(wiring.Component):
    """One list for each sample slot and layer, written in ascending order of neurons, read at any index.

    Members
    -------
    w_start : In(1). Begin the list of ``w_slot``, ``w_layer`` (index l - 1) at block ``w_base``; the three stay stable.
    w_en, w_entry : In. Append an entry (not in the cycle of ``w_start``).
    r_slot, r_layer, r_base : In. The list to read.
    r_count : Out. Its length; combinational.
    r_en, r_index : In. Read request.
    r_entry : Out(ActiveLayout). One cycle later.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        entry, block = ActiveLayout(config), bits_for(config.neuron_blocks)
        layer, slot = bits_for(config.max_layers), SLOT_BITS
        count = bits_for(config.max_neurons + 1)
        super().__init__({
            "w_start": In(1), "w_slot": In(slot), "w_layer": In(layer), "w_base": In(block),
            "w_en": In(1), "w_entry": In(entry),
            "r_slot": In(slot), "r_layer": In(layer), "r_base": In(block), "r_count": Out(count),
            "r_en": In(1), "r_index": In(count), "r_entry": Out(entry),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        neuron = bits_for(c.neuron_blocks) + bits_for(c.lanes)
        m.submodules.entries = entries = Ram(ActiveLayout(c), SLOTS << neuron, block=True)
        counts = Array(Signal.like(self.r_count, name=f"count_{slot}_{layer}")
                       for slot in range(SLOTS) for layer in range(c.max_layers))

        def first(base):
            return base << bits_for(c.lanes)

        write_count = counts[self.w_slot * c.max_layers + self.w_layer]
        with m.If(self.w_start):
            m.d.sync += write_count.eq(0)
        with m.Elif(self.w_en):
            m.d.sync += write_count.eq(write_count + 1)
        write, read = Signal(neuron), Signal(neuron)
        m.d.comb += [
            write.eq(first(self.w_base) + write_count),
            entries.w_en.eq(self.w_en), entries.w_addr.eq(Cat(write, self.w_slot)), entries.w_data.eq(self.w_entry),
            read.eq(first(self.r_base) + self.r_index),
            entries.r_en.eq(self.r_en), entries.r_addr.eq(Cat(read, self.r_slot)), self.r_entry.eq(entries.r_data),
            self.r_count.eq(counts[self.r_slot * c.max_layers + self.r_layer]),
        ]
        return m
