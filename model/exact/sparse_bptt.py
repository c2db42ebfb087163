"""Backward pass of sparse BPTT, docs/numerics.md "Sparse BPTT: backward". Float model: model/reference/sparse_bptt.py.

A job is an error c_j[m] that reaches V_j[m + 1]: of an active neuron, or of the readout where it decided the logit. Tensors are
[n, T, neurons] unless said otherwise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.lif import DROPPED_BITS, LifFormats, LifSettings, OverTime
from .arithmetic import any_of, count, counts, matrix_product, round_shift, saturate
from .lif import LifSpikes, by_steps, decay, decayed_sums
from .readout import output_errors

__all__ = ["Jobs", "accumulate", "by_spikes", "gradient_words", "hidden_jobs", "logits", "output_jobs", "rate_errors"]


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
    return Jobs(torch.where(present, error[:, None], 0), present, count(over))


def hidden_jobs(config: CoreConfig, settings: LifSettings, layer: int, jobs: Jobs, feedback: Tensor, below: LifSpikes) -> Jobs:
    """Jobs of layer l - 1 from those of l = ``layer`` through ``feedback`` [n_out, n_in], in reverse time.

    The sums E_i decay from a step with jobs to the next one, and to each active neuron that looks at them.
    """
    operand_form, saturations = LifFormats(config).operand, 0
    decays, rates = torch.tensor(settings.decays), rate_errors(settings, layer, below)
    n, steps, outputs = jobs.error.shape
    sums, last = torch.zeros(n, feedback.shape[1], dtype=torch.int64), torch.zeros(n, dtype=torch.int64)
    error, present = torch.zeros_like(below.surrogate), torch.zeros_like(below.active)
    present[:, :-1] = below.active[:, 1:]
    bound, down = outputs << (config.weight_bits - 1 + config.error_bits - 1), settings.error_shift(config, layer)

    def later(step: int, found: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Sums ``found``, which have stood since the steps ``before``, at ``step``; and which saturated."""
        operand, over = saturate(round_shift(found, DROPPED_BITS), operand_form)
        return decay(decays, operand, (before - step).clamp(min=0)), over

    reaching, active = by_steps(any_of(jobs.present)), by_steps(below.active)
    for t in range(steps - 1, 0, -1):
        rows, = reaching[t]
        if len(rows):
            value, over = later(t, sums[rows], last[rows, None])
            saturations += count(over)
            sums[rows] = (value << DROPPED_BITS) + matrix_product(jobs.error[rows, t], feedback, bound)
            last[rows] = t
        here = active[t]
        if len(here[0]):
            value, over = later(t, sums[here], last[here[0]])
            saturations += count(over)
            if rates is not None:
                value, over = saturate(value + rates[here], operand_form)
                saturations += count(over)
            error[:, t - 1][here], over = saturate(round_shift(value * below.surrogate[:, t][here], down), config.error)
            saturations += count(over)
    return Jobs(error, present, saturations)


def rate_errors(settings: LifSettings, layer: int, below: LifSpikes) -> Tensor | None:
    """What losses of firing rates add to the errors [n, neurons] of layer l - 1, l = ``layer``, in each step, format ``operand``;
    None without such losses."""
    if settings.rates is None:
        return None
    rates, count = settings.rates, below.fired.sum(1)
    above, missing = (count - rates.most).clamp(min=0), (rates.least - count).clamp(min=0)
    return above * rates.upper[layer - 2] - torch.where(above > 0, 0, missing) * rates.lower[layer - 2]


def by_spikes(settings: LifSettings, jobs: Jobs, spikes: Tensor) -> Tensor:
    """bool [n], samples whose gradients are summed by input spike; ``spikes`` bool [n, T, n_in], of the layer before."""
    sums = counts(jobs.present).tolist(), counts(spikes).tolist()
    sizes = spikes.shape[2], jobs.error.shape[2]
    return torch.tensor([settings.gradients.by_spikes(*each, *sizes) for each in zip(*sums, strict=True)])


