"""Weight update with stochastic rounding, docs/numerics.md "Update"."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...spec.config import CoreConfig, Optimizer
from ...spec.random import ROUNDING_BITS
from .arithmetic import saturate

__all__ = ["Rate", "decayed_momentum", "rounding_bits", "updated_weights"]

MOMENTUM_FACTOR, MOMENTUM_SHIFT = 230, 8  # 0.898, close to the 0.9 of Lion


@dataclass(frozen=True)
class Rate:
    """Update constants of a layer: registers RATE (mantissa m, right shift s) and DECAY (d)."""

    mantissa: int
    shift: int
    decay: int


def rounding_bits(states: np.ndarray, n_in: int) -> Tensor:
    """u [columns, n_in] (int32) from generator states [columns * in_blocks, lanes] (uint32).

    Lanes past the end of a column are dropped.
    """
    lanes = states.shape[1]
    u = (states >> np.uint32(32 - ROUNDING_BITS)).view(np.int32)
    return torch.from_numpy(u.reshape(-1, -(-n_in // lanes) * lanes)[:, :n_in])


def updated_weights(config: CoreConfig, weight: Tensor, gradient: Tensor, u: Tensor, rate: Rate) -> tuple[Tensor, int]:
    """New weights and how many saturated; all tensors [columns, n_in]."""
    if config.optimizer is Optimizer.SIGN_MOMENTUM:
        largest = (rate.mantissa + 1 << ROUNDING_BITS) + (rate.decay << (config.weight_bits - 1))
        narrow = torch.int32 if largest < 1 << 31 else torch.int64  # half the memory traffic of the usual case
        step = gradient.sign().to(narrow).mul_(rate.mantissa << ROUNDING_BITS)
    else:
        step = gradient * rate.mantissa
    if rate.decay:
        step += weight * rate.decay
    step >>= rate.shift
    step += u
    step >>= ROUNDING_BITS
    new = weight - step
    low, high = new.aminmax() if new.numel() else (torch.tensor(0), torch.tensor(0))
    if config.weight.min <= int(low) and int(high) <= config.weight.max:
        return new, 0
    new, over = saturate(new, config.weight)
    return new, int(over.sum())


def decayed_momentum(momentum: Tensor) -> Tensor:
    """Momentum after an update: sign(M) ((|M| 230) >> 8)."""
    product = momentum * MOMENTUM_FACTOR
    towards_zero = (momentum >> 63).bitwise_and_((1 << MOMENTUM_SHIFT) - 1)  # makes the floor of a shift truncate
    return product.add_(towards_zero).bitwise_right_shift_(MOMENTUM_SHIFT)
