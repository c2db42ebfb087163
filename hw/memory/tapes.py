"""Sample tapes: who fired when, of the input layer and of the other layers, for each sample in flight."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..layouts import SLOTS, spike_layout
from .ram import Ram

__all__ = ["SampleTapes"]


class SampleTapes(wiring.Component):
    """Two memories, written by the packet decoder and by the forward engine, read through one port (latency 1).

    Members
    -------
    input_en, input_address, input_data : In. Write a word of the input layer; address {slot, block}.
    spike_en, spike_address, spike_data : In. Write a word of another layer; address {slot, block}.
    r_en, r_input, r_slot, r_block : In. Read the input layer's block, or (not ``r_input``) another layer's.
    r_data : Out(spike_layout). One cycle later.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._input_bits = bits_for(-(-config.max_neurons // config.lanes))
        self._spike_bits = bits_for(config.neuron_blocks)
        slot, word = bits_for(SLOTS), spike_layout(config)
        super().__init__({
            "input_en": In(1), "input_address": In(slot + self._input_bits), "input_data": In(word),
            "spike_en": In(1), "spike_address": In(slot + self._spike_bits), "spike_data": In(word),
            "r_en": In(1), "r_input": In(1), "r_slot": In(slot), "r_block": In(max(self._input_bits, self._spike_bits)),
            "r_data": Out(word),
        })

    def elaborate(self, platform):
        m = Module()
        word = spike_layout(self._config)
        m.submodules.inputs = inputs = Ram(word, SLOTS << self._input_bits, block=True)
        m.submodules.spikes = spikes = Ram(word, SLOTS << self._spike_bits, block=True)
        from_input = Signal()
        with m.If(self.r_en):
            m.d.sync += from_input.eq(self.r_input)
        m.d.comb += [
            inputs.w_en.eq(self.input_en), inputs.w_addr.eq(self.input_address), inputs.w_data.eq(self.input_data),
            spikes.w_en.eq(self.spike_en), spikes.w_addr.eq(self.spike_address), spikes.w_data.eq(self.spike_data),
            inputs.r_en.eq(self.r_en & self.r_input), inputs.r_addr.eq(Cat(self.r_block[:self._input_bits], self.r_slot)),
            spikes.r_en.eq(self.r_en & ~self.r_input), spikes.r_addr.eq(Cat(self.r_block[:self._spike_bits], self.r_slot)),
            self.r_data.eq(spikes.r_data),
        ]
        with m.If(from_input):
            m.d.comb += self.r_data.eq(inputs.r_data)
        return m
