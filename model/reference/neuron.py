"""The ReL-PSP neuron with dynamic firing threshold (Frozen Backpropagation, appendix A).

Real values count time in units of the window T, so T = 1. A layer's inputs fire at t_i in [0, 1]; its own spikes
fall in [1, 2]. With ``a = 1 - t`` the time that is left in the window, and sums over the inputs that fired,

    W = sum w,   A = sum w a = V(T),   z = W + A = V(2T).

The threshold is infinite before T and then falls from 1 to 0 as 2 - t. The neuron fires at the window's start
(saturated) if A >= 1, during it if z >= 0, else not at all. The crossing W t - I = 2 - t lies at
t = (2 + I) / (1 + W), which leaves a = 2 - t = z / (1 + W).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Spikes", "fire", "integrate"]


@dataclass(frozen=True)
class Spikes:
    """What a layer's neurons did, each [n, n_out].

    a : time left in the window, units of T, 0 to 1 (0 when silent). fired, active : bool.
    level_factor : |ds/dI| = 1 / (1 + W). slope_factor : |ds/dW| = t / (1 + W), t the spike time on the layer's own
    axis, 1 to 2. Both clipped, and 0 where not active.
    """

    a: Tensor
    fired: Tensor
    active: Tensor
    level_factor: Tensor
    slope_factor: Tensor


def integrate(weight: Tensor, a: Tensor, fired: Tensor) -> tuple[Tensor, Tensor]:
    """W and A [n, n_out] from ``weight`` [n_out, n_in] and the presynaptic ``a``, ``fired`` [n, n_in]."""
    present = fired.to(weight.dtype)
    return present @ weight.T, (a * present) @ weight.T


def fire(slope: Tensor, level: Tensor, level_clip: float, slope_clip: float) -> Spikes:
    """Spikes of neurons with accumulators W = ``slope`` and A = ``level``."""
    potential = slope + level
    saturated = level >= 1
    timed = ~saturated & (potential >= 0)  # 1 + W >= 1 - A > 0
    denominator = torch.where(timed, 1 + slope, 1)
    a = torch.where(saturated, 1, torch.where(timed, potential / denominator, 0))
    active = timed & (a > 0) & (a < 1)
    level_factor = torch.where(active, 1 / denominator, 0)
    slope_factor = (2 - a) * level_factor
    return Spikes(a, saturated | timed, active, level_factor.clamp(max=level_clip), slope_factor.clamp(max=slope_clip))
