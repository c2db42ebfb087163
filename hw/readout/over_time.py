"""What of the output layer's potentials over time is the logit, and the jobs that its errors become.

Golden model: model/exact/sparse_bptt.py (logits, output_jobs).
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import LifFormats
from ..arithmetic.rounding import overflows, saturate
from ..forward.rule import SpikeLayout
from ..layouts import LogitLayout, StepJobLayout, shape_of
from ..memory.ram import Ram

__all__ = ["OverTimeReadout"]


class OverTimeReadout(wiring.Component):
    """Keeps of each output neuron the largest potential and its first step, or the sum of its potentials; then sends the logits,
    one a cycle; then, when asked, writes the jobs, one a cycle.

    Potentials come at most one a cycle, those of one neuron at least two cycles apart. The first logit comes 4 cycles after the
    last potential, the first job 3 cycles after ``write``; ``done`` comes a cycle after the last of K (maximum) or T K (sum) jobs.

    Members
    -------
    steps, logit, count : In. T, the setting, K outputs; stable while in use.
    en, index, step, potential, last : In. V[step] of an output neuron, steps 1 to T, ascending in (step, index); the last one.
    slot : Out(SpikeLayout). ``item``, ``index``, ``logit`` and ``layer_last`` of the logits, for SoftmaxReadout.
    write : In(1). The output errors are known: write the jobs.
    error_en, error_index, error_data : read port of the output errors (latency 1).
    job_en, job_entry : Out. Jobs (j, step - 1) with their errors c, ascending in (step, index).
    writing, done : Out(1). saturated : Out(1). An output's c saturated, counted once.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        output, step = bits_for(config.max_outputs), bits_for(config.max_steps + 1)
        self._potential = shape_of(LifFormats(config).membrane)
        self._sum = signed(self._potential.width + bits_for(config.max_steps))
        super().__init__({
            "steps": In(step), "logit": In(LogitLayout()), "count": In(16),
            "en": In(1), "index": In(output), "step": In(step), "potential": In(self._potential), "last": In(1),
            "slot": Out(SpikeLayout(config)), "write": In(1),
            "error_en": Out(1), "error_index": Out(output), "error_data": In(shape_of(config.error)),
            "job_en": Out(1), "job_entry": Out(StepJobLayout(config)),
            "writing": Out(1), "done": Out(1), "saturated": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.values = values = Ram(self._sum, c.max_outputs)
        m.submodules.firsts = firsts = Ram(len(self.step), c.max_outputs)
        order = [Signal(len(self.index), name=f"order_{n}") for n in range(c.max_outputs)]

        # A potential meets what is kept of its neuron a cycle later.
        en, index, step, potential, last = (Signal.like(now, name=f"{name}_here") for name, now in (
            ("en", self.en), ("index", self.index), ("step", self.step), ("potential", self.potential), ("last", self.last)))
        m.d.sync += [en.eq(self.en), last.eq(self.en & self.last)]
        with m.If(self.en):
            m.d.sync += [index.eq(self.index), step.eq(self.step), potential.eq(self.potential)]
        begins, better = Signal(), Signal()
        m.d.comb += [begins.eq(step == 1), better.eq(begins | (~self.logit.over_time & (potential > values.r_data))),
                     values.w_addr.eq(index), values.w_data.eq(potential), values.w_en.eq(en & (better | self.logit.over_time)),
                     firsts.w_addr.eq(index), firsts.w_data.eq(step), firsts.w_en.eq(en & better)]
        with m.If(self.logit.over_time & ~begins):
            m.d.comb += values.w_data.eq(values.r_data + potential)
        self._keep_order(m, order, en & better, begins, index)

        number, sending, fetched, wait = Signal(16), Signal(), Signal(), Signal()
        m.d.comb += [values.r_en.eq(self.en | sending), values.r_addr.eq(Mux(sending, number, self.index))]
        self._send_logits(m, values, sending, fetched, number)
        now = Signal.like(self.steps)  # step of the jobs of a sum
        self._write_jobs(m, firsts, order, number, now)
        with m.FSM():
            with m.State("COLLECT"):
                m.d.sync += [number.eq(0), now.eq(1)]
                with m.If(last):
                    m.next = "LOGITS"
                with m.Elif(self.write):
                    m.next = "JOBS"
            with m.State("LOGITS"):
                m.d.comb += sending.eq(1)
                m.d.sync += number.eq(number + 1)
                with m.If(number + 1 == self.count):
                    m.next = "COLLECT"
            with m.State("JOBS"):
                m.d.comb += [self.error_en.eq(1), self.writing.eq(1)]
                m.d.sync += number.eq(number + 1)
                with m.If(number + 1 == self.count):
                    m.d.sync += [number.eq(0), now.eq(now + 1)]
                    with m.If(~self.logit.over_time | (now == self.steps)):
                        m.d.sync += wait.eq(1)
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += self.writing.eq(1)
                m.d.sync += wait.eq(0)
                with m.If(~wait):
                    m.next = "WRITTEN"
            with m.State("WRITTEN"):
                m.d.comb += self.done.eq(1)
                m.next = "COLLECT"
        return m

    def _keep_order(self, m, order, moves, begins, index):
        """The neurons by their maxima's steps: who reaches a new one goes to the end. In the first step all do, in order."""
        passed = 0
        for n, (here, above) in enumerate(zip(order, [*order[1:], order[-1]], strict=True)):
            passed |= here == index
            with m.If(moves & begins & (index == n)):
                m.d.sync += here.eq(n)
            with m.Elif(moves & ~begins & passed):
                m.d.sync += here.eq(Mux(self.count == n + 1, index, above))

    def _send_logits(self, m, values, sending, fetched, number):
        c, slot = self._config, self.slot
        late, final = Signal.like(slot.index), Signal()
        scaled = Signal(signed(len(values.r_data) + c.logit.fraction + (1 << len(self.logit.gain)) - 1))
        m.d.sync += [fetched.eq(sending), late.eq(number), final.eq(sending & (number + 1 == self.count)), slot.item.eq(fetched)]
        m.d.comb += scaled.eq(((values.r_data << self.logit.gain) << c.logit.fraction) >> c.weight_fraction)
        with m.If(fetched):
            m.d.sync += [slot.index.eq(late), slot.layer_last.eq(final), slot.logit.eq(saturate(scaled, c.logit))]

    def _write_jobs(self, m, firsts, order, number, now):
        """Of a maximum in the order of its steps, of a sum all neurons in every step."""
        c = self._config
        ordered = Signal.like(self.error_index)
        with m.Switch(number[:len(ordered)]):
            for n, here in enumerate(order):
                with m.Case(n):
                    m.d.comb += ordered.eq(here)
        asked, when, index = Signal(), Signal.like(now), Signal.like(ordered)
        m.d.comb += [self.error_index.eq(Mux(self.logit.over_time, number, ordered)), firsts.r_en.eq(self.error_en),
                     firsts.r_addr.eq(self.error_index)]
        shift = Signal(len(self.logit.scale) + 1)
        wide = Signal(signed(c.error.bits + 1 + (1 << len(self.logit.gain)) + (1 << len(self.logit.scale))))
        entry = self.job_entry
        m.d.comb += [shift.eq(self.logit.gain + self.logit.scale), wide.eq(-self.error_data << shift)]
        m.d.sync += [asked.eq(self.error_en), when.eq(now), index.eq(self.error_index), self.job_en.eq(asked),
                     self.saturated.eq(asked & overflows(wide, c.error) & (~self.logit.over_time | (when == 1)))]
        with m.If(asked):
            m.d.sync += [entry.step.eq(Mux(self.logit.over_time, when, firsts.r_data)), entry.index.eq(index),
                         entry.value.eq(saturate(wide, c.error))]
