"""Forward pass of one layer, docs/numerics.md "Forward" (Frozen Backpropagation, appendix A)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from .arithmetic import RECIPROCAL_BITS, matrix_product, reciprocal, round_shift, shift

__all__ = ["FACTOR_LEVEL_OUTPUT", "FACTOR_SLOPE_OUTPUT", "Membrane", "Spikes", "fire", "integrate"]

FACTOR_LEVEL_OUTPUT = 1 << 12  # dI = 1.0 and dW = 2.0 of a potential readout, UQ4.12
FACTOR_SLOPE_OUTPUT = 2 << 12


@dataclass(frozen=True)
class Membrane:
    """Accumulators of a layer, [n, n_out].

    slope : W_j, fraction f. level : A_j = V_j(T), fraction f + tau.
    """

    slope: Tensor
    level: Tensor

    def potential(self, config: CoreConfig) -> Tensor:
        """z_j = V_j(2T), fraction f + tau."""
        return (self.slope << config.time_bits) + self.level


@dataclass(frozen=True)
class Spikes:
    """What a layer's neurons did, each [n, n_out].

    a : ticks before the window's end, 0 to T (0 when silent).
    fired, active : bool; active neurons pass gradient.
    factor_level, factor_slope : dI, dW, clipped, UQ4.12 (zero where not active).
    level_clipped, slope_clipped : bool, active neurons whose derivative was clipped.
    """

    a: Tensor
    fired: Tensor
    active: Tensor
    factor_level: Tensor
    factor_slope: Tensor
    level_clipped: Tensor
    slope_clipped: Tensor

    @classmethod
    def silent_readout(cls, samples: int, neurons: int) -> "Spikes":
        """Output layer of readout POTENTIAL: never fires, lists every neuron with exact derivatives."""
        zeros = torch.zeros(samples, neurons, dtype=torch.int64)
        no = torch.zeros(samples, neurons, dtype=torch.bool)
        return cls(zeros, no, ~no, zeros + FACTOR_LEVEL_OUTPUT, zeros + FACTOR_SLOPE_OUTPUT, no, no)


def integrate(config: CoreConfig, weight: Tensor, a: Tensor, fired: Tensor) -> Membrane:
    """Accumulators of a layer: ``weight`` [n_out, n_in], ``a`` [n, n_in] ticks, ``fired`` [n, n_in] bool."""
    samples, inputs = a.shape
    stacked = torch.cat([fired.double(), a.double()])
    bound = inputs * config.window << (config.weight_bits - 1)
    sums = matrix_product(stacked, weight.T, bound)
    return Membrane(sums[:samples], sums[samples:])


def fire(config: CoreConfig, membrane: Membrane, level_clip: int, slope_clip: int) -> Spikes:
    """The neuron rule: spike times and clipped derivatives (clips in UQ4.12)."""
    f, tau, window = config.weight_fraction, config.time_bits, config.window
    potential = membrane.potential(config)
    saturated = membrane.level >= window << f
    timed = ~saturated & (potential >= 0)
    a = saturated * window
    level_factor, slope_factor = torch.zeros_like(a), torch.zeros_like(a)
    # The division, for the timed neurons alone: there D > 0 and 0 <= z < D << tau.
    some = timed.view(-1).nonzero()[:, 0]
    q, length = reciprocal(membrane.slope.take(some) + (1 << f))
    normalised = shift(potential.take(some), length + (tau - RECIPROCAL_BITS))
    left = round_shift(normalised * q, 35 - tau)
    scale = length + (5 - f)
    unclipped = torch.where(scale >= 0, (q >> scale.clamp(min=0)).clamp(max=65535), 65535)
    a.view(-1)[some] = left
    level_factor.view(-1)[some] = unclipped
    slope_factor.view(-1)[some] = ((2 * window - left) * unclipped) >> tau
    active = timed & (a > 0) & (a < window)
    return Spikes(
        a=a, fired=saturated | timed, active=active,
        factor_level=level_factor.clamp(max=level_clip).mul_(active),
        factor_slope=slope_factor.clamp(max=slope_clip).mul_(active),
        level_clipped=active & (level_factor > level_clip),
        slope_clipped=active & (slope_factor > slope_clip),
    )
