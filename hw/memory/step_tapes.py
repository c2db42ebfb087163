"""What a sample of a rule over time leaves for its backward pass: spikes, active neurons, jobs. Golden model:
model/exact/over_time.py (spike_list, job_list)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..layouts import StepJobLayout, StepSpikeLayout
from .step_list import StepList

__all__ = ["StepTapes"]


class StepTapes(wiring.Component):
    """Lists of spikes in one memory, lists of active neurons and jobs in two, of layers with even and with odd index: the jobs of a
    layer are read by both sweeps while the active neurons of the one before are read and replaced. All latencies are 1; ``layer``
    stays for a cycle after a read.

    Members
    -------
    clear : In(1). A sample begins. overflow : Out(1). Something found no room since.
    spikes_w_list, spikes_w_begin, spikes_w_en, spikes_w_entry : In. As of StepList; list l holds the spikes of layer l.
    spikes_r_list, spikes_r_en, spikes_r_index : In; spikes_r_count, spikes_r_entry : Out.
    jobs_w_layer, jobs_w_begin, jobs_w_en, jobs_w_entry : In. Lists of layers 1 to L, each while ``jobs_w_layer`` is stable.
    layer : In. l whose jobs are read; those of ``error`` and ``gradient``, each with count, en, index, entry, by one sweep each;
        ``active``, and replace_en, replace_index, replace_entry, are those of layer l - 1.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        layer, spike, job = bits_for(config.max_layers + 1), StepSpikeLayout(config), StepJobLayout(config)
        spikes, jobs = config.spike_entries, config.job_entries

        def reader(name, shape, depth):
            return {f"{name}_count": Out(bits_for(depth + 1)), f"{name}_en": In(1), f"{name}_index": In(bits_for(depth)),
                    f"{name}_entry": Out(shape)}

        super().__init__({
            "clear": In(1), "overflow": Out(1),
            "spikes_w_list": In(bits_for(config.max_layers)), "spikes_w_begin": In(1), "spikes_w_en": In(1),
            "spikes_w_entry": In(spike), "spikes_r_list": In(bits_for(config.max_layers)), **reader("spikes_r", spike, spikes),
            "jobs_w_layer": In(layer), "jobs_w_begin": In(1), "jobs_w_en": In(1), "jobs_w_entry": In(job),
            "layer": In(layer), **reader("error", job, jobs), **reader("gradient", job, jobs), **reader("active", job, jobs),
            "replace_en": In(1), "replace_index": In(bits_for(jobs)), "replace_entry": In(job),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.spikes = spikes = StepList(StepSpikeLayout(c), c.spike_entries, c.max_layers)
        halves = [StepList(StepJobLayout(c), c.job_entries, c.max_layers + 1, second=True) for _ in range(2)]
        m.submodules.even, m.submodules.odd = halves
        below = Signal.like(self.layer)
        m.d.comb += [below.eq(self.layer - 1), self.overflow.eq(spikes.overflow | halves[0].overflow | halves[1].overflow)]
        m.d.comb += [
            spikes.clear.eq(self.clear), spikes.w_list.eq(self.spikes_w_list), spikes.w_begin.eq(self.spikes_w_begin),
            spikes.w_en.eq(self.spikes_w_en), spikes.w_entry.eq(self.spikes_w_entry),
            spikes.r_list.eq(self.spikes_r_list), spikes.r_en.eq(self.spikes_r_en), spikes.r_index.eq(self.spikes_r_index),
            self.spikes_r_count.eq(spikes.r_count), self.spikes_r_entry.eq(spikes.r_entry),
        ]
        for parity, half in enumerate(halves):
            writes, own = self.jobs_w_layer[0] == parity, self.layer[0] == parity
            m.d.comb += [
                half.clear.eq(self.clear), half.w_list.eq(self.jobs_w_layer), half.w_begin.eq(self.jobs_w_begin & writes),
                half.w_en.eq(self.jobs_w_en & writes), half.w_entry.eq(self.jobs_w_entry),
                half.r_list.eq(self.layer), half.r_en.eq(self.error_en & own), half.r_index.eq(self.error_index),
                half.s_list.eq(Mux(own, self.layer, below)), half.s_en.eq(Mux(own, self.gradient_en, self.active_en)),
                half.s_index.eq(Mux(own, self.gradient_index, self.active_index)),
                half.replace_en.eq(self.replace_en & ~own), half.replace_index.eq(self.replace_index),
                half.replace_entry.eq(self.replace_entry),
            ]
            with m.If(own):
                m.d.comb += [self.error_count.eq(half.r_count), self.error_entry.eq(half.r_entry),
                             self.gradient_count.eq(half.s_count), self.gradient_entry.eq(half.s_entry)]
            with m.Else():
                m.d.comb += [self.active_count.eq(half.s_count), self.active_entry.eq(half.s_entry)]
        return m
