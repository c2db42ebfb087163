"""Firing rule of single-spike ReL-PSP neurons with dynamic threshold. Golden model: model/exact/forward.py.

Source: Frozen Backpropagation, appendix A; arithmetic in docs/numerics.md, "Forward".
"""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay
from ..arithmetic.reciprocal import BITS, DIVIDE_LATENCY, Reciprocal
from ..arithmetic.rounding import round_shift, saturate
from ..layouts import shape_of

__all__ = ["NeuronLayout", "SpikeLayout", "TtfsRule", "classify"]


class NeuronLayout(data.StructLayout):
    """One accumulated neuron on its way into the rule; ``item`` is 0 for a slot that only carries markers."""

    def __init__(self, config: CoreConfig):
        super().__init__({
            "item": 1, "index": bits_for(config.max_neurons), "slope": shape_of(config.slope),
            "level": shape_of(config.level), "potential": 1, "block_last": 1, "layer_last": 1,
        })


class SpikeLayout(data.StructLayout):
    """What became of a neuron: spike, activity with clipped derivatives, and logit (output layer)."""

    def __init__(self, config: CoreConfig):
        factor = config.factor.bits
        super().__init__({
            "item": 1, "index": bits_for(config.max_neurons), "fired": 1, "time": config.time.bits, "active": 1,
            "level_factor": factor, "slope_factor": factor, "level_clipped": 1, "slope_clipped": 1,
            "logit": shape_of(config.logit), "block_last": 1, "layer_last": 1,
        })


def classify(config: CoreConfig, slope, level):
    """(z, saturated, fired) of a neuron as expressions: potential at the window's end, fires at its start, fires."""
    z = (slope << config.time_bits) + level
    saturated = level >= (config.window << config.weight_fraction)
    return z, saturated, saturated | (z >= 0)


