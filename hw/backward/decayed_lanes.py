"""Decayed lanes: the decayed sums over time that gradients are made of, traces r_i of presynaptic neurons' spikes or errors delta_j
of postsynaptic ones. Golden model: model/exact/lif.py (decayed_sums)."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY, LifFormats
from ..arithmetic.delay import delay, delays
from ..arithmetic.lane_products import LaneProducts
from ..arithmetic.rounding import overflows, round_shift, saturate
from ..arithmetic.spread import spread
from ..lane_parts import Parts, part
from ..layouts import shape_of
from ..memory.decay_table import DecayTable
from ..memory.ram import Ram
from .lanes import contribution_shape

__all__ = ["DecayedLanes"]


class DecayedLanes(wiring.Component):
    """P neurons a block, each with its sum x and the step v of its last growth. A request a cycle, n = |step - v|:

    grow : x = sat(decay(x, n) + amount), v = step, of one neuron. The amount is 2^tau and x a trace r, up to 2^17 - 1;
        or, ``by_spikes``, ``value`` 2^tau and x an error delta.
    read : the block's P contributions LATENCY cycles later: ``value`` decay(x, n); or, ``by_spikes``, decay(x, n).

    A request that looks at a neuron's sum comes WRITTEN cycles after the neuron's growth before, or later; each lane has memories
    of its own, so a growth is nothing to its neighbours. So have v and x: v is written at once, and x is read only with the decay's
    power, which keeps a sum away for few cycles and needs no registers until then.

    Parameters
    ----------
    lent : ``decay_products``, if they are not its own.

    Members
    -------
    by_spikes : In(1). Steps go down, and sums are errors. Stable while anything is in work.
    clear_en, block : In. The block's sums become zero, for requests from the next cycle on. Nothing else is in work.
    grow_en, block, lane, step, value : In. Neuron (block, lane) grows.
    read_en, block, step, value : In. Not with a growth.
    contribution : Out, P contributions; they stay until the next reading's.
    saturated : Out(1). An error saturated as it grew, LATENCY cycles before.
    powers_w_en, powers_w_addr, powers_w_data : In. Write port of the table of decays, while nothing is asked for.
    """

    LATENCY = 8
    """Cycles from a reading to its contributions."""

    WRITTEN = 5
    """The sum is read in the third cycle behind a request and written in the seventh behind a growth."""

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent, self._depth = config, lent or {}, -(-config.max_neurons // config.lanes)
        super().__init__({
            "by_spikes": In(1), "clear_en": In(1), "grow_en": In(1), "read_en": In(1), "block": In(bits_for(self._depth)),
            "lane": In(bits_for(config.lanes)), "step": In(bits_for(config.max_steps)), "value": In(shape_of(config.error)),
            "contribution": Out(contribution_shape(config)).array(config.lanes), "saturated": Out(1),
            "powers_w_en": In(1), "powers_w_addr": In(bits_for(config.max_steps + 1)), "powers_w_data": In(DECAY.bits),
        })

    def elaborate(self, platform):
        m = Module()
        c, formats, clear, step_bits = self._config, LifFormats(self._config), self.clear_en, len(self.step)
        trace, delta = formats.trace, formats.delta
        m.submodules.powers = powers = DecayTable(c, c.lanes)
        products = part(m, self._lent, "decay_products", lambda: LaneProducts(shape_of(delta), shape_of(DECAY), c.lanes))
        m.d.comb += [powers.w_en.eq(self.powers_w_en), powers.w_addr.eq(self.powers_w_addr), powers.w_data.eq(self.powers_w_data)]

        # Element n of each list: the request n cycles behind it.
        asks, grows, reads, blocks, lanes, values = (delays(m, now, 6, name) for now, name in (
            (self.grow_en | self.read_en, "ask"), (self.grow_en, "grow"), (self.read_en, "read"), (self.block, "block"),
            (self.lane, "lane"), (self.value, "value")))
        # What the lanes use in cycle n, from the cycle before.
        look, look_at = spread(m, asks[0], c.lanes, "look"), spread(m, blocks[0], c.lanes, "look_at")
        now, place_at = spread(m, delay(m, self.step, 1, "step"), c.lanes, "now"), spread(m, blocks[1], c.lanes, "place_at")
        fetch, fetch_at = spread(m, asks[2], c.lanes, "fetch"), spread(m, blocks[2], c.lanes, "fetch_at")
        arrived, multiply, finish = (
            spread(m, ask, c.lanes, name) for ask, name in zip(asks[3:], ("arrived", "multiply", "finish")))
        # Cleared words skip the pipeline. Their v may stay: a sum of zero is zero whatever power is found for it.
        store_at, empty = spread(m, Mux(clear, self.block, blocks[6]), c.lanes, "store_at"), spread(m, clear, c.lanes, "empty")
        weigh, error = spread(m, reads[6], c.lanes, "weigh"), spread(m, values[6], c.lanes, "error")
        by_spikes = spread(m, self.by_spikes, c.lanes, "by_spikes_here")
        amounts, over = spread(m, Mux(self.by_spikes, values[6] << trace.fraction, trace.one), c.lanes, "amount"), Signal(c.lanes)
        m.d.comb += powers.r_en.eq(asks[3])
        m.d.sync += self.saturated.eq(self.by_spikes & over.any())
        for k in range(c.lanes):
            # A growth reads its word in all lanes, and may meet the write of a neighbour's there: nobody looks at that lane then.
            m.submodules[f"last_{k}"] = last = Ram(self.step.shape(), self._depth, forwarded=True)
            m.submodules[f"sum_{k}"] = sums = Ram(shape_of(delta), self._depth, forwarded=True)
            place, store = Signal(name=f"place_{k}"), Signal(name=f"store_{k}")
            since = Signal.like(powers.r_addr[k], name=f"since_{k}")
            factor, kept = Signal(DECAY.bits, name=f"factor_{k}"), Signal(shape_of(delta), name=f"kept_{k}")
            seen = Signal(shape_of(delta), name=f"seen_{k}")
            # Cycles 1 and 2: last growth and how long ago it was.
            m.d.sync += [place.eq(grows[1] & (lanes[1] == k)),
                         since.eq(Mux(by_spikes[k], last.r_data - now[k], now[k] - last.r_data)[:step_bits])]
            m.d.comb += [last.r_en.eq(look[k]), last.r_addr.eq(look_at[k]),
                         last.w_en.eq(place), last.w_addr.eq(place_at[k]), last.w_data.eq(now[k])]
            # Cycles 3 to 6: sum, power and their product. A power of 2^16 leaves the sum as it is: rounding drops only zeros.
            m.d.comb += [sums.r_en.eq(fetch[k]), sums.r_addr.eq(fetch_at[k]), powers.r_addr[k].eq(since)]
            with m.If(arrived[k]):
                m.d.sync += [factor.eq(powers.r_data[k]), kept.eq(sums.r_data)]
            m.d.comb += [products.en[k].eq(multiply[k]), products.a[k].eq(kept), products.b[k].eq(factor)]
            with m.If(finish[k]):
                m.d.sync += seen.eq(round_shift(products.product[k], DECAY.fraction))
            # Cycle 7: the growing lane's sum, or a reading's contributions.
            grown = Signal(signed(delta.bits + 1), name=f"grown_{k}")
            m.d.sync += store.eq(clear | grows[6] & (lanes[6] == k))
            m.d.comb += [
                grown.eq(seen + amounts[k]), over[k].eq(store & ~empty[k] & overflows(grown, delta)),
                sums.w_en.eq(store), sums.w_addr.eq(store_at[k]),
                sums.w_data.eq(Mux(empty[k], 0, Mux(by_spikes[k], saturate(grown, delta), saturate(grown, trace)))),
            ]
            with m.If(weigh[k]):
                m.d.sync += self.contribution[k].eq(Mux(by_spikes[k], seen, error[k] * seen[:trace.bits]))
        return m
