"""Backward engine of a rule over time: a sample's jobs through all layers. Golden models: model/exact/over_time.py,
model/timing.py."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY, GradientForm
from ...spec.registers import SHIFT_BITS
from ..lane_parts import Parts
from ..layouts import NetworkLayout, RateBoundsLayout, RateLossLayout, StepJobLayout, StepSpikeLayout, feedback_offset, shape_of
from .error_sweep import ErrorSweep
from .gradient_sweep import GradientSweep
from .lanes import GradientWordLayout, contribution_shape
from .transposable_gradients import TileWordLayout

__all__ = ["StepBackwardEngine"]


class StepBackwardEngine(wiring.Component):
    """From the output layer down sweeps a layer's jobs twice side by side: in reverse time for the errors of the layer before, and
    for the gradients. A sample that overflowed the tape ends at once. Cycles of ``busy``: model/timing.py.

    Parameters
    ----------
    lent : what other rules' engines lend its sweeps.

    Members
    -------
    network, error_shift, form : In. ``form`` : how gradients are summed, spec.lif.GradientForm. Stable while busy.
    layer : Out. The layer in work as l - 1, from two cycles before its first feedback weights are read.
    start : In(1). Begin a sample; not while ``busy``. overflow : In(1). The tape lost something of it.
    error_*, gradient_*, active_*, replace_*, spike_* : read ports of the tapes (hw/memory/step_tapes.py), latency 1.
    feedback_en, feedback_addr, feedback_data : read port of the feedback memory (latency 1).
    word_en, word, contribution : Out. Gradient contributions (CONTRIBUTION_LATENCY cycles after their word).
    mark_en, mark : Out. Gradients reach the column of this neuron (block_base P + j).
    powers_w_en, powers_w_addr, powers_w_data : In. Write B[n]; while not busy.
    busy, done : Out(1).
    active : Out(max_layers). Bit l - 1: a job of layer l was taken.
    saturated : Out. How many errors, or error sums that decay, saturated.
    counts, bounds, strength, count_en, count_addr : as of ErrorSweep, ``strength`` of each layer l - 1; with losses of rates only.
    """

    CONTRIBUTION_LATENCY = GradientSweep.CONTRIBUTION_LATENCY

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        job, spike = StepJobLayout(config), StepSpikeLayout(config)

        def reader(name, shape, depth):
            return {f"{name}_count": In(bits_for(depth + 1)), f"{name}_en": Out(1), f"{name}_index": Out(bits_for(depth)),
                    f"{name}_entry": In(shape)}

        jobs = config.job_entries
        super().__init__({
            "network": In(NetworkLayout(config)), "error_shift": In(SHIFT_BITS).array(max(1, config.max_layers - 1)),
            "form": In(2), "layer": Out(bits_for(config.max_layers)), "start": In(1), "overflow": In(1),
            **reader("error", job, jobs), **reader("gradient", job, jobs), **reader("active", job, jobs),
            "replace_en": Out(1), "replace_index": Out(bits_for(jobs)), "replace_entry": Out(job),
            **reader("spike", spike, config.spike_entries),
            "feedback_en": Out(1), "feedback_addr": Out(bits_for(config.feedback_words)),
            "feedback_data": In(shape_of(config.weight)).array(config.lanes),
            "word_en": Out(1), "word": Out(TileWordLayout(config)),
            "mark_en": Out(1), "mark": Out(GradientWordLayout(config)["neuron"].shape),
            "contribution": Out(contribution_shape(config)).array(config.lanes),
            "powers_w_en": In(1), "powers_w_addr": In(bits_for(config.max_steps + 1)), "powers_w_data": In(DECAY.bits),
            "busy": Out(1), "done": Out(1), "active": Out(config.max_layers), "saturated": Out(bits_for(config.lanes + 5)),
            **({"counts": In(bits_for(config.max_steps + 1)).array(config.lanes), "bounds": In(RateBoundsLayout()),
                "strength": In(RateLossLayout()).array(max(1, config.max_layers - 1)), "count_en": Out(1),
                "count_addr": Out(bits_for(config.neuron_blocks)).array(config.lanes)} if config.rate_loss else {}),
        })

    def elaborate(self, platform):
        m = Module()
        c, network = self._config, self.network
        m.submodules.errors = errors = ErrorSweep(c, self._lent)
        m.submodules.gradients = gradients = GradientSweep(c, self._lent)
        layer, below, shift = self.layer, Signal.like(self.layer), Signal(SHIFT_BITS)
        m.d.comb += below.eq(Mux(layer == 0, 0, layer - 1))
        m.d.sync += shift.eq(self._of_layer(m, below, self.error_shift))
        if c.rate_loss:
            m.d.sync += errors.strength.eq(self._of_layer(m, below, self.strength))
            m.d.comb += [errors.bounds.eq(self.bounds), self.count_en.eq(errors.count_en)]
            m.d.comb += [mine.eq(theirs) for mine, theirs in zip(errors.counts, self.counts)]
            m.d.comb += [mine.eq(theirs) for mine, theirs in zip(self.count_addr, errors.count_addr)]
        for sweep, names in ((errors, {"job": "error", "active": "active"}), (gradients, {"job": "gradient", "spike": "spike"})):
            for own, tape in names.items():
                m.d.comb += [getattr(sweep, f"{own}_{side}").eq(getattr(self, f"{tape}_{side}")) for side in ("count", "entry")]
                m.d.comb += [getattr(self, f"{tape}_{side}").eq(getattr(sweep, f"{own}_{side}")) for side in ("en", "index")]
            m.d.comb += [sweep.powers_w_en.eq(self.powers_w_en), sweep.powers_w_addr.eq(self.powers_w_addr),
                         sweep.powers_w_data.eq(self.powers_w_data), sweep.in_blocks.eq(network.blocks[layer])]
        m.d.comb += [
            self.replace_en.eq(errors.replace_en), self.replace_index.eq(errors.replace_index),
            self.replace_entry.eq(errors.replace_entry),
            errors.n_in.eq(network.size[layer]), errors.sum_base.eq(network.block_base[below]),
            errors.column_base.eq(network.column_base[layer]),
            errors.feedback_offset.eq(feedback_offset(c, network)), errors.shift.eq(shift),
            self.feedback_en.eq(errors.feedback_en), self.feedback_addr.eq(errors.feedback_addr),
            gradients.by_spikes.eq(self._by_spikes(m, layer)), gradients.out_blocks.eq(network.blocks[layer + 1]),
            gradients.tile_base.eq(network.tile_base[layer]), self.word_en.eq(gradients.word_en), self.word.eq(gradients.word),
            self.mark_en.eq(gradients.active), self.mark.eq((network.block_base[layer] << bits_for(c.lanes)) + gradients.neuron),
            self.active.eq(gradients.active << layer), self.saturated.eq(errors.saturated + gradients.saturated),
        ]
        for k in range(c.lanes):
            m.d.comb += [errors.feedback_data[k].eq(self.feedback_data[k]), self.contribution[k].eq(gradients.contribution[k])]
        self._control(m, errors, gradients, layer)
        return m

    def _of_layer(self, m, below, values):
        """The value of the layer in work."""
        chosen = Signal.like(values[0])
        with m.Switch(below):
            for n, given in enumerate(values):
                with m.Case(n):
                    m.d.comb += chosen.eq(given)
        return chosen

    def _by_spikes(self, m, layer):
        """Whether the layer's gradients are summed by input spike: from its counts of jobs and spikes, a cycle after they are."""
        size = self.network.size
        words = [self.gradient_count * size[layer], self.spike_count * size[layer + 1]]
        by_active, by_spike = (Signal(product.shape(), name=f"additions_{n}") for n, product in enumerate(words))
        m.d.sync += [by_active.eq(words[0]), by_spike.eq(words[1])]
        return (self.form == GradientForm.SPIKES) | (self.form != GradientForm.ACTIVE) & (by_active > by_spike)

    def _control(self, m, errors, gradients, layer):
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.sync += layer.eq(self.network.layers - 1)
                    m.next = "LOOK"
            with m.State("LOOK"):  # the layer's shift, lists and the form of its gradients are known
                m.next = "SWEEP"
                with m.If(self.overflow):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("SWEEP"):
                m.d.comb += [gradients.start.eq(1), errors.start.eq(layer != 0)]
                m.next = "WALK"
            with m.State("WALK"):
                with m.If((gradients.done | ~gradients.busy) & (errors.done | ~errors.busy)):
                    m.d.sync += layer.eq(layer - 1)
                    m.next = "LOOK"
                    with m.If(layer == 0):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
