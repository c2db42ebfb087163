"""Leaky integrate-and-fire layers over time, docs/numerics.md "Sparse BPTT: forward". Float model: model/reference/lif.py.

Tensors are [n, T, neurons] unless said otherwise. Index t of potentials stands for V[t], of the readout's for V[t + 1].
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.lif import DECAY, SURROGATE, SURROGATE_SLOPE, LifFormats, LifSettings
from .arithmetic import RECIPROCAL_BITS, matrix_product, reciprocal, round_shift, saturate

__all__ = ["LifSpikes", "currents", "decay", "fire", "integrate", "surrogate", "traces"]


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


def currents(config: CoreConfig, weight: Tensor, spikes: Tensor) -> Tensor:
    """I_j[t], the sum of the weights of the step's spikes: ``weight`` [n_out, n_in], ``spikes`` bool [n, T, n_in]."""
    n, steps, inputs = spikes.shape
    bound = inputs << (config.weight_bits - 1)
    return matrix_product(spikes.reshape(n * steps, inputs).double(), weight.T, bound).view(n, steps, -1)


def decay(decays: Tensor, values: Tensor, steps: Tensor | int) -> Tensor:
    """``values`` as ``steps`` steps without input leave them: rounded once, however many; ``steps`` broadcasts. ``decays`` :
    those of the settings."""
    factor = decays[steps]
    return torch.where(factor == DECAY.one, values, round_shift(values * factor, DECAY.fraction))


def integrate(config: CoreConfig, settings: LifSettings, current: Tensor, threshold: int | None = None) -> tuple[Tensor, int]:
    """Potentials V[0] to V[T], [n, T + 1, neurons], and how many saturated; above ``threshold`` (None: never) 1.0 is subtracted
    for the next step."""
    form, decays = LifFormats(config).membrane, torch.tensor(settings.decays)
    potential, saturations = torch.zeros_like(current[:, 0]), 0
    potentials = [potential]
    for now in current.unbind(1):
        reset = 0 if threshold is None else (potential > threshold) * form.one
        potential, over = saturate(decay(decays, potential, 1) + now - reset, form)
        potentials.append(potential)
        saturations += int(over.sum())
    return torch.stack(potentials, 1), saturations


def fire(config: CoreConfig, settings: LifSettings, current: Tensor) -> LifSpikes:
    """A hidden layer's spikes, and which neurons pass gradient, from its currents."""
    one = LifFormats(config).membrane.one
    potentials, saturations = integrate(config, settings, current, one)
    potential = potentials[:, :-1]
    active = (potential - one).abs() < settings.window
    passed = torch.zeros_like(potential)
    passed[active] = surrogate(config, potential[active])
    return LifSpikes(potential, potential > one, active, passed, saturations)


def surrogate(config: CoreConfig, potential: Tensor) -> Tensor:
    """g(V) = 1 / (1 + 100 |V - 1|)^2, SURROGATE, by the one divider."""
    one = LifFormats(config).membrane.one
    q, length = reciprocal(one + SURROGATE_SLOPE * (potential - one).abs())
    inverse = q >> (length - config.weight_fraction - 1)  # UQ0.18
    return (inverse * inverse >> 2 * RECIPROCAL_BITS - SURROGATE.fraction).clamp(max=SURROGATE.max)


def traces(config: CoreConfig, settings: LifSettings, spikes: Tensor) -> Tensor:
    """r_i[t], the sum of beta^(t - k) over the spikes k <= t; rounded at each spike and at each look, not in between."""
    form, decays = LifFormats(config).trace, torch.tensor(settings.decays)
    value = torch.zeros(spikes.shape[0], spikes.shape[2], dtype=torch.int64)
    last, out = torch.zeros_like(value), []
    for t, fired in enumerate(spikes.unbind(1)):
        seen = decay(decays, value, t - last)
        seen = torch.where(fired, (seen + form.one).clamp(max=form.max), seen)
        value, last = torch.where(fired, seen, value), torch.where(fired, t, last)
        out.append(seen)
    return torch.stack(out, 1)
