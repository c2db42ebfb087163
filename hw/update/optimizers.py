"""Optimizers: the step and what stays in the gradient memory. Golden model: model/exact/update.py."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Optimizer
from ..arithmetic.delay import delays
from ..arithmetic.wide_product import wide_product
from ..layouts import shape_of

__all__ = ["MOMENTUM_FACTOR", "SgdRule", "SignMomentumRule", "optimizer_rule", "step_shape"]

MOMENTUM_FACTOR = 230
MOMENTUM_SHIFT = 8
"""Momentum that stays after an update: 230 / 256, 0.898."""


def step_shape(config: CoreConfig):
    """Shape of a step numerator, without overflow: gradient x mantissa (SGD) or a sign x mantissa << 16, + weight x decay."""
    pull = config.gradient.bits + 8 if config.optimizer is Optimizer.SGD else 24
    return signed(max(pull, config.weight.bits + 16) + 2)


class _SignLayout(data.StructLayout):
    def __init__(self):
        super().__init__({"negative": 1, "present": 1})


class _Rule(wiring.Component):
    LATENCY = 4

    def __init__(self, config: CoreConfig):
        self._config = config
        weight, gradient, lanes = shape_of(config.weight), shape_of(config.gradient), config.lanes
        super().__init__({
            "weight": In(weight).array(lanes), "gradient": In(gradient).array(lanes),
            "enable": In(1), "mantissa": In(8), "shift": In(5), "decay": In(16),
            "step": Out(step_shape(config)).array(lanes), "kept": Out(gradient).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        line = self.LATENCY - 1
        enables, shifts = delays(m, self.enable, line, "enable"), delays(m, self.shift, line, "shift")
        self._steps(m, enables, shifts)
        return m

    def _shifted(self, m, pulls, enables, shifts):
        """Steps from each lane's pull, which is there after two cycles: numerator, then shift."""
        c = self._config
        for k, numerator in enumerate(pulls):
            if c.weight_decay:
                shrink = [Signal(signed(c.weight.bits + 17), name=f"shrink_{k}_{n}") for n in range(2)]
                with m.If(enables[0]):
                    m.d.sync += shrink[0].eq(self.weight[k] * self.decay)
                with m.If(enables[1]):
                    m.d.sync += shrink[1].eq(shrink[0])
                numerator = numerator + shrink[1]
            whole = Signal(step_shape(c), name=f"numerator_{k}")
            with m.If(enables[2]):
                m.d.sync += whole.eq(numerator)
            with m.If(enables[3]):
                m.d.sync += self.step[k].eq(whole >> shifts[3])


class SgdRule(_Rule):
    """Plain gradient step: step = (G m + W d) >> s, nothing kept. Latency 4 cycles, P weights a cycle.

    Members
    -------
    enable : In(1). Operands are present; the outputs hold otherwise.
    weight, gradient : In, arrays of P.
    mantissa, shift, decay : In. m, s and d of the layer; a build without weight decay takes d for 0.
    step : Out, P steps, LATENCY cycles later.
    kept : Out, P values to write back into the gradient memory, LATENCY cycles later.
    """

    def _steps(self, m, enables, shifts):
        pulls = [wide_product(m, self.gradient[k], self.mantissa, enables, f"pull_{k}") for k in range(self._config.lanes)]
        self._shifted(m, pulls, enables, shifts)


class SignMomentumRule(_Rule):
    """Lion with equal interpolation: the gradient memory holds M = beta M + sum g; step = ((sign(M) m << 16) + W d) >> s;
    beta M is kept, beta = 230 / 256, rounded towards zero. Latency 4 cycles, P weights a cycle. Members as SgdRule."""

    def _steps(self, m, enables, shifts):
        mantissas = delays(m, self.mantissa, 2, "mantissa")
        signs = [self._keep(m, enables, k) for k in range(self._config.lanes)]
        if not self._config.weight_decay:
            self._chosen(m, signs, mantissas, enables, shifts)
            return
        pulls = []
        for k, sign in enumerate(signs):
            pull = Signal(signed(9), name=f"pull_{k}")
            with m.If(enables[1]):
                m.d.sync += pull.eq(Mux(sign[0].present, Mux(sign[0].negative, -mantissas[1], mantissas[1]), 0))
            pulls.append(pull << 16)
        self._shifted(m, pulls, enables, shifts)

    def _chosen(self, m, signs, mantissas, enables, shifts):
        """Without decay a step has one of three values, shifted once for all lanes."""
        up, down = (Signal(step_shape(self._config), name=name) for name in ("up", "down"))
        with m.If(enables[2]):
            m.d.sync += [up.eq((mantissas[2] << 16) >> shifts[2]), down.eq((-mantissas[2] << 16) >> shifts[2])]
        with m.If(enables[3]):
            for step, sign in zip(self.step, signs):
                m.d.sync += step.eq(Mux(sign[2].present, Mux(sign[2].negative, down, up), 0))

    def _keep(self, m, enables, k):
        """A lane's beta M: a cycle for sign(M), two for the product, one to round it towards zero. Returns sign(M) as it was 1, 2
        and 3 cycles before."""
        gradient = self.gradient[k]
        sign = [Signal(_SignLayout(), name=f"sign_{k}_{n}") for n in range(3)]
        size = Signal(gradient.shape(), name=f"size_{k}")
        with m.If(enables[0]):
            m.d.sync += [sign[0].negative.eq(gradient < 0), sign[0].present.eq(gradient != 0), size.eq(gradient)]
        for n in (1, 2):
            with m.If(enables[n]):
                m.d.sync += sign[n].eq(sign[n - 1])
        product = wide_product(m, size, MOMENTUM_FACTOR, enables[1:], f"product_{k}")
        with m.If(enables[3]):  # a shift rounds down: of a negative product upwards, unless it is whole
            m.d.sync += self.kept[k].eq((product >> MOMENTUM_SHIFT) + (sign[2].negative & product[:MOMENTUM_SHIFT].any()))
        return sign


def optimizer_rule(config: CoreConfig) -> _Rule:
    """The rule that the configuration names."""
    return {Optimizer.SGD: SgdRule, Optimizer.SIGN_MOMENTUM: SignMomentumRule}[config.optimizer](config)
