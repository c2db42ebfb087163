"""Backward pass, docs/numerics.md "Backward": factors g and h, presynaptic errors, gradient accumulation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from .arithmetic import matrix_product, round_shift, saturate
from .forward import Spikes

__all__ = ["Factors", "accumulate", "contributions", "factors", "hidden_errors", "presynaptic_errors"]


@dataclass(frozen=True)
class Factors:
    """Backward factors of a layer, [n, n_out], fraction ``error_fraction``; zero where not listed.

    g : e dI. h : e dW. saturations : values e, g or h that saturated, over the batch.
    """

    g: Tensor
    h: Tensor
    saturations: int


def hidden_errors(config: CoreConfig, error_sum: Tensor, listed: Tensor) -> tuple[Tensor, int]:
    """Errors e of listed hidden neurons from their accumulators, and how many saturated."""
    errors, over = saturate(round_shift(error_sum, config.weight_fraction), config.error)
    return errors, int((over & listed).sum())


def factors(config: CoreConfig, errors: Tensor, spikes: Spikes, listed: Tensor) -> Factors:
    """g and h of ``listed`` neurons (bool [n, n_out]) from ``errors`` [n, n_out]."""
    errors = torch.where(listed, errors, 0)
    fraction = config.factor.fraction
    g, g_over = saturate(round_shift(errors * spikes.factor_level, fraction), config.error)
    h, h_over = saturate(round_shift(errors * spikes.factor_slope, fraction), config.error)
    return Factors(g, h, int(g_over.sum() + h_over.sum()))


def presynaptic_errors(config: CoreConfig, g: Tensor, feedback: Tensor) -> Tensor:
    """err_i = sum_j B_ij g_j [n, n_in]; ``feedback`` [n_out, n_in]."""
    bound = feedback.shape[0] << (config.weight_bits - 1 + config.error_bits - 1)
    return matrix_product(g, feedback, bound)


def contributions(config: CoreConfig, g: Tensor, h: Tensor, a: Tensor, fired: Tensor) -> Tensor:
    """What one sample adds to G: [columns, n_in] from g, h [columns] and the presynaptic a, fired [n_in]."""
    change = g[:, None] * (config.window - a) - (h << config.time_bits)[:, None]
    return torch.where(fired, change, 0)


def accumulate(config: CoreConfig, gradient: Tensor, part: Factors, a: Tensor, fired: Tensor) -> int:
    """Add a batch to ``gradient`` [n_out, n_in] in place, in sample order; return how many accumulations saturated.

    ``a``, ``fired`` [n, n_in] are the presynaptic spikes. One matrix product serves columns for which even the
    sum of all magnitudes cannot saturate; the others go sample by sample.
    """
    g, h = part.g, part.h
    reach = (g.abs().sum(0) + h.abs().sum(0)) << config.time_bits  # [n_out]: |g t - h T| <= (|g| + |h|) T
    low, high = gradient.aminmax()
    limit = config.gradient.max
    if int(reach.max()) + max(-int(low), int(high)) <= limit:
        _accumulate_freely(config, gradient, g, h, a, fired, int(reach.max()))
        return 0
    risky = reach + gradient.abs().amax(1) > limit
    safe = ~risky
    if bool(safe.any()):
        columns = gradient[safe]
        _accumulate_freely(config, columns, g[:, safe], h[:, safe], a, fired, int(reach[safe].max()))
        gradient[safe] = columns
    columns, saturations = gradient[risky], 0
    for sample in range(len(a)):
        columns = columns + contributions(config, g[sample, risky], h[sample, risky], a[sample], fired[sample])
        columns, over = saturate(columns, config.gradient)
        saturations += int(over.sum())
    gradient[risky] = columns
    return saturations


def _accumulate_freely(config: CoreConfig, gradient: Tensor, g: Tensor, h: Tensor, a: Tensor, fired: Tensor,
                       bound: int):
    """Add the batch's contributions in place where no prefix can saturate (``bound``: largest sum of magnitudes)."""
    present = fired.double()
    post = torch.cat([g, -(h << config.time_bits)])
    pre = torch.cat([present * config.window - a, present])  # a is 0 where silent
    gradient += matrix_product(post.T, pre, bound)
