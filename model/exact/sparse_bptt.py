"""Backward pass of sparse BPTT, docs/numerics.md "Sparse BPTT: backward". Float model: model/reference/sparse_bptt.py.

A job is an error c_j[m] that reaches V_j[m + 1]: of an active neuron, or of the readout where it decided the logit. Tensors are
[n, T, neurons] unless said otherwise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.lif import DROPPED_BITS, LifFormats, LifSettings, OverTime
from .arithmetic import matrix_product, round_shift, saturate
from .lif import LifSpikes, decay, traces
from .readout import output_errors

__all__ = ["Jobs", "accumulate", "hidden_jobs", "logits", "output_jobs"]


@dataclass(frozen=True)
class Jobs:
    """Errors of a layer.

    error : c, 0 where there is no job. present : bool. saturations : values that saturated, over the batch.
    """

    error: Tensor
    present: Tensor
    saturations: int


def logits(config: CoreConfig, settings: LifSettings, potential: Tensor) -> Tensor:
    """Logits [n, K], 10 fractional bits, of the readout's potentials V[1] to V[T]."""
    value = potential.amax(1) if settings.over_time is OverTime.MAX else potential.sum(1)
    scaled = value << (settings.gain + config.logit.fraction) >> config.weight_fraction
    return scaled.clamp(config.logit.min, config.logit.max)


def output_jobs(config: CoreConfig, settings: LifSettings, potential: Tensor, logit: Tensor, labels: Tensor) -> Jobs:
    """Jobs of the readout, from its potentials V[1] to V[T], its logits and the ``labels`` [n]."""
    errors = -output_errors(config, logit, labels) << (settings.gain + settings.scales[-1])
    error, over = saturate(errors, config.error)
    present = torch.ones_like(potential, dtype=torch.bool)
    if settings.over_time is OverTime.MAX:
        largest = potential == potential.amax(1, keepdim=True)
        present = largest & (largest.cumsum(1) == 1)
    return Jobs(torch.where(present, error[:, None], 0), present, int(over.sum()))


def hidden_jobs(config: CoreConfig, settings: LifSettings, layer: int, jobs: Jobs, feedback: Tensor, below: LifSpikes) -> Jobs:
    """Jobs of layer l - 1 from those of l = ``layer`` through ``feedback`` [n_out, n_in], in reverse time.

    The sums E_i decay from a step with jobs to the next one, and to each active neuron that looks at them.
    """
    operand_form, saturations = LifFormats(config).operand, 0
    decays = torch.tensor(settings.decays)
    n, steps, outputs = jobs.error.shape
    sums, last = torch.zeros(n, feedback.shape[1], dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
    error, present = torch.zeros_like(below.surrogate), torch.zeros_like(below.active)
    bound, down = outputs << (config.weight_bits - 1 + config.error_bits - 1), settings.error_shift(config, layer)

    def later(step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The sums of some samples as they stand at ``step``, and which saturated."""
        operand, over = saturate(round_shift(sums[rows], DROPPED_BITS), operand_form)
        return decay(decays, operand, (last[rows] - step).clamp(min=0)[:, None]), over

    for t in range(steps - 1, 0, -1):
        rows = jobs.present[:, t].any(1).nonzero()[:, 0]
        if len(rows):
            value, over = later(t, rows)
            saturations += int(over.sum())
            sums[rows] = (value << DROPPED_BITS) + matrix_product(jobs.error[rows, t], feedback, bound)
            last[rows] = t
        rows = below.active[:, t].any(1).nonzero()[:, 0]
        if len(rows):
            active, (value, over) = below.active[rows, t], later(t, rows)
            change, clipped = saturate(round_shift(value * below.surrogate[rows, t], down), config.error)
            saturations += int((over & active).sum() + (clipped & active).sum())
            error[rows, t - 1], present[rows, t - 1] = torch.where(active, change, 0), active
    return Jobs(error, present, saturations)


def accumulate(config: CoreConfig, settings: LifSettings, gradient: Tensor, jobs: Jobs, spikes: Tensor) -> int:
    """Add a batch's c r to ``gradient`` [n_out, n_in] in place, sample after sample, each from its first step to its last; return
    how many additions saturated. ``spikes`` bool [n, T, n_in], of the layer before. One matrix product where not even the sum of
    all magnitudes can saturate.
    """
    wanted = jobs.error.any(2)
    c, r = jobs.error[wanted], traces(config, settings, spikes, wanted)
    if not len(c):
        return 0
    bound = int(c.abs().sum(0).max()) * int(r.max())
    if bound + int(gradient.abs().max()) <= config.gradient.max:
        gradient += matrix_product(c.T, r, bound)
        return 0
    saturations = 0
    for error, seen in zip(c, r, strict=True):
        total, over = saturate(gradient + error[:, None] * seen, config.gradient)
        gradient.copy_(total)
        saturations += int(over.sum())
    return saturations