def gradient_words(config: CoreConfig, jobs: Jobs, spikes: Tensor, chosen: Tensor) -> int:
    """Words of P gradients that a batch's contributions are added to; parameters as of ``accumulate``. What comes before anything
    grew makes none: jobs before the first spike, or spikes behind the last job."""
    n_in, n_out = spikes.shape[2], jobs.error.shape[2]
    begun, awaited = any_of(spikes).cumsum(1) > 0, any_of(jobs.present).flip(1).cumsum(1).flip(1) > 0
    columns, rows = count((jobs.present & begun[:, :, None])[~chosen]), count((spikes & awaited[:, :, None])[chosen])
    return columns * -(-n_in // config.lanes) + rows * -(-n_out // config.lanes)


def accumulate(config: CoreConfig, settings: LifSettings, gradient: Tensor, jobs: Jobs, spikes: Tensor,
               chosen: Tensor) -> tuple[int, int]:
    """Add a batch's gradients to ``gradient`` [n_out, n_in] in place, sample after sample, each in the order of its form: c r from
    the first step to the last, or delta from the last step to the first. Return how many additions saturated, and how many delta.
    ``spikes`` bool [n, T, n_in], of the layer before; ``chosen`` bool [n], ``by_spikes``.

    One matrix product for the neurons of which no sum of magnitudes reaches the limit; the others one after the other.
    """
    forms = [_by_active(config, settings, jobs, spikes, ~chosen), _by_spikes(config, settings, jobs, spikes, chosen)]
    clipped = forms[1][3]
    forms = [form[:3] for form in forms if len(form[0])]
    if not forms:
        return 0, clipped
    reaches = [left.abs().sum(0) * right.max() for left, right, _ in forms]
    risky = _may_saturate(config, gradient, forms, reaches)
    before = gradient[risky]
    for (left, right, _), reach in zip(forms, reaches, strict=True):
        gradient += matrix_product(left.T, right, int(reach.max()))
    if not len(before):
        return 0, clipped
    saturations = 0
    left, right, samples = (torch.cat(each) for each in zip(*forms, strict=True))
    left, order = left[:, risky], samples.argsort(stable=True)
    for n in order[left.any(1)[order]].tolist():
        before, over = saturate(before + left[n][:, None] * right[n], config.gradient)
        saturations += count(over)
    gradient[risky] = before
    return saturations, clipped


def _may_saturate(config: CoreConfig, gradient: Tensor, forms: list[tuple[Tensor, Tensor, Tensor]],
                  reaches: list[Tensor]) -> Tensor:
    """Rows of ``gradient`` [n_out, n_in] in which the magnitudes of all that is added might reach the limit, as indices;
    ``reaches`` : of each form, a bound [n_out]."""
    rows = (gradient.abs().amax(1) + sum(reaches) > config.gradient.max).nonzero()[:, 0]
    if len(rows):  # element by element
        total = gradient[rows].abs()
        for left, right, _ in forms:
            mine = left[:, rows].abs()
            total += matrix_product(mine.T, right, int(mine.sum(0).max()) * int(right.max()))
        rows = rows[(total > config.gradient.max).any(1)]
    return rows


def _by_active(config: CoreConfig, settings: LifSettings, jobs: Jobs, spikes: Tensor, chosen: Tensor):
    """Gradients of some samples as the sum of outer products: errors [n, n_out], traces [n, n_in], the n's sample."""
    form, rows, spikes = LifFormats(config).trace, chosen.nonzero()[:, 0], spikes[chosen]
    error = jobs.error[chosen]
    wanted = any_of(error)
    r, _ = decayed_sums(form, settings.decays, torch.tensor(form.one), spikes, wanted)
    return error[wanted], r, rows[wanted.nonzero()[:, 0]]


def _by_spikes(config: CoreConfig, settings: LifSettings, jobs: Jobs, spikes: Tensor, chosen: Tensor):
    """The same: deltas [n, n_out], input spikes [n, n_in], the n's sample, in reverse time; and how many deltas saturated."""
    form, rows, spikes = LifFormats(config).delta, chosen.nonzero()[:, 0], spikes[chosen].flip(1)
    wanted = any_of(spikes)
    amounts = jobs.error[chosen].flip(1) << form.fraction
    delta, clipped = decayed_sums(form, settings.decays, amounts, jobs.present[chosen].flip(1), wanted)
    return delta, spikes[wanted].to(torch.int64), rows[wanted.nonzero()[:, 0]], clipped
