"""Units of rule sparse-bptt: leaky integrate-and-fire neurons over time steps. Golden model: model/exact/over_time.py."""

from amaranth.hdl import Cat, Module, Mux, Signal

from ...spec.config import CoreConfig, Rule
from ...spec.errors import ErrorCode
from ...spec.lif import DECAY
from ...spec.packets import Space
from ..backward.step_engine import StepBackwardEngine
from ..backward.transposable_gradients import TransposableGradients
from ..forward.step_engine import StepForwardEngine
from ..lane_parts import Parts
from ..memory.step_tapes import StepTapes
from ..readout.over_time import OverTimeReadout
from .units import RuleUnits

__all__ = ["SparseBpttUnits"]


class SparseBpttUnits(RuleUnits):
    """Forward engine, readout over time, tapes, backward engine; one sample at a time."""

    RULES, gradient_memory = (Rule.SPARSE_BPTT,), TransposableGradients

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        super().__init__(config)
        self.forward, self.backward = StepForwardEngine(config, lent), StepBackwardEngine(config, lent)
        self.over_time, self.tapes = OverTimeReadout(config), StepTapes(config)
        self.saturated, self.working = self.backward.saturated + self.over_time.saturated, self.forward.busy

    def add(self, m: Module, core) -> dict:
        forward, readout, backward, over_time, tapes = self.forward, core.readout, self.backward, self.over_time, self.tapes
        self._add(m, forward=forward, backward=backward, over_time=over_time, tapes=tapes)
        self.reading = readout.working | over_time.writing
        network, settings = core.network, core.settings
        m.d.comb += [
            backward.form.eq(settings.gradients),
            forward.steps.eq(settings.steps), forward.window.eq(settings.window),
            over_time.steps.eq(settings.steps), over_time.logit.eq(settings.logit), over_time.count.eq(network.outputs),
            over_time.en.eq(forward.output_en), over_time.index.eq(forward.output_index), over_time.step.eq(forward.output_step),
            over_time.potential.eq(forward.output_potential), over_time.last.eq(forward.output_last),
            backward.overflow.eq(tapes.overflow), over_time.error_data.eq(readout.error_data),
        ]
        m.d.comb += [backward.error_shift[n].eq(settings.error_shift[n]) for n in range(self._config.max_layers - 1)]
        if self._config.rate_loss:
            m.d.comb += [backward.bounds.eq(settings.rate_bounds), forward.count_en.eq(backward.count_en)]
            m.d.comb += [mine.eq(settings.rate_loss[n]) for n, mine in zip(range(self._config.max_layers - 1), backward.strength)]
            m.d.comb += [mine.eq(theirs) for mine, theirs in zip(forward.count_addr, backward.count_addr)]
            m.d.comb += [mine.eq(theirs) for mine, theirs in zip(backward.counts, forward.counts)]
        # Errors become jobs before the hand-over: only then is known whether the tape has room for the sample. Where it had none
        # before, they do not.
        asked, written = Signal(), Signal()
        m.d.sync += [asked.eq(readout.handing),
                     written.eq(readout.handing & (written | over_time.done | (tapes.overflow & ~asked)))]
        m.d.comb += over_time.write.eq(readout.handing & ~asked & ~tapes.overflow)
        self._connect_tapes(m, core)
        return {"start": forward.output_start, "spike": over_time.slot, "spike_output": 1,
                "status": Mux(tapes.overflow, ErrorCode.OVERFLOW, ErrorCode.NONE),
                "backward_ready": written & ~backward.busy & ~core.transport.busy,
                "error_en": over_time.error_en, "error_addr": Cat(over_time.error_index, readout.backward_slot)}

    def _connect_tapes(self, m, core):
        forward, backward, over_time, tapes = self.forward, self.backward, self.over_time, self.tapes
        m.d.comb += [
            tapes.clear.eq(forward.spikes_clear), tapes.spikes_w_list.eq(forward.spikes_w_list),
            tapes.spikes_w_begin.eq(forward.spikes_w_begin), tapes.spikes_w_en.eq(forward.spikes_w_en),
            tapes.spikes_w_entry.eq(forward.spikes_w_entry), tapes.layer.eq(backward.layer + 1),
            forward.spikes_r_count.eq(tapes.spikes_r_count), forward.spikes_r_entry.eq(tapes.spikes_r_entry),
            backward.spike_count.eq(tapes.spikes_r_count), backward.spike_entry.eq(tapes.spikes_r_entry),
            tapes.spikes_r_list.eq(forward.spikes_r_list), tapes.spikes_r_en.eq(forward.spikes_r_en),
            tapes.spikes_r_index.eq(forward.spikes_r_index),
            tapes.jobs_w_layer.eq(forward.active_layer), tapes.jobs_w_begin.eq(forward.active_begin),
            tapes.jobs_w_en.eq(forward.active_en), tapes.jobs_w_entry.eq(forward.active_entry),
            tapes.replace_en.eq(backward.replace_en), tapes.replace_index.eq(backward.replace_index),
            tapes.replace_entry.eq(backward.replace_entry),
        ]
        for name in ("error", "gradient", "active"):
            m.d.comb += [getattr(backward, f"{name}_{side}").eq(getattr(tapes, f"{name}_{side}")) for side in ("count", "entry")]
            m.d.comb += [getattr(tapes, f"{name}_{side}").eq(getattr(backward, f"{name}_{side}")) for side in ("en", "index")]
        with m.If(backward.busy):
            m.d.comb += [
                tapes.spikes_r_list.eq(backward.layer), tapes.spikes_r_en.eq(backward.spike_en),
                tapes.spikes_r_index.eq(backward.spike_index),
            ]
        with m.If(core.readout.handing):
            m.d.comb += [
                tapes.jobs_w_layer.eq(core.network.layers), tapes.jobs_w_begin.eq(over_time.write),
                tapes.jobs_w_en.eq(over_time.job_en), tapes.jobs_w_entry.eq(over_time.job_entry),
            ]

    def connect_access(self, m: Module, core, reads: dict, writes: dict) -> dict[Space, list]:
        access, word, tapes, packet = core.access, core.access.access, self.tapes, core.sequencer.packet
        forward, backward = self.forward, self.backward
        m.d.comb += [
            forward.sum_en.eq(reads[Space.SLOPE]), forward.sum_addr.eq(word.address),
            access.entries.eq(Mux(word.space == Space.SPIKES, tapes.spikes_r_count, tapes.gradient_count)),
        ]
        leak = Signal(DECAY.bits)
        m.d.comb += [forward.leak.eq(leak), backward.powers_w_en.eq(writes[Space.DECAY]), backward.powers_w_addr.eq(word.address),
                     backward.powers_w_data.eq(access.w_data[0])]
        with m.If(backward.powers_w_en & (word.address == 1)):
            m.d.sync += leak.eq(access.w_data[0])
        with m.If(access.busy):
            m.d.comb += [
                tapes.spikes_r_list.eq(packet.layer), tapes.spikes_r_en.eq(reads[Space.SPIKES]),
                tapes.spikes_r_index.eq(word.address), tapes.layer.eq(packet.layer),
                tapes.gradient_en.eq(reads[Space.JOBS]), tapes.gradient_index.eq(word.address),
            ]
        return {Space.SLOPE: forward.sums}

    def single(self, m: Module, core):
        spike, job, space = self.tapes.spikes_r_entry, self.tapes.gradient_entry, core.access.access.space
        element = Signal.like(core.access.r_data)
        with m.Switch(space):
            with m.Case(Space.SPIKES):
                m.d.comb += element.eq(spike.index | spike.step << 16)
            with m.Case(Space.JOBS):
                m.d.comb += [element[:32].eq(job.index | job.step << 16), element[32:].eq(job.value)]
            with m.Default():
                m.d.comb += element.eq(super().single(m, core))
        return element

    def gradient_word(self):
        return self.backward.word

    def count(self, m: Module, core, count, running) -> None:
        m.d.comb += [count.overflows.eq(core.readout.handed & self.tapes.overflow & running),
                     count.gradient_words.eq(self.backward.word_en)]

    def membrane_saturations(self):
        return self.forward.saturated
