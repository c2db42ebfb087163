"""Real learning rates and decays as the integers of the update unit (docs/numerics.md, "Update")."""

import math
from dataclasses import dataclass

from ..spec.config import CoreConfig, Optimizer
from ..spec.registers import DECAY_BITS, register_map
from .problems import OptionError

__all__ = ["Rate", "quantize_rate", "rate_exponent"]

RATE_TOLERANCE = 1 / 256   # a full mantissa is rounded by at most 0.5 / 128
DECAY_TOLERANCE = 0.1      # decay is a gentle pull; a multiplier of 5 or more stays within this


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Learning rate and decay of one weight layer, as the registers hold them.

    Members
    -------
    register : content of RATE_l (mantissa and shift).
    decay : content of DECAY_l.
    learning_rate : the rate that these stand for, of the batch mean (SGD) or of the sign.
    weight_decay : the decay that these stand for, as a factor of the learning rate.
    """

    register: int
    decay: int
    learning_rate: float
    weight_decay: float


def rate_exponent(config: CoreConfig) -> int:
    """x in lr = m 2**(x - s): the scale of the learning rate of the summed gradient, or of the sign."""
    if config.optimizer is Optimizer.SIGN_MOMENTUM:
        return -config.weight_fraction
    return config.error_fraction + config.time_bits - config.weight_fraction - 16


def quantize_rate(config: CoreConfig, learning_rate: float, *, weight_decay: float = 0.0, batch_size: int = 1) -> Rate:
    """The nearest rate that the update unit can apply.

    Parameters
    ----------
    learning_rate : step for the gradient's batch mean (SGD) or for the sign of the momentum. The mean is taken by
        dividing by ``batch_size``; a build without gradient memory steps after every sample, undivided.
    weight_decay : decoupled decay; each update multiplies the weights by ``1 - learning_rate * weight_decay``.

    Raises
    ------
    OptionError : the rate cannot be met within 0.4 %, or the decay within 10 %.
    """
    if not (math.isfinite(learning_rate) and learning_rate >= 0):
        raise OptionError(f"learning rate {learning_rate}: a finite number of at least 0 is needed")
    if not (math.isfinite(weight_decay) and weight_decay >= 0):
        raise OptionError(f"weight decay {weight_decay}: a finite number of at least 0 is needed")
    if learning_rate == 0:
        return Rate(register=0, decay=0, learning_rate=0.0, weight_decay=0.0)
    registers = {register.name: register for register in register_map(config)}
    mantissa_field, shift_field = registers["RATE_1"].fields
    full, largest_shift, decays = 1 << mantissa_field.bits, (1 << shift_field.bits) - 1, 1 << DECAY_BITS
    divisor = batch_size if config.optimizer is Optimizer.SGD and config.gradient_memory else 1
    unit = 2.0 ** rate_exponent(config) * divisor  # the rate of mantissa 1, shift 0
    # The shift that puts the mantissa into the upper half of its range, where rounding costs least.
    shift = max(0, min(largest_shift, math.floor(math.log2((full - 1) * unit / learning_rate))))
    mantissa = round(learning_rate / unit * 2.0**shift)
    met = mantissa * unit * 2.0**-shift
    if not 0 < mantissa < full or abs(met / learning_rate - 1) > RATE_TOLERANCE:
        low, high = full / 2 * unit * 2.0**-largest_shift, (full - 1) * unit
        raise OptionError(f"learning rate {learning_rate:.4g} at batch size {batch_size} is outside what this build "
                          f"can apply, {low:.3g} to {high:.3g}; change --lr or --lr-decay")
    decay = round(learning_rate * weight_decay * 2.0 ** (16 + shift))
    step = 2.0 ** -(16 + shift) / learning_rate  # the weight decay of multiplier 1
    if decay >= decays or (weight_decay and abs(decay * step / weight_decay - 1) > DECAY_TOLERANCE):
        raise OptionError(f"weight decay {weight_decay:.4g} at learning rate {learning_rate:.4g} is outside what this "
                          f"build can apply, {5 * step:.3g} to {(decays - 1) * step:.3g}; change --weight-decay")
    return Rate(register=mantissa << mantissa_field.low | shift << shift_field.low, decay=decay,
                learning_rate=met, weight_decay=decay * step)
