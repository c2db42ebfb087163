"""Units of rule ttfs: single-spike neurons. Golden model: model/exact/ttfs.py."""

from amaranth.hdl import Cat, Const, Module, Signal

from ...spec.config import CoreConfig, bits_for
from ...spec.packets import FIRED_BIT, Space
from ..backward.active_list import ActiveList
from ..backward.engine import BackwardEngine
from ..backward.gradient_memory import GradientMemory
from ..forward.engine import ForwardEngine
from ..memory.tapes import SampleTapes
from ..readout.softmax import SoftmaxReadout

__all__ = ["TtfsUnits"]


class TtfsUnits:
    """Forward engine, readout, active lists and tapes, backward engine.

    Members
    -------
    gradient_memory : the class of the memory that takes the backward engine's contributions.
    saturated : errors and factors that saturated.
    working, reading : the forward engine works and does not wait; the readout computes errors.
    """

    gradient_memory = GradientMemory

    def __init__(self, config: CoreConfig):
        self._config = config
        self.forward, self.readout, self.backward = ForwardEngine(config), SoftmaxReadout(config), BackwardEngine(config)
        self.tapes, self.lists = SampleTapes(config), ActiveList(config)
        self.saturated = self.backward.saturated
        self.working, self.reading = self.forward.working, self.readout.working

    def add(self, m: Module, core) -> None:
        """Make the units submodules of the core, and connect them to each other and to its ports."""
        m.submodules.forward, m.submodules.softmax_readout, m.submodules.backward = self.forward, self.readout, self.backward
        m.submodules.tapes, m.submodules.lists = self.tapes, self.lists
        forward, readout, backward, lists, tapes = self.forward, self.readout, self.backward, self.lists, self.tapes
        packet, network, settings = core.sequencer.packet, core.network, core.settings
        m.d.comb += [
            forward.readout.eq(settings.readout), forward.level_clip.eq(settings.level_clip),
            forward.slope_clip.eq(settings.slope_clip), forward.slot.eq(core.i_descriptor.payload.slot),
            forward.readout_ready.eq(readout.ready), readout.start.eq(forward.output_start),
            readout.spike.eq(forward.spike), readout.spike_output.eq(forward.spike_output),
            readout.backward_ready.eq(~backward.busy & ~core.transport.busy),
            tapes.spike_en.eq(forward.tape_en), tapes.spike_address.eq(forward.tape_address),
            tapes.spike_data.eq(forward.tape_data), tapes.input_en.eq(core.tape_en),
            tapes.input_address.eq(core.tape_address), tapes.input_data.eq(core.tape_data),
            lists.w_start.eq(forward.scan_start), lists.w_slot.eq(packet.slot), lists.w_layer.eq(forward.spike_layer),
            lists.w_base.eq(network.block_base[forward.spike_layer]), lists.w_en.eq(forward.spike.active),
            lists.w_entry.index.eq(forward.spike.index), lists.w_entry.level_factor.eq(forward.spike.level_factor),
            lists.w_entry.slope_factor.eq(forward.spike.slope_factor),
            backward.slot.eq(readout.backward_slot),
            lists.r_slot.eq(backward.list_slot), lists.r_layer.eq(backward.list_layer), lists.r_base.eq(backward.list_base),
            lists.r_en.eq(backward.list_en), lists.r_index.eq(backward.list_index),
            backward.list_count.eq(lists.r_count), backward.list_entry.eq(lists.r_entry),
            backward.output_data.eq(readout.error_data), backward.tape_data.eq(tapes.r_data),
        ]

    def connect_access(self, m: Module, core, reads: dict, writes: dict) -> dict[Space, list]:
        """Let the host read the units' memories; the lanes of each space."""
        c, access, word, tapes = self._config, core.access, core.access.access, self.tapes
        forward, readout, backward = self.forward, self.readout, self.backward
        m.d.comb += [
            tapes.r_en.eq(backward.tape_en | reads[Space.SPIKES]), tapes.r_input.eq(backward.tape_first),
            tapes.r_slot.eq(backward.list_slot), tapes.r_block.eq(backward.tape_block),
            readout.error_en.eq(backward.output_en | reads[Space.OUTPUT_ERROR]), readout.error_addr.eq(backward.output_addr),
            forward.sum_en.eq(reads[Space.SLOPE] | reads[Space.LEVEL]), forward.sum_addr.eq(word.address),
            backward.sum_en.eq(reads[Space.ERROR_SUM]), backward.sum_addr.eq(word.address),
        ]
        with m.If(access.busy):
            m.d.comb += [
                tapes.r_input.eq(word.input_layer), tapes.r_slot.eq(core.sequencer.last_slot), tapes.r_block.eq(word.address),
                readout.error_addr.eq(Cat(word.address[:bits_for(c.max_outputs)], core.sequencer.trained_slot)),
            ]
        # Block memory is too slow for a lane multiplexer in the same cycle.
        spikes = [Signal.like(lane, name=f"spikes_{k}") for k, lane in enumerate(tapes.r_data)]
        m.d.sync += [register.eq(lane) for register, lane in zip(spikes, tapes.r_data)]
        return {
            Space.SLOPE: forward.slopes, Space.LEVEL: forward.levels, Space.ERROR_SUM: backward.sum_data,
            Space.SPIKES: [Cat(spike.time, Const(0, FIRED_BIT - c.time.bits), spike.fired) for spike in spikes],
        }

    def single(self, m: Module, core):
        """The element last read of the spaces that hold one a word."""
        return self.readout.error_data

    def count(self, m: Module, count) -> None:
        """Increments that only this rule has."""
        m.d.comb += [count.level_clips.eq(self.forward.clips[0]), count.slope_clips.eq(self.forward.clips[1])]
