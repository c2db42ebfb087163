"""Trace lanes: the decayed sums of each presynaptic neuron's spikes, and their products with a job's error. Golden model:
model/exact/lif.py (traces)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY, LifFormats
from ..arithmetic.delay import delay, delays
from ..arithmetic.rounding import round_shift, saturate
from ..arithmetic.spread import spread
from ..layouts import shape_of
from ..memory.decay_table import DecayTable
from ..memory.ram import Ram
from .lanes import contribution_shape

__all__ = ["TraceLanes"]


class TraceLanes(wiring.Component):
    """P neurons a block, each with its trace r and the step v of its last spike. A request a cycle:

    spike : r = min(decay(r, step - v) + 2^tau, 2^17 - 1), v = step, of one neuron.
    job : the block's P contributions value * decay(r, step - v), LATENCY cycles later.

    A request that looks at a neuron's trace comes WRITTEN cycles after the neuron's spike before, or later; each lane has memories
    of its own, so a spike is nothing to its neighbours. So have v and r: v is written at once, and r is read only with the decay's
    power, which keeps a trace away for few cycles and needs no registers until then.

    Members
    -------
    clear_en, block : In. The block's traces become zero, for requests from the next cycle on. Nothing else is in work.
    spike_en, block, lane, step : In. Spike of neuron (block, lane).
    job_en, block, step, value : In. A job's error c and its step m. Not with a spike.
    contribution : Out, P contributions; they stay until the next job's.
    powers_w_en, powers_w_addr, powers_w_data : In. Write port of the table of decays, while nothing is asked for.
    """

    LATENCY = 8
    """Cycles from a job to its contributions."""

    WRITTEN = 5
    """The trace is read in the third cycle behind a request and written in the seventh behind a spike."""

    def __init__(self, config: CoreConfig):
        self._config, self._depth = config, -(-config.max_neurons // config.lanes)
        super().__init__({
            "clear_en": In(1), "spike_en": In(1), "job_en": In(1), "block": In(bits_for(self._depth)),
            "lane": In(bits_for(config.lanes)), "step": In(bits_for(config.max_steps)), "value": In(shape_of(config.error)),
            "contribution": Out(contribution_shape(config)).array(config.lanes),
            "powers_w_en": In(1), "powers_w_addr": In(bits_for(config.max_steps + 1)), "powers_w_data": In(DECAY.bits),
        })

    def elaborate(self, platform):
        m = Module()
        c, form, clear = self._config, LifFormats(self._config).trace, self.clear_en
        m.submodules.powers = powers = DecayTable(c, c.lanes)
        m.d.comb += [powers.w_en.eq(self.powers_w_en), powers.w_addr.eq(self.powers_w_addr), powers.w_data.eq(self.powers_w_data)]

        # Element n of each list: the request n cycles behind it.
        asks, spikes, jobs, blocks, lanes, values = (delays(m, now, 6, name) for now, name in (
            (self.spike_en | self.job_en, "ask"), (self.spike_en, "spike"), (self.job_en, "job"), (self.block, "block"),
            (self.lane, "lane"), (self.value, "value")))
        # What the lanes use in cycle n, from the cycle before.
        look, look_at = spread(m, asks[0], c.lanes, "look"), spread(m, blocks[0], c.lanes, "look_at")
        now, place_at = spread(m, delay(m, self.step, 1, "step"), c.lanes, "now"), spread(m, blocks[1], c.lanes, "place_at")
        fetch, fetch_at = spread(m, asks[2], c.lanes, "fetch"), spread(m, blocks[2], c.lanes, "fetch_at")
        arrived, multiply, finish = (
            spread(m, ask, c.lanes, name) for ask, name in zip(asks[3:], ("arrived", "multiply", "finish")))
        # Cleared words skip the pipeline. Their v may stay: a trace of zero is zero whatever power is found for it.
        grow_at, empty = spread(m, Mux(clear, self.block, blocks[6]), c.lanes, "grow_at"), spread(m, clear, c.lanes, "empty")
        weigh, error = spread(m, jobs[6], c.lanes, "weigh"), spread(m, values[6], c.lanes, "error")
        m.d.comb += powers.r_en.eq(asks[3])
        for k in range(c.lanes):
            # A spike reads its word in all lanes, and may meet the write of a neighbour's there: nobody looks at that lane then.
            m.submodules[f"last_{k}"] = last = Ram(self.step.shape(), self._depth, forwarded=True)
            m.submodules[f"trace_{k}"] = trace = Ram(shape_of(form), self._depth, forwarded=True)
            place, grow = Signal(name=f"place_{k}"), Signal(name=f"grow_{k}")
            since = Signal.like(powers.r_addr[k], name=f"since_{k}")
            factor, kept = Signal(DECAY.bits, name=f"factor_{k}"), Signal(shape_of(form), name=f"kept_{k}")
            product, seen = Signal(DECAY.bits + form.bits, name=f"product_{k}"), Signal(shape_of(form), name=f"seen_{k}")
            # Cycles 1 and 2: last spike and how long ago it was.
            m.d.sync += [place.eq(spikes[1] & (lanes[1] == k)), since.eq(now[k] - last.r_data)]
            m.d.comb += [last.r_en.eq(look[k]), last.r_addr.eq(look_at[k]),
                         last.w_en.eq(place), last.w_addr.eq(place_at[k]), last.w_data.eq(now[k])]
            # Cycles 3 to 6: trace, power and their product. A power of 2^16 leaves the trace as it is: rounding drops only zeros.
            m.d.comb += [trace.r_en.eq(fetch[k]), trace.r_addr.eq(fetch_at[k]), powers.r_addr[k].eq(since)]
            with m.If(arrived[k]):
                m.d.sync += [factor.eq(powers.r_data[k]), kept.eq(trace.r_data)]
            with m.If(multiply[k]):
                m.d.sync += product.eq(kept * factor)
            with m.If(finish[k]):
                m.d.sync += seen.eq(round_shift(product, DECAY.fraction))
            # Cycle 7: the spike's lane grows, or a job's lanes give their contributions.
            m.d.sync += grow.eq(clear | spikes[6] & (lanes[6] == k))
            m.d.comb += [trace.w_en.eq(grow), trace.w_addr.eq(grow_at[k]),
                         trace.w_data.eq(Mux(empty[k], 0, saturate(seen + form.one, form)))]
            with m.If(weigh[k]):
                m.d.sync += self.contribution[k].eq(error[k] * seen)
        return m
