"""Optimizers: the step numerator and what stays in the gradient memory. Golden model: model/exact/update.py."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Optimizer
from ..layouts import shape_of

__all__ = ["MOMENTUM_FACTOR", "SgdRule", "SignMomentumRule", "optimizer_rule", "step_shape"]

MOMENTUM_FACTOR = 230
"""Momentum that stays after an update, in 1/256: 0.898."""


def step_shape(config: CoreConfig):
    """Shape of a step numerator, without overflow: gradient x mantissa (SGD) or a sign x mantissa << 16, + weight x decay."""
    pull = config.gradient.bits + 8 if config.optimizer is Optimizer.SGD else 24
    return signed(max(pull, config.weight.bits + 16) + 2)


class _Rule(wiring.Component):
    LATENCY = 2

    def __init__(self, config: CoreConfig):
        self._config = config
        weight, gradient, lanes = shape_of(config.weight), shape_of(config.gradient), config.lanes
        super().__init__({
            "weight": In(weight).array(lanes), "gradient": In(gradient).array(lanes),
            "enable": In(1), "mantissa": In(8), "decay": In(16),
            "step": Out(step_shape(config)).array(lanes), "kept": Out(gradient).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        late = Signal()
        m.d.sync += late.eq(self.enable)
        for k in range(self._config.lanes):
            shrink = Signal(signed(self._config.weight.bits + 17), name=f"shrink_{k}")
            with m.If(self.enable):
                m.d.sync += shrink.eq(self.weight[k] * self.decay)
            pull = self._pull(m, self.gradient[k], late, k)
            with m.If(late):
                m.d.sync += self.step[k].eq(pull + shrink)
        return m


class SgdRule(_Rule):
    """Plain gradient step: step = G m + W d, nothing kept. Latency 2 cycles, P weights a cycle.

    Members
    -------
    enable : In(1). Operands are present; the outputs hold otherwise.
    weight, gradient : In, arrays of P.
    mantissa, decay : In. m and d of the layer.
    step : Out, P numerators, LATENCY cycles later.
    kept : Out, P values to write back into the gradient memory, LATENCY cycles later.
    """

    def _pull(self, m, gradient, late, lane):
        pull = Signal(signed(self._config.gradient.bits + 9), name=f"pull_{lane}")
        with m.If(self.enable):
            m.d.sync += pull.eq(gradient * self.mantissa)
        return pull


class SignMomentumRule(_Rule):
    """Lion with equal interpolation: the gradient memory holds M = beta M + sum g; step = (sign(M) m << 16) + W d;
    beta M is kept, beta = 230 / 256, rounded towards zero. Latency 2 cycles, P weights a cycle. Members as SgdRule."""

    def _pull(self, m, gradient, late, lane):
        q = self._config.gradient
        # A cycle each for the magnitude, its product, and (combinational, at the output) the sign.
        negative, magnitude = Signal(2, name=f"negative_{lane}"), Signal(q.bits, name=f"magnitude_{lane}")
        pull, size = Signal(signed(9), name=f"pull_{lane}"), Signal(q.bits + 8, name=f"size_{lane}")
        with m.If(self.enable):
            m.d.sync += [negative[0].eq(gradient[-1]), magnitude.eq(Mux(gradient[-1], -gradient, gradient)),
                         pull.eq(Mux(gradient == 0, 0, Mux(gradient[-1], -self.mantissa, self.mantissa)))]
        with m.If(late):
            m.d.sync += [negative[1].eq(negative[0]), size.eq(magnitude * MOMENTUM_FACTOR)]
        shrunk = size >> 8
        m.d.comb += self.kept[lane].eq(Mux(negative[1], -shrunk, shrunk))
        return pull << 16


def optimizer_rule(config: CoreConfig) -> _Rule:
    """The rule that the configuration names."""
    return {Optimizer.SGD: SgdRule, Optimizer.SIGN_MOMENTUM: SignMomentumRule}[config.optimizer](config)
