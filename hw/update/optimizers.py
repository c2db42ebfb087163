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
    """Shape of a step numerator: gradient x mantissa + weight x decay, without overflow."""
    return signed(max(config.gradient.bits + 8, config.weight.bits + 16, 26) + 2)


class _Rule(wiring.Component):
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
        step = step_shape(self._config)
        for k in range(self._config.lanes):
            pull, shrink = Signal(step, name=f"pull_{k}"), Signal(step, name=f"shrink_{k}")
            with m.If(self.enable):
                m.d.comb += [pull.eq(self._pull(self.gradient[k])), shrink.eq(self.weight[k] * self.decay)]
                m.d.sync += self.step[k].eq(pull + shrink)
            m.d.comb += self.kept[k].eq(self._keep(m, self.gradient[k], k))
        return m


class SgdRule(_Rule):
    """Plain gradient step: step = G m + W d, nothing kept. Latency 1 cycle, P weights a cycle.

    Members
    -------
    enable : In(1). Operands are present; the outputs hold otherwise.
    weight, gradient : In, arrays of P.
    mantissa, decay : In. m and d of the layer.
    step : Out, P numerators, one cycle later.
    kept : Out, P values to write back into the gradient memory, one cycle later.
    """

    def _pull(self, gradient):
        return gradient * self.mantissa

    def _keep(self, m, gradient, lane):
        return 0


class SignMomentumRule(_Rule):
    """Lion with equal interpolation: the gradient memory holds M = beta M + sum g; step = (sign(M) m << 16) + W d;
    beta M is kept, beta = 230 / 256, rounded towards zero. Latency 1 cycle, P weights a cycle. Members as SgdRule."""

    def _pull(self, gradient):
        return Mux(gradient == 0, 0, Mux(gradient[-1], -self.mantissa, self.mantissa)) << 16

    def _keep(self, m, gradient, lane):
        q = self._config.gradient
        negative, size = Signal(name=f"negative_{lane}"), Signal(q.bits + 8, name=f"size_{lane}")
        magnitude = Signal(q.bits, name=f"magnitude_{lane}")
        with m.If(self.enable):
            m.d.comb += magnitude.eq(Mux(gradient[-1], -gradient, gradient))
            m.d.sync += [negative.eq(gradient[-1]), size.eq(magnitude * MOMENTUM_FACTOR)]
        shrunk = size >> 8
        return Mux(negative, -shrunk, shrunk)


def optimizer_rule(config: CoreConfig) -> _Rule:
    """The rule that the configuration names."""
    return {Optimizer.SGD: SgdRule, Optimizer.SIGN_MOMENTUM: SignMomentumRule}[config.optimizer](config)
