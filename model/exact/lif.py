"""Leaky integrate-and-fire layers over time, docs/numerics.md "Sparse BPTT: forward". Float model: model/reference/lif.py.

Tensors are [n, T, neurons] unless said otherwise. Index t of potentials stands for V[t], of the readout's for V[t + 1].
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.formats import Q
from ...spec.lif import DECAY, SURROGATE, SURROGATE_SLOPE, LifFormats, LifSettings
from .arithmetic import RECIPROCAL_BITS, count, places, reciprocal, round_shift, saturate

__all__ = ["LifSpikes", "by_steps", "currents", "decay", "decayed_sums", "fire", "integrate", "surrogate"]


@dataclass(frozen=True)
class LifSpikes:
    """What a layer's neurons did in each step.

    potential : V. fired, active : bool. surrogate : g of active neurons, UQ0.16, else 0.
    saturations : potentials that saturated, over the batch.
    """

    potential: Tensor
    fired: Tensor
    active: Tensor
    surrogate: Tensor
    saturations: int

    def of(self, samples: Tensor) -> "LifSpikes":
        """Those of some samples, bool [n]; the saturations remain the batch's."""
        return replace(self, potential=self.potential[samples], fired=self.fired[samples], active=self.active[samples],
                       surrogate=self.surrogate[samples])


def currents(weight: Tensor, spikes: Tensor) -> Tensor:
    """I_j[t], the sum of the weights of the step's spikes: ``weight`` [n_out, n_in], ``spikes`` bool [n, T, n_in].

    Event by event, in float64: 2^16 weights of 18 bits are far from its 53.
    """
    n, steps, _ = spikes.shape
    sample, step, index = places(spikes)
    counts = torch.bincount(sample * steps + step, minlength=n * steps)
    summed = torch.nn.functional.embedding_bag(index, weight.T.double().contiguous(), counts.cumsum(0) - counts, mode="sum")
    return summed.to(torch.int64).view(n, steps, -1)


def decay(decays: Tensor, values: Tensor, steps: Tensor | int) -> Tensor:
    """``values`` as ``steps`` steps without input leave them: rounded once, however many; ``steps`` broadcasts. ``decays`` :
    those of the settings."""
    if isinstance(steps, int):
        factor = int(decays[steps])
        return values if factor == DECAY.one else round_shift(values * factor, DECAY.fraction)
    factor = decays[steps]
    return torch.where(factor == DECAY.one, values, round_shift(values * factor, DECAY.fraction))


def integrate(config: CoreConfig, settings: LifSettings, current: Tensor, threshold: int | None = None) -> tuple[Tensor, int]:
    """Potentials from V[0] to the one after the last ``current``, [n, 1 + steps, neurons], and how many saturated; above
    ``threshold`` (None: never) 1.0 is subtracted for the next step."""
    form, decays = LifFormats(config).membrane, torch.tensor(settings.decays)
    potential, saturations = torch.zeros(current.shape[0], current.shape[2], dtype=torch.int64), 0
    potentials = [potential]
    for now in current.unbind(1):
        reset = 0 if threshold is None else (potential > threshold) * form.one
        potential, over = saturate(decay(decays, potential, 1) + now - reset, form)
        potentials.append(potential)
        saturations += count(over)
    return torch.stack(potentials, 1), saturations


def fire(config: CoreConfig, settings: LifSettings, current: Tensor) -> LifSpikes:
    """A hidden layer's spikes, and which neurons pass gradient, from its currents."""
    one = LifFormats(config).membrane.one
    potential, saturations = integrate(config, settings, current[:, :-1], one)  # nobody asks for V[T]
    active = (potential - one).abs() < settings.window
    passed = torch.zeros_like(potential)
    entries = places(active)
    passed[entries] = surrogate(config, potential[entries])
    return LifSpikes(potential, potential > one, active, passed, saturations)


def surrogate(config: CoreConfig, potential: Tensor) -> Tensor:
    """g(V) = 1 / (1 + 100 |V - 1|)^2, SURROGATE, by the one divider."""
    one = LifFormats(config).membrane.one
    q, length = reciprocal(one + SURROGATE_SLOPE * (potential - one).abs())
    inverse = q >> (length - config.weight_fraction - 1)  # UQ0.18
    return (inverse * inverse >> 2 * RECIPROCAL_BITS - SURROGATE.fraction).clamp(max=SURROGATE.max)


def decayed_sums(form: Q, decays: list[int], amounts: Tensor, grows: Tensor, wanted: Tensor) -> tuple[Tensor, int]:
    """Each neuron's sum over the steps k <= t at which it ``grows`` (bool [n, T, neurons]) of beta^(t - k) times the amount;
    rounded where it grows and where it is looked at, not in between; and how many growths saturated.

    ``amounts`` broadcasts to ``grows``. ``wanted`` bool [n, T] : where they are looked at; one row [neurons] for each, in order.
    """
    n, steps, neurons = grows.shape
    powers, saturations = torch.tensor(decays), 0
    value, last = torch.zeros(2, n, neurons, dtype=torch.int64)
    out = torch.zeros(count(wanted), neurons, dtype=torch.int64)
    growths, looks = by_steps(grows), by_steps(wanted)
    amounts, row = amounts.expand(n, steps, neurons), wanted.flatten().cumsum(0).view_as(wanted) - 1
    for t, (grown, (rows,)) in enumerate(zip(growths, looks, strict=True)):
        if len(grown[0]):
            value[grown], over = saturate(decay(powers, value[grown], t - last[grown]) + amounts[:, t][grown], form)
            last[grown], saturations = t, saturations + count(over)
        if len(rows):
            out[row[rows, t]] = decay(powers, value[rows], t - last[rows])
    return out, saturations


def by_steps(entries: Tensor) -> list[tuple[Tensor, ...]]:
    """Indices of the True elements of bool [n, T, ...], for each step the other axes'."""
    step, *others = places(entries.transpose(0, 1))
    sizes = torch.bincount(step, minlength=entries.shape[1]).tolist()
    return list(zip(*(axis.split(sizes) for axis in others), strict=True))
