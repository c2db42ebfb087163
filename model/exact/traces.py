"""Neurons of rule rate: potentials, spikes and eligibility over the steps of a sample, docs/numerics.md "Rate-based
backpropagation". Float model: model/reference/rate.py."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.lif import DECAY
from ...spec.rate import BIN_BITS, RATE_FRACTION, SURROGATE_TABLE, RateFormats
from .arithmetic import count, round_shift, saturate

__all__ = ["Traces", "constant_current", "eligibility_factor", "rates", "run"]

_TABLE = torch.tensor([*SURROGATE_TABLE, 0])


@dataclass(frozen=True)
class Traces:
    """What a layer's neurons did, each [n, neurons] but for ``fired``.

    fired : bool [n, T, neurons]. potential : u after the last step. spikes : c, how many. eligibility : F.
    saturations : potentials that saturated, over the batch.
    """

    fired: Tensor
    potential: Tensor
    spikes: Tensor
    eligibility: Tensor
    saturations: int


def constant_current(config: CoreConfig, level: Tensor) -> Tensor:
    """I of neurons that a current drives, from their ``level``."""
    return round_shift(level, config.time_bits)


def run(config: CoreConfig, leak: int, profile: Tensor, current: Tensor) -> Traces:
    """T steps from potentials 0; ``current`` [n, T, neurons], ``leak`` and ``profile`` p[1] to p[T] as they are stored."""
    form = RateFormats(config).membrane
    potential = torch.zeros_like(current[:, 0])
    eligibility, saturations, fired = torch.zeros_like(potential), 0, []
    for now, weight in zip(current.unbind(1), profile.tolist(), strict=True):
        rest = potential - (potential > form.one) * form.one
        potential, over = saturate(round_shift(rest * leak, DECAY.fraction) + now, form)
        saturations += count(over)
        fired.append(potential > form.one)
        entry = ((potential - form.one).abs() << BIN_BITS) >> form.fraction
        eligibility += _TABLE[entry.clamp(max=len(SURROGATE_TABLE))] * weight
    fired = torch.stack(fired, 1)
    return Traces(fired, potential, fired.sum(1), eligibility, saturations)


def rates(config: CoreConfig, ticks: int, spikes: Tensor) -> Tensor:
    """r in ticks from spike counts; ``ticks`` K."""
    return round_shift(spikes * ticks, RATE_FRACTION).clamp(max=config.window)


def eligibility_factor(config: CoreConfig, eligibility: Tensor) -> Tensor:
    """g, UQ4.12, from F."""
    dropped = RateFormats(config).eligibility.fraction - config.factor.fraction
    return round_shift(eligibility, dropped).clamp(max=config.factor.max)
