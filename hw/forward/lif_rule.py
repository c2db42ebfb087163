"""Threshold, activity and surrogate derivative of leaky integrate-and-fire neurons. Golden model: model/exact/lif.py (fire,
surrogate).

Arithmetic in docs/numerics.md, "Sparse BPTT: forward".
"""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import SURROGATE, SURROGATE_SLOPE, LifFormats
from ..arithmetic.delay import delay
from ..arithmetic.reciprocal import BITS, DIVIDE_LATENCY, Reciprocal
from ..layouts import shape_of

__all__ = ["LeakyNeuronLayout", "LeakySpikeLayout", "LifRule", "window_shape"]


class LeakyNeuronLayout(data.StructLayout):
    """One neuron at potential V[step] on its way into the rule; ``item`` is 0 for a slot that only carries markers, ``last`` marks
    the last slot of a step."""

    def __init__(self, config: CoreConfig):
        super().__init__({
            "item": 1, "step": bits_for(config.max_steps + 1), "index": bits_for(config.max_neurons),
            "potential": shape_of(LifFormats(config).membrane), "last": 1,
        })


class LeakySpikeLayout(data.StructLayout):
    """What became of a neuron: spike, activity, and surrogate derivative g (UQ0.16; of active neurons)."""

    def __init__(self, config: CoreConfig):
        super().__init__({**LeakyNeuronLayout(config).members, "fired": 1, "active": 1, "surrogate": SURROGATE.bits})


def window_shape(config: CoreConfig) -> Shape:
    """Shape of the window w: it may be larger than every |V - 1|."""
    return unsigned(LifFormats(config).membrane.bits + 1)


class LifRule(wiring.Component):
    """g = 1 / (1 + 100 |V - 1|)^2 of a neuron, and whether it fires and is active: V > 1, |V - 1| < w.

    Latency 26 cycles, one neuron a cycle, never stalls.

    Members
    -------
    neuron : In(LeakyNeuronLayout).
    window : In(19). w, in units of the last bit; stable while neurons are inside.
    spike : Out(LeakySpikeLayout). Of the neuron 26 cycles before.
    """

    LATENCY = 6 + Reciprocal.LATENCY

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({"neuron": In(LeakyNeuronLayout(config)), "window": In(window_shape(config)),
                          "spike": Out(LeakySpikeLayout(config))})

    def elaborate(self, platform):
        m = Module()
        form = LifFormats(self._config).membrane
        farthest = form.one - form.min

        # Cycles 1 to 4: V - 1; its magnitude; that 100 times, and beside it the comparison with the window; D.
        excess, distance = Signal(signed(form.bits + 1)), Signal(range(farthest + 1))
        scaled, fired, active = Signal(range(SURROGATE_SLOPE * farthest + 1)), Signal(), Signal()
        m.submodules.reciprocal = reciprocal = Reciprocal((form.one + SURROGATE_SLOPE * farthest).bit_length())
        m.d.sync += [
            excess.eq(self.neuron.potential - form.one),
            distance.eq(Mux(excess < 0, -excess, excess)), fired.eq(excess > 0),
            scaled.eq(distance * SURROGATE_SLOPE), active.eq(distance < self.window),
            reciprocal.value.eq(scaled + form.one),
        ]

        # Cycle 25: 1 / D, UQ0.18. D has no fewer bits than 1.0, so the shift is not negative.
        places, inverse = Signal.like(reciprocal.length), Signal(BITS)
        m.d.sync += places.eq(reciprocal.length - (form.fraction + 1))
        m.d.sync += inverse.eq(reciprocal.quotient >> delay(m, places, DIVIDE_LATENCY, "places"))

        # Cycle 26: the square, whose upper bits are g: 2^18 - 1 squared, shifted, is the largest g.
        square = Signal(2 * BITS)
        m.d.sync += square.eq(inverse * inverse)
        late = {name: delay(m, self.neuron[name], self.LATENCY, name) for name in self.neuron.shape().members}
        m.d.comb += [
            *(self.spike[name].eq(value) for name, value in late.items()),
            self.spike.fired.eq(late["item"] & delay(m, fired, self.LATENCY - 2, "fired")),
            self.spike.active.eq(late["item"] & delay(m, active, self.LATENCY - 3, "active")),
            self.spike.surrogate.eq(square[2 * BITS - SURROGATE.fraction:]),
        ]
        return m
