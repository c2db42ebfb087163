"""Leaky integrate-and-fire layers over time: run-time settings and number formats of sparse BPTT (docs/numerics.md)."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from .config import CoreConfig
from .formats import Q

__all__ = ["DECAY", "DROPPED_BITS", "GradientForm", "LifFormats", "LifSettings", "OverTime", "RateLoss",
           "STRENGTH_BITS", "SURROGATE", "SURROGATE_SLOPE"]

DECAY = Q(bits=17, fraction=16, signed=False)
"""B[n] = beta^n."""

SURROGATE = Q(bits=16, fraction=16, signed=False)
"""g(V), just below 1.0 at the threshold."""

SURROGATE_SLOPE = 100
"""How fast g falls beside the threshold."""

DROPPED_BITS = 10
"""Low bits of an error sum that decay drops."""

STRENGTH_BITS = 16
"""Of how much a spike too many or too few adds to a neuron's error, format ``operand``."""


class OverTime(IntEnum):
    """What of the readout's potentials V[1] to V[T] is the logit."""

    MAX = 0
    SUM = 1


class GradientForm(IntEnum):
    """How a layer's gradients are summed: the two give the same sums, rounded at other places."""

    CHEAPER = 0
    """Of each sample and layer the one with fewer additions."""

    ACTIVE = 1
    """By active neuron (j, m): c_j[m] times the traces r_i."""

    SPIKES = 2
    """By input spike (i, t): the decayed errors delta_j[t], no product."""

    def by_spikes(self, jobs: int, spikes: int, n_in: int, n_out: int) -> bool:
        """Whether a layer of n_in x n_out weights with so many jobs and input spikes is summed by spikes."""
        return self is GradientForm.SPIKES or self is GradientForm.CHEAPER and jobs * n_in > spikes * n_out


@dataclass(frozen=True)
class LifFormats:
    """Number formats of a build.

    Members
    -------
    membrane : V. trace : r_i, the decayed sum of a neuron's spikes. delta : delta_j, that of its errors. All saturate.
    operand : E_i without its low DROPPED_BITS, as it decays: with DECAY it fills two 18-bit multipliers.
    """

    config: CoreConfig

    @cached_property
    def membrane(self) -> Q:
        return Q(bits=18, fraction=self.config.weight_fraction)

    @cached_property
    def trace(self) -> Q:
        return Q(bits=17, fraction=self.config.time_bits, signed=False)

    @cached_property
    def delta(self) -> Q:
        """Fractional bits beyond those of the layer's errors; room for two of the largest."""
        return Q(bits=max(self.config.error_bits + self.trace.fraction + 1, self.trace.bits + 1), fraction=self.trace.fraction)

    @cached_property
    def operand(self) -> Q:
        return Q(bits=27, fraction=self.config.error_sum.fraction - DROPPED_BITS)


@dataclass(frozen=True, kw_only=True)
class RateLoss:
    """Losses of hidden neurons that fire too often or too rarely in a sample.

    Parameters
    ----------
    least, most : spikes of a sample that cost nothing.
    upper, lower : for each hidden layer, what each spike above and below adds to or takes from the neurons' errors, format
        ``operand`` of the layer behind, STRENGTH_BITS bits.
    """

    least: int
    most: int
    upper: tuple[int, ...]
    lower: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LifSettings:
    """How a network runs over time.

    Parameters
    ----------
    steps : T, at least 1.
    beta : what a potential keeps from step to step, exp(-dt / tau).
    window : w of the active neurons |V - 1| < w, in units of the weights' last bit; 0 passes no gradient.
    scales : for each weight layer, how many fractional bits its errors c have beyond ``error_fraction``; of the last at least 0.
    over_time : what of the readout is the logit.
    gain : the logit is 2^gain times that.
    gradients : how gradients are summed.
    rates : losses of firing rates, or None.
    powers : B[0] to B[T] (or further), DECAY, for those who hold them and not beta; beta^n unless given.

    Raises
    ------
    ValueError : a value is out of its range.
    """

    steps: int
    beta: float = 0.0
    window: int
    scales: tuple[int, ...]
    over_time: OverTime = OverTime.MAX
    gain: int = 0
    gradients: GradientForm = GradientForm.CHEAPER
    rates: RateLoss | None = None
    powers: tuple[int, ...] = ()

    def __post_init__(self):
        for name, value, good, meant in (
            ("steps", self.steps, self.steps >= 1, "at least 1"), ("beta", self.beta, 0 <= self.beta < 1, "0 to below 1"),
            ("window", self.window, self.window >= 0, "at least 0"), ("gain", self.gain, self.gain >= 0, "at least 0"),
            ("powers", self.powers, not self.powers or len(self.powers) > self.steps, f"{self.steps + 1} of them or none"),
        ):
            if not good:
                raise ValueError(f"{name} = {value}: {meant} is needed")

    @cached_property
    def decays(self) -> list[int]:
        """B[n] for n = 0 to T, DECAY."""
        return list(self.powers) or [DECAY.quantize(self.beta**n) for n in range(self.steps + 1)]

    @staticmethod
    def base_shift(config: CoreConfig) -> int:
        """p between layers of one scale."""
        return config.weight_fraction - DROPPED_BITS + SURROGATE.fraction

    def error_shift(self, config: CoreConfig, layer: int) -> int:
        """p, by which E g of layer ``layer`` (l >= 2) goes right to give c of the layer before. ValueError if that is below 1."""
        here, below = self.scales[layer - 1], self.scales[layer - 2]
        shift = self.base_shift(config) + here - below
        if shift < 1:
            raise ValueError(f"scale {below} of layer {layer - 1} beside {here} of layer {layer}: "
                             f"at most {below + shift - 1} is possible")
        return shift
