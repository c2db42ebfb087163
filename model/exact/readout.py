"""Logits, prediction and softmax cross-entropy errors, docs/numerics.md "Readout".

Error bound of the probabilities, K outputs, E = error_fraction, against softmax of the same logits in real numbers:

    |p_k 2**-E - softmax_k| <= 2**-(E+1) + 2**-16 + 1.5 K 2**-17

The first term is the last rounding. The second is the reciprocal: its mantissa and its quotient are each cut by less
than 2**-17 of their value. The third is the table of exponentials: HI, LO and their product are each rounded by half
a unit of 2**-17, so an E_k errs by 1.5 units at most, and the sum S >= 2**17 by 1.5 (K - 1), the largest logit's
E_k being exact. With E = 14 and K = 10 the bound is 1.6e-4.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.network import Readout
from .arithmetic import RECIPROCAL_BITS, reciprocal
from .forward import Membrane, Spikes

__all__ = ["EXP_HIGH", "EXP_LOW", "logits", "output_errors", "predictions", "probabilities",
           "softmax_error_bound"]

EXP_HIGH = torch.tensor([round(2**17 * math.exp(-n / 8)) for n in range(128)])  # exp(-d), upper 7 bits of d
EXP_LOW = torch.tensor([round(2**17 * math.exp(-n / 1024)) for n in range(128)])  # lower 7 bits
_LARGEST_DIFFERENCE = (1 << 14) - 1


def logits(config: CoreConfig, readout: Readout, membrane: Membrane, spikes: Spikes) -> Tensor:
    """Logits [n, K], 10 fractional bits, of the output layer's accumulators or spikes."""
    fraction = config.logit.fraction
    if readout is Readout.SPIKE_TIME:
        return spikes.a << (fraction - config.time_bits)
    down = config.potential.fraction - fraction
    potential = membrane.potential(config)
    scaled = potential >> down if down >= 0 else potential << -down
    return scaled.clamp(config.logit.min, config.logit.max)


def predictions(logit: Tensor) -> Tensor:
    """First index of the largest logit, [n]."""
    return torch.from_numpy(np.argmax(logit.numpy(), axis=1))  # numpy promises the first, torch does not


def probabilities(config: CoreConfig, logit: Tensor) -> Tensor:
    """Softmax p [n, K] of logits, fraction ``error_fraction``."""
    fraction = config.error_fraction
    difference = (logit.amax(1, keepdim=True) - logit).clamp(max=_LARGEST_DIFFERENCE)
    power = (EXP_HIGH[difference >> 7] * EXP_LOW[difference & 127] + (1 << 16)) >> 17
    q, length = reciprocal(power.sum(1, keepdim=True))
    down = 2 * RECIPROCAL_BITS - 1 - RECIPROCAL_BITS + length - fraction  # 17 - E + b
    return (power * q + (1 << (down - 1))) >> down


def output_errors(config: CoreConfig, logit: Tensor, labels: Tensor) -> Tensor:
    """eps [n, K] = [k = label] - p, fraction ``error_fraction``; ``labels`` [n]."""
    errors = -probabilities(config, logit)
    errors[torch.arange(len(labels)), labels] += 1 << config.error_fraction
    return errors


def softmax_error_bound(config: CoreConfig, outputs: int) -> float:
    """The bound of the module's docstring, as a probability."""
    return 2.0 ** -(config.error_fraction + 1) + 2.0**-16 + 1.5 * outputs * 2.0**-17
