"""Rate-based backpropagation: run-time settings and number formats (docs/numerics.md)."""

import math
from dataclasses import dataclass
from functools import cached_property

from .config import CoreConfig
from .formats import Q
from .lif import DECAY

__all__ = ["BIN_BITS", "RATE_FRACTION", "SURROGATE", "SURROGATE_TABLE", "RateFormats", "RateSettings"]

SURROGATE = Q(bits=8, fraction=8, signed=False)
"""f(u), at most just below 1.0."""

BIN_BITS = 5
"""An entry of the table covers 2^-5 of |u - 1|."""

RATE_FRACTION = 8
"""Fractional bits of register TICKS."""


def surrogate(distance: float) -> float:
    """f(u) = 4 s (1 - s), s = 1 / (1 + exp(-4 (u - 1))), by |u - 1|."""
    s = 1 / (1 + math.exp(-4 * distance))
    return 4 * s * (1 - s)


SURROGATE_TABLE = tuple(SURROGATE.quantize(surrogate((n + 0.5) / (1 << BIN_BITS))) for n in range(64))
"""S[n]. Beyond it, from |u - 1| = 2 on, f is less than half the last bit."""


@dataclass(frozen=True)
class RateFormats:
    """Number formats of a build.

    Members
    -------
    membrane : u, saturates. eligibility : F, the sum over the steps; the width excludes overflow. count : spikes of a sample.
    """

    config: CoreConfig

    @cached_property
    def membrane(self) -> Q:
        return Q(bits=18, fraction=self.config.weight_fraction)

    @cached_property
    def eligibility(self) -> Q:
        return Q(bits=SURROGATE.bits + DECAY.bits + (self.config.max_steps - 1).bit_length(),
                 fraction=SURROGATE.fraction + DECAY.fraction, signed=False)

    @cached_property
    def count(self) -> Q:
        return Q(bits=self.config.max_steps.bit_length(), fraction=0, signed=False)


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """How a network of rule rate runs.

    Parameters
    ----------
    steps : T, at least 1.
    leak : lambda, what a potential keeps from step to step, 0 to below 1.
    coded : inputs are spikes, else currents.

    Raises
    ------
    ValueError : a value is out of its range.
    """

    steps: int
    leak: float = 0.2
    coded: bool = False

    def __post_init__(self):
        for name, value, good, meant in (("steps", self.steps, self.steps >= 1, "at least 1"),
                                         ("leak", self.leak, 0 <= self.leak < 1, "0 to below 1")):
            if not good:
                raise ValueError(f"{name} = {value}: {meant} is needed")

    @cached_property
    def profile(self) -> list[int]:
        """What is written to space DECAY: the leak, then p[1] to p[T], all DECAY."""
        out, rho = [DECAY.quantize(self.leak)], 0.0
        for _ in range(self.steps):
            rho = 1 + self.leak * rho
            out.append(DECAY.quantize(rho / self.steps))
        return out

    def ticks(self, config: CoreConfig) -> int:
        """K, register TICKS."""
        return round((config.window << RATE_FRACTION) / self.steps)
