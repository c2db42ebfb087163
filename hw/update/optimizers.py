"""Optimizers: the step numerator and what stays in the gradient memory. Golden model: model/exact/update.py."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Optimizer
from ..arithmetic.delay import delays
from ..arithmetic.wide_product import wide_product
from ..layouts import shape_of

__all__ = ["MOMENTUM_FACTOR", "SgdRule", "SignMomentumRule", "optimizer_rule", "step_shape"]

MOMENTUM_FACTOR = 230
"""Momentum that stays after an update, in 1/256: 0.898."""


def step_shape(config: CoreConfig):
    """Shape of a step numerator, without overflow: gradient x mantissa (SGD) or a sign x mantissa << 16, + weight x decay."""
    pull = config.gradient.bits + 8 if config.optimizer is Optimizer.SGD else 24
    return signed(max(pull, config.weight.bits + 16) + 2)


class _Rule(wiring.Component):
    LATENCY = 3

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
        enables = delays(m, self.enable, self.LATENCY - 1, "enable")
        for k in range(self._config.lanes):
            shrink = [Signal(signed(self._config.weight.bits + 17), name=f"shrink_{k}_{n}") for n in range(2)]
            with m.If(enables[0]):
                m.d.sync += shrink[0].eq(self.weight[k] * self.decay)
            with m.If(enables[1]):
                m.d.sync += shrink[1].eq(shrink[0])
            pull = self._pull(m, self.gradient[k], enables, k)
            with m.If(enables[2]):
                m.d.sync += self.step[k].eq(pull + shrink[1])
        return m


class SgdRule(_Rule):
    """Plain gradient step: step = G m + W d, nothing kept. Latency 3 cycles, P weights a cycle.

    Members
    -------
    enable : In(1). Operands are present; the outputs hold otherwise.
    weight, gradient : In, arrays of P.
    mantissa, decay : In. m and d of the layer.
    step : Out, P numerators, LATENCY cycles later.
    kept : Out, P values to write back into the gradient memory, LATENCY cycles later.
    """

    def _pull(self, m, gradient, enables, lane):
        return wide_product(m, gradient, self.mantissa, enables, f"pull_{lane}")


class SignMomentumRule(_Rule):
    """Lion with equal interpolation: the gradient memory holds M = beta M + sum g; step = (sign(M) m << 16) + W d;
    beta M is kept, beta = 230 / 256, rounded towards zero. Latency 3 cycles, P weights a cycle. Members as SgdRule."""

    def _pull(self, m, gradient, enables, lane):
        # A cycle for the magnitude, two for its product, and (combinational, at the output) the sign.
        negative, magnitude = Signal(3, name=f"negative_{lane}"), Signal(self._config.gradient.bits, name=f"magnitude_{lane}")
        pull = [Signal(signed(9), name=f"pull_{lane}_{n}") for n in range(2)]
        with m.If(enables[0]):
            m.d.sync += [negative[0].eq(gradient[-1]), magnitude.eq(Mux(gradient[-1], -gradient, gradient)),
                         pull[0].eq(Mux(gradient == 0, 0, Mux(gradient[-1], -self.mantissa, self.mantissa)))]
        with m.If(enables[1]):
            m.d.sync += [negative[1].eq(negative[0]), pull[1].eq(pull[0])]
        with m.If(enables[2]):
            m.d.sync += negative[2].eq(negative[1])
        size = wide_product(m, magnitude, MOMENTUM_FACTOR, enables[1:], f"size_{lane}")
        shrunk = size >> 8
        m.d.comb += self.kept[lane].eq(Mux(negative[2], -shrunk, shrunk))
        return pull[1] << 16


def optimizer_rule(config: CoreConfig) -> _Rule:
    """The rule that the configuration names."""
    return {Optimizer.SGD: SgdRule, Optimizer.SIGN_MOMENTUM: SignMomentumRule}[config.optimizer](config)
