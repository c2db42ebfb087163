"""Units of rule ttfs: single-spike neurons. Golden model: model/exact/ttfs.py."""

from amaranth.hdl import Cat, Const, Module, Signal

from ...spec.config import CoreConfig, Rule
from ...spec.errors import ErrorCode
from ...spec.packets import FIRED_BIT, Space
from ..backward.active_list import ActiveList
from ..backward.engine import BackwardEngine
from ..backward.gradient_memory import GradientMemory
from ..forward.engine import ForwardEngine
from ..lane_parts import Parts
from ..memory.tapes import SampleTapes
from .units import RuleUnits

__all__ = ["TtfsUnits"]


class TtfsUnits(RuleUnits):
    """Forward engine, active lists and tapes, backward engine."""

    rule, gradient_memory = Rule.TTFS, GradientMemory

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        super().__init__(config)
        self.forward, self.backward = ForwardEngine(config, lent), BackwardEngine(config, lent)
        self.tapes, self.lists = SampleTapes(config), ActiveList(config)
        self.saturated, self.working = self.backward.saturated, self.forward.working

    def add(self, m: Module, core) -> dict:
        forward, readout, backward, lists, tapes = self.forward, core.readout, self.backward, self.lists, self.tapes
        self._add(m, forward=forward, backward=backward, tapes=tapes, lists=lists)
        self.reading = readout.working
        packet, network, settings = core.sequencer.packet, core.network, core.settings
        m.d.comb += [
            forward.readout.eq(settings.readout), forward.level_clip.eq(settings.level_clip),
            forward.slope_clip.eq(settings.slope_clip), forward.slot.eq(core.i_descriptor.payload.slot),
            forward.readout_ready.eq(readout.ready),
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
        return {"start": forward.output_start, "spike": forward.spike, "spike_output": forward.spike_output,
                "status": ErrorCode.NONE, "backward_ready": ~backward.busy & ~core.transport.busy,
                "error_en": backward.output_en, "error_addr": backward.output_addr}

    def connect_access(self, m: Module, core, reads: dict, writes: dict) -> dict[Space, list]:
        c, access, word, tapes = self._config, core.access, core.access.access, self.tapes
        forward, backward = self.forward, self.backward
        m.d.comb += [
            tapes.r_en.eq(backward.tape_en | reads[Space.SPIKES]), tapes.r_input.eq(backward.tape_first),
            tapes.r_slot.eq(backward.list_slot), tapes.r_block.eq(backward.tape_block),
            forward.sum_en.eq(reads[Space.SLOPE] | reads[Space.LEVEL]), forward.sum_addr.eq(word.address),
            backward.sum_en.eq(reads[Space.ERROR_SUM]), backward.sum_addr.eq(word.address),
        ]
        with m.If(access.busy):
            m.d.comb += [tapes.r_input.eq(word.input_layer), tapes.r_slot.eq(core.sequencer.last_slot),
                         tapes.r_block.eq(word.address)]
        # Block memory is too slow for a lane multiplexer in the same cycle.
        spikes = [Signal.like(lane, name=f"spikes_{k}") for k, lane in enumerate(tapes.r_data)]
        m.d.sync += [register.eq(lane) for register, lane in zip(spikes, tapes.r_data)]
        return {
            Space.SLOPE: forward.slopes, Space.LEVEL: forward.levels, Space.ERROR_SUM: backward.sum_data,
            Space.SPIKES: [Cat(spike.time, Const(0, FIRED_BIT - c.time.bits), spike.fired) for spike in spikes],
        }

    def gradient_word(self):
        word = self.backward.word
        if self._config.rules == (Rule.TTFS,):
            return word
        # Beside a rule whose gradients come by rows, too, a column is one of its tile's lines.
        return Cat(word.tile, word.column, Const(0, 1))

    def count(self, m: Module, core, count, running) -> None:
        m.d.comb += [count.level_clips.eq(self.forward.clips[0]), count.slope_clips.eq(self.forward.clips[1])]
