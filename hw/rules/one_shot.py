"""Units of the rules with one backward pass over each layer: ttfs, single-spike neurons, and rate, neurons over time steps with
traces. Golden models: model/exact/ttfs.py, model/exact/rate.py."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import In

from ...spec.config import CoreConfig, Rule
from ...spec.errors import ErrorCode
from ...spec.packets import FIRED_BIT, Space
from ..backward.active_list import ActiveList
from ..backward.engine import BackwardEngine
from ..backward.gradient_memory import GradientMemory
from ..forward.accumulator import SynapseAccumulator
from ..forward.engine import ForwardEngine
from ..forward.rate_engine import RateForwardEngine
from ..lane_parts import Parts
from ..layouts import runs
from ..memory.tapes import SampleTapes
from .units import RuleUnits, connect_joint, joint, take_turns

__all__ = ["OneShotUnits"]


class OneShotUnits(RuleUnits):
    """A forward engine for each rule, one accumulator, active lists and tapes, backward engine."""

    ENGINES = {Rule.TTFS: ForwardEngine, Rule.RATE: RateForwardEngine}
    RULES, gradient_memory = tuple(ENGINES), GradientMemory
    SHOWN = ("slot", "readout_ready", "spike", "spike_layer", "spike_output", "scan_start", "output_start", "tape_en",
             "tape_address", "tape_data", "sum_en", "sum_addr", "slopes", "levels", "working")

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        super().__init__(config)
        self._accumulator, self._borrowed = None, {}
        if len(self.rules) > 1:
            self._accumulator = SynapseAccumulator(config, lent)
            self._borrowed = {rule: self._accumulator.signature.create(path=(rule.name.lower(), "accumulator"))
                              for rule in self.rules}
        parts = {rule: {"accumulator": own} for rule, own in self._borrowed.items()}
        self._engines = {rule: self.ENGINES[rule](config, parts.get(rule, lent)) for rule in self.rules}
        self.backward = BackwardEngine(config, lent)
        self.tapes, self.lists = SampleTapes(config), ActiveList(config)
        self.saturated = self.backward.saturated
        self.forward = joint(list(self._engines.values()), (*self.FORWARD, *self.SHOWN))
        self.working = self.forward.working

    def add(self, m: Module, core) -> dict:
        forward, readout, backward, lists, tapes = self.forward, core.readout, self.backward, self.lists, self.tapes
        packet, network, settings = core.sequencer.packet, core.network, core.settings
        self._add(m, backward=backward, tapes=tapes, lists=lists)
        self._add_engines(m, settings)
        self.reading = readout.working
        m.d.comb += [
            forward.slot.eq(core.i_descriptor.payload.slot), forward.readout_ready.eq(readout.ready),
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

    def _add_engines(self, m, settings):
        for rule, engine in self._engines.items():
            self._add(m, **{"forward" if len(self.rules) == 1 else f"forward_{rule}": engine})
        if len(self.rules) > 1:
            self._add(m, accumulator=self._accumulator)
            owners = [(rule,) for rule in self.rules]
            take_turns(m, self._config, settings, owners, self._accumulator, list(self._borrowed.values()), gathered=In)
            connect_joint(m, self._config, settings, owners, self.forward, list(self._engines.values()))
        if Rule.TTFS in self.rules:
            ttfs = self._engines[Rule.TTFS]
            m.d.comb += [ttfs.readout.eq(settings.readout), ttfs.level_clip.eq(settings.level_clip),
                         ttfs.slope_clip.eq(settings.slope_clip)]
        if Rule.RATE in self.rules:
            rate = self._engines[Rule.RATE]
            m.d.comb += [rate.steps.eq(settings.steps), rate.coded.eq(settings.coding), rate.ticks.eq(settings.ticks)]

    def connect_access(self, m: Module, core, reads: dict, writes: dict) -> dict[Space, list]:
        c, access, word, tapes = self._config, core.access, core.access.access, self.tapes
        forward, backward, looks = self.forward, self.backward, (Space.SLOPE, Space.LEVEL, Space.MEMBRANE, Space.ELIGIBILITY)
        m.d.comb += [
            tapes.r_en.eq(backward.tape_en | reads[Space.SPIKES]), tapes.r_input.eq(backward.tape_first),
            tapes.r_slot.eq(backward.list_slot), tapes.r_block.eq(backward.tape_block),
            forward.sum_en.eq(Cat(reads[space] for space in looks).any()), forward.sum_addr.eq(word.address),
            backward.sum_en.eq(reads[Space.ERROR_SUM]), backward.sum_addr.eq(word.address),
        ]
        with m.If(access.busy):
            m.d.comb += [tapes.r_input.eq(word.input_layer), tapes.r_slot.eq(core.sequencer.last_slot),
                         tapes.r_block.eq(word.address)]
        # Block memory is too slow for a lane multiplexer in the same cycle.
        spikes = [Signal.like(lane, name=f"spikes_{k}") for k, lane in enumerate(tapes.r_data)]
        m.d.sync += [register.eq(lane) for register, lane in zip(spikes, tapes.r_data)]
        shown = {
            Space.SLOPE: forward.slopes, Space.LEVEL: forward.levels, Space.ERROR_SUM: backward.sum_data,
            Space.SPIKES: [Cat(spike.time, Const(0, FIRED_BIT - c.time.bits), spike.fired) for spike in spikes],
        }
        if Rule.RATE in self.rules:
            rate = self._engines[Rule.RATE]
            m.d.comb += [rate.profile_en.eq(writes[Space.DECAY] & runs(c, core.settings, Rule.RATE)),
                         rate.profile_addr.eq(word.address), rate.profile_data.eq(access.w_data[0])]
            shown |= {Space.MEMBRANE: rate.potentials, Space.ELIGIBILITY: rate.eligibilities}
        return shown

    def gradient_word(self):
        word = self.backward.word
        if self.rules == self._config.rules:
            return word
        # Beside a rule whose gradients come by rows, too, a column is one of its tile's lines.
        return Cat(word.tile, word.column, Const(0, 1))

    def count(self, m: Module, core, count, running) -> None:
        if Rule.TTFS in self.rules:
            clips = self._engines[Rule.TTFS].clips
            m.d.comb += [count.level_clips.eq(clips[0]), count.slope_clips.eq(clips[1])]

    def membrane_saturations(self):
        return self._engines[Rule.RATE].saturated if Rule.RATE in self.rules else super().membrane_saturations()
