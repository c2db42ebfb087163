"""What a neuron of rule rate did in a sample: its rate, its eligibility as a factor, or its logit. Golden model:
model/exact/traces.py (rates, eligibility_factor)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.rate import RATE_FRACTION, RateFormats
from ...spec.registers import TICK_BITS
from ..arithmetic.delay import delay
from ..arithmetic.rounding import round_shift, saturate
from ..layouts import shape_of
from .rule import SpikeLayout

__all__ = ["RateNeuronLayout", "RateRule"]


class RateNeuronLayout(data.StructLayout):
    """A neuron after its last step: of hidden layers spike count and eligibility, of the output layer (``output``) its level.
    ``item`` is 0 for a slot that only carries markers."""

    def __init__(self, config: CoreConfig):
        formats = RateFormats(config)
        super().__init__({
            "item": 1, "index": bits_for(config.max_neurons), "output": 1, "level": shape_of(config.level),
            "count": formats.count.bits, "eligibility": formats.eligibility.bits, "block_last": 1, "layer_last": 1,
        })


class RateRule(wiring.Component):
    """Rate r in ticks and factor g of a neuron, in the fields of a single-spike neuron: ``time`` and both factors; or its logit.

    Latency 2 cycles, one neuron a cycle, never stalls.

    Members
    -------
    neuron : In(RateNeuronLayout). ticks : In(19). K. spike : Out(SpikeLayout), a register.
    """

    LATENCY = 2

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({"neuron": In(RateNeuronLayout(config)), "ticks": In(TICK_BITS), "spike": Out(SpikeLayout(config))})

    def elaborate(self, platform):
        m = Module()
        c, formats, neuron, spike = self._config, RateFormats(self._config), self.neuron, self.spike

        # Cycle 1: count times K; g; logit.
        ticks, factor = Signal(formats.count.bits + TICK_BITS), Signal(c.factor.bits)
        logit, fired = Signal(shape_of(c.logit)), Signal()
        rounded = round_shift(neuron.eligibility, formats.eligibility.fraction - c.factor.fraction)
        down = c.level.fraction - c.logit.fraction
        m.d.sync += [
            ticks.eq(neuron.count * self.ticks), factor.eq(Mux(rounded > c.factor.max, c.factor.max, rounded)),
            fired.eq(neuron.item & ~neuron.output & (neuron.count != 0)),
            logit.eq(saturate(neuron.level >> down if down >= 0 else neuron.level << -down, c.logit)),
        ]
        late = {name: delay(m, neuron[name], 1, name) for name in ("item", "index", "output", "block_last", "layer_last")}

        # Cycle 2: the rate.
        rate = round_shift(ticks, RATE_FRACTION)
        passed = Mux(late["output"], c.factor.one, factor)
        m.d.sync += [
            spike.item.eq(late["item"]), spike.index.eq(late["index"]), spike.fired.eq(fired),
            spike.time.eq(Mux(late["output"], 0, Mux(rate > c.window, c.window, rate))),
            spike.active.eq(late["item"] & (late["output"] | (factor != 0))),
            spike.level_factor.eq(passed), spike.slope_factor.eq(passed), spike.logit.eq(logit),
            spike.block_last.eq(late["block_last"]), spike.layer_last.eq(late["layer_last"]),
        ]
        return m