class TtfsRule(wiring.Component):
    """Spike time, derivatives and logit of a neuron from its accumulators; one division for each.

    Latency 25 cycles, one neuron a cycle, never stalls.

    Members
    -------
    neuron : In(NeuronLayout). ``potential`` selects readout POTENTIAL for it.
    level_clip, slope_clip : In(16). Clips of |ds/dI| and |ds/dW|, UQ4.12.
    spike : Out(SpikeLayout). Of the neuron 25 cycles before.
    """

    LATENCY = 5 + Reciprocal.LATENCY

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({
            "neuron": In(NeuronLayout(config)), "level_clip": In(config.factor.bits),
            "slope_clip": In(config.factor.bits), "spike": Out(SpikeLayout(config)),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        tau, f = c.time_bits, c.weight_fraction

        # Cycle 1: potential, classification, denominator 1 + W.
        z_now, saturated_now, fired_now = classify(c, self.neuron.slope, self.neuron.level)
        z, logit = Signal(shape_of(c.potential)), Signal(shape_of(c.logit))
        saturated, fired = Signal(), Signal()
        m.submodules.reciprocal = reciprocal = Reciprocal(c.slope.bits + 1)
        scale = f + tau - c.logit.fraction
        m.d.sync += [
            z.eq(z_now), saturated.eq(saturated_now), fired.eq(fired_now),
            logit.eq(saturate(z_now >> scale if scale >= 0 else z_now << -scale, c.logit)),
            reciprocal.value.eq(self.neuron.slope + c.weight.one),
        ]
        marker = {name: delay(m, getattr(self.neuron, name), self.LATENCY - 1, name)
                  for name in ("item", "index", "block_last", "layer_last")}
        potential = delay(m, self.neuron.potential, 1, "potential")

        # Cycles 2, 3: numerator on the denominator's exponent; the logit shares its way.
        padded = max(c.slope.bits + 1, BITS)
        wide = Signal(padded + tau)
        shift = (padded - reciprocal.length).as_unsigned()[:padded.bit_length()]
        m.d.comb += wide.eq(delay(m, z, 1, "z") << shift)
        numerator = Signal(signed(max(BITS + 1, c.logit.bits)))
        m.d.sync += numerator.eq(Mux(delay(m, potential, 1, "potential_z"), delay(m, logit, 1, "logit"),
                                     wide[padded + tau - BITS:]))

        # Cycle 22: quotient z / D, and 1 / (1 + W) as UQ4.12.
        numerator = delay(m, numerator, BITS, "numerator")
        product = Signal(2 * BITS, reset_less=True)  # fpga/absorb.py
        recip, straight = Signal(c.factor.bits), Signal(shape_of(c.logit))
        places = Signal(signed(len(reciprocal.length) + 2))
        shifted = Signal(BITS)
        m.d.sync += places.eq(reciprocal.length + 5 - f)
        places = delay(m, places, DIVIDE_LATENCY, "places")
        m.d.comb += shifted.eq(reciprocal.quotient >> places.as_unsigned())
        m.d.sync += [
            product.eq(numerator[:BITS] * reciprocal.quotient),
            recip.eq(Mux((places < 0) | (shifted > c.factor.max), c.factor.max, shifted)),
            straight.eq(numerator),
        ]

        # Cycle 23: spike time.
        late = 1 + Reciprocal.LATENCY
        fired, saturated = delay(m, fired, late, "fired"), delay(m, saturated, late, "saturated")
        potential = delay(m, potential, late, "potential_late")
        time, spiked, active, recip_2 = Signal(c.time.bits), Signal(), Signal(), Signal.like(recip)
        time_now, rest = Signal(c.time.bits), Signal(c.time.bits + 1)
        digits = 35 - tau
        m.d.comb += time_now.eq(Mux(saturated, c.window, Mux(fired, round_shift(product, digits), 0)))
        # 2 T less the time, rounded from the product as well: a subtraction behind the rounding would make the product wait.
        rest_now = ((2 * c.window << digits) + (1 << digits - 1) - 1 - product) >> digits
        m.d.sync += [
            rest.eq(Mux(potential, 2 * c.window, Mux(saturated, c.window, Mux(fired, rest_now, 2 * c.window)))),
            time.eq(Mux(potential, 0, time_now)), spiked.eq(fired & ~potential),
            active.eq(potential | (fired & ~saturated & (time_now > 0) & (time_now < c.window))), recip_2.eq(recip),
        ]

        # Cycles 24, 25: derivatives and clips.
        slope_product = Signal(c.factor.bits + c.time.bits + 1, reset_less=True)
        m.d.sync += slope_product.eq(rest * recip_2)
        recip_3 = delay(m, recip_2, 1, "recip")
        slope_now = slope_product >> tau
        direct = delay(m, potential, 2, "direct")
        spike, one = self.spike, Const(c.factor.one, c.factor.bits)
        active_3, time_3 = delay(m, active, 1, "active"), delay(m, time, 1, "time")
        level_clipped, slope_clipped = recip_3 > self.level_clip, slope_now > self.slope_clip
        # Clipped behind the comparison's register.
        over, factor = Signal(), Signal.like(spike.slope_factor)
        m.d.comb += [spike.slope_factor.eq(Mux(over, self.slope_clip, factor)), spike.slope_clipped.eq(over & spike.active)]
        m.d.sync += [
            over.eq(slope_clipped & ~direct), factor.eq(Mux(direct, 2 * c.factor.one, slope_now)),
            spike.fired.eq(delay(m, spiked, 1, "spiked") & marker["item"]), spike.time.eq(time_3),
            spike.active.eq(active_3 & marker["item"]),
            spike.level_factor.eq(Mux(direct, one, Mux(level_clipped, self.level_clip, recip_3))),
            spike.level_clipped.eq(level_clipped & active_3 & ~direct & marker["item"]),
            spike.logit.eq(Mux(direct, delay(m, straight, 2, "straight"), time_3 << (c.logit.fraction - tau))),
        ]
        m.d.sync += [spike[name].eq(value) for name, value in marker.items()]
        return m
