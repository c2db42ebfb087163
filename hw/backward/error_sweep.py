"""Error sweep of one layer of one sample: errors of the layer before from this layer's jobs, in reverse time. Golden model:
model/exact/sparse_bptt.py, ``hidden_jobs``."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY
from ..arithmetic.delay import delay
from ..lane_parts import Parts
from ..layouts import RateBoundsLayout, RateLossLayout, StepJobLayout, block_count_bits, shape_of
from ..memory.decay_table import DecayTable
from .error_lanes import ErrorLanes, error_sum_shape
from .error_look import ErrorLook, LookLayout

__all__ = ["ErrorSweep"]

FILL = 3
"""Cycles of a sweep before both lists' last entries are here."""

WAIT = ErrorLanes.BEHIND - ErrorLook.READ
"""Cycles that looks stay behind the jobs, so that they read what the jobs before them wrote, and nothing of those after them."""

DRAIN = WAIT + ErrorLook.LATENCY
"""Cycles from a look's turn to its replaced entry; longer than a job's way to the sums."""


class ErrorSweep(wiring.Component):
    """Merges jobs of layer l and active neurons of layer l - 1, each list from its last entry to its first, in reverse time: jobs
    (j, t) before looks at V[t]. Jobs (j, 0) would come after all looks and are left out, as in the golden model.

    ``busy`` is high for FIXED + J max(in_blocks, ErrorLanes.DEPTH) + S cycles, with J the jobs of step >= 2 and S the active
    neurons, in whatever order they come: looks follow jobs without a gap, as they stay WAIT cycles behind on their way.

    Parameters
    ----------
    lent : what other rules' engines lend its lanes.

    Members
    -------
    start : In(1). Begin; not while ``busy``. busy : Out(1). done : Out(1), in the last busy cycle.
    job_count : In. job_en, job_index, job_entry : read port of the jobs of layer l (latency 1, data held while ``job_en`` is low):
        ascending by step, entry.step = m + 1, value = c.
    active_count : In. active_en, active_index, active_entry : the same of the active neurons of layer l - 1: entry.step = t >= 1,
        value = g. replace_en, replace_index, replace_entry : Out. Their errors take the place of g.
    in_blocks, n_in, sum_base : In. Blocks and neurons of layer l - 1, its first block in the sums.
    column_base, feedback_offset : In. The feedback word of column j, block b is column_base + j in_blocks + b - feedback_offset.
    shift : In. p, at least 1. All these are stable while busy, and in the cycle of ``start``.
    powers_w_en, powers_w_addr, powers_w_data : In. Write B[n]; while not busy.
    feedback_en, feedback_addr, feedback_data : read port of the feedback memory (latency 1).
    sum_en, sum_addr, sum_data : read port of the sums for the host, while not busy (latency 1).
    saturated : Out. How many operands and errors saturated.
    counts, bounds, strength : In, with losses of rates only, as of ErrorLook. count_en, count_addr : Out. Read port of the counts
        (latency 1).
    """

    FIXED = FILL + DRAIN

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        index, count, entry = bits_for(config.job_entries), bits_for(config.job_entries + 1), StepJobLayout(config)
        block, word, lanes = bits_for(config.neuron_blocks), bits_for(config.gradient_words), config.lanes
        super().__init__({
            "start": In(1), "busy": Out(1), "done": Out(1),
            "job_count": In(count), "job_en": Out(1), "job_index": Out(index), "job_entry": In(entry),
            "active_count": In(count), "active_en": Out(1), "active_index": Out(index), "active_entry": In(entry),
            "replace_en": Out(1), "replace_index": Out(index), "replace_entry": Out(entry),
            "in_blocks": In(block_count_bits(config)), "n_in": In(16), "sum_base": In(block),
            "column_base": In(word), "feedback_offset": In(word), "shift": In(6),
            "powers_w_en": In(1), "powers_w_addr": In(bits_for(config.max_steps + 1)), "powers_w_data": In(DECAY.bits),
            "feedback_en": Out(1), "feedback_addr": Out(bits_for(config.feedback_words)),
            "feedback_data": In(shape_of(config.weight)).array(lanes),
            "sum_en": In(1), "sum_addr": In(block), "sum_data": Out(error_sum_shape(config)).array(lanes),
            "saturated": Out(bits_for(lanes + 4)),
            **({"counts": In(bits_for(config.max_steps + 1)).array(lanes), "bounds": In(RateBoundsLayout()),
                "strength": In(RateLossLayout()), "count_en": Out(1), "count_addr": Out(block).array(lanes)}
               if config.rate_loss else {}),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.lanes = lanes = ErrorLanes(c, self._lent)
        m.submodules.look = look = ErrorLook(c)
        m.submodules.powers = powers = DecayTable(c, 2)
        go, running, wait = Signal(), Signal(), Signal(range(max(FILL, DRAIN)))
        entry = StepJobLayout(c)

        # The last entries not yet done of both lists. A job's place in the feedback memory, and what lies between it and the job
        # before, are made on its way.
        next_look, looks_left, place, take_look = Signal(entry), Signal(), Signal.like(self.active_index), Signal()
        self._read_ahead(m, "active", go, take_look, next_look, looks_left, place)
        after, after_here, load = Signal(entry), Signal(), Signal()
        self._read_ahead(m, "job", go, load, after, after_here, Signal.like(self.job_index))
        next_job, jobs_left, take_job = Signal(entry), Signal(), Signal()
        job, base = lanes.i_jobs.payload, Signal.like(self.feedback_addr)
        offset, steps, fresh, loaded, decays = Signal.like(base), Signal.like(job.steps), Signal(), Signal(), Signal()
        m.d.comb += load.eq(after_here & (after.step != 1) & (~jobs_left | take_job))
        m.d.sync += [jobs_left.eq(load | (jobs_left & ~take_job)), base.eq(self.column_base - self.feedback_offset)]
        with m.If(load):
            m.d.sync += [next_job.eq(after), offset.eq(after.index * self.in_blocks), fresh.eq(~loaded), loaded.eq(1),
                         decays.eq(loaded & (after.step != next_job.step)), steps.eq(next_job.step - after.step)]

        # One of the two has its turn. u: of the last job so far.
        job_first, u, none = Signal(), Signal.like(next_job.step), Signal()
        m.d.comb += [
            job_first.eq(jobs_left & (~looks_left | (next_job.step > next_look.step))),
            lanes.i_jobs.valid.eq(running & job_first), take_job.eq(lanes.i_jobs.valid & lanes.i_jobs.ready),
            take_look.eq(running & lanes.i_jobs.ready & looks_left & ~job_first),
            job.error.eq(next_job.value), job.column.eq(base + offset), job.fresh.eq(fresh), job.decays.eq(decays),
            job.steps.eq(steps),
        ]
        with m.If(take_job):
            m.d.sync += [u.eq(next_job.step - 1), none.eq(0)]
        with m.If(go):
            m.d.sync += [jobs_left.eq(0), loaded.eq(0), none.eq(1)]
        taken = Signal(LookLayout(c))
        m.d.comb += [taken.entry.eq(next_look), taken.place.eq(place), taken.steps.eq(u - next_look.step), taken.fresh.eq(none)]

        m.d.comb += [
            look.en.eq(delay(m, take_look, WAIT, "look_en")), look.look.eq(delay(m, taken, WAIT, "look")),
            look.sum_base.eq(self.sum_base), look.shift.eq(self.shift), lanes.sum_base.eq(self.sum_base),
            lanes.in_blocks.eq(self.in_blocks), lanes.n_in.eq(self.n_in), lanes.sum_en.eq(look.sum_en | self.sum_en),
            self.replace_en.eq(look.replace_en), self.replace_index.eq(look.replace_index),
            self.replace_entry.eq(look.replace_entry),
            self.feedback_en.eq(lanes.feedback_en), self.feedback_addr.eq(lanes.feedback_addr),
            powers.w_en.eq(self.powers_w_en), powers.w_addr.eq(self.powers_w_addr), powers.w_data.eq(self.powers_w_data),
            powers.r_en.eq(self.busy), powers.r_addr[0].eq(lanes.power_addr), lanes.power.eq(powers.r_data[0]),
            powers.r_addr[1].eq(look.power_addr), look.power.eq(powers.r_data[1]),
            self.saturated.eq(lanes.saturated + look.saturated),
        ]
        if c.rate_loss:
            m.d.comb += [look.bounds.eq(self.bounds), look.strength.eq(self.strength), self.count_en.eq(look.sum_en),
                         *(mine.eq(theirs) for mine, theirs in zip(look.counts, self.counts)),
                         *(mine.eq(theirs) for mine, theirs in zip(self.count_addr, look.sum_addr))]
        for k in range(c.lanes):
            m.d.comb += [lanes.feedback_data[k].eq(self.feedback_data[k]), look.sum_data[k].eq(lanes.sum_data[k]),
                         self.sum_data[k].eq(lanes.sum_data[k]),
                         lanes.sum_addr[k].eq(Mux(self.busy, look.sum_addr[k], self.sum_addr))]

        m.d.comb += self.busy.eq(1)
        m.d.sync += wait.eq(wait - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), go.eq(self.start)]
                m.d.sync += wait.eq(FILL - 1)
                with m.If(self.start):
                    m.next = "FILL"
            with m.State("FILL"):
                with m.If(wait == 0):
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += running.eq(1)
                m.d.sync += wait.eq(DRAIN - 2)
                with m.If(lanes.i_jobs.ready & ~jobs_left & ~looks_left):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(wait == 0):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m

    def _read_ahead(self, m, name, go, take, entry, here, place):
        """Reads list ``name`` from its last entry to its first, two ahead: while ``here``, one waits in ``entry`` (with its
        ``place`` in the list), and the next at the memory. After ``take`` the next one follows at once."""
        count, en, index, data = (getattr(self, f"{name}_{member}") for member in ("count", "en", "index", "entry"))
        more, asked, moves, asked_place = (
            *(Signal(name=f"{name}_{signal}") for signal in ("more", "asked", "moves")), Signal.like(index, name=f"{name}_place"))
        m.d.comb += [moves.eq(asked & (~here | take)), en.eq(more & (~asked | moves))]
        m.d.sync += [asked.eq(en | (asked & ~moves)), here.eq(moves | (here & ~take))]
        with m.If(en):
            m.d.sync += [index.eq(index - 1), more.eq(index != 0), asked_place.eq(index)]
        with m.If(moves):
            m.d.sync += [entry.eq(data), place.eq(asked_place)]
        with m.If(go):
            m.d.sync += [index.eq(count - 1), more.eq(count != 0), asked.eq(0), here.eq(0)]
