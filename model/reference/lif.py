"""Leaky integrate-and-fire layers over time, in floating point. Source: Perez-Nieves & Goodman, "Sparse Spiking Gradient Descent",
section 2.

Of T steps 0 to T - 1, with spikes s and membrane potentials V[0] = 0,

    V_j[t + 1] = beta V_j[t] + sum_i w_ij s_i[t] - s_j[t],   s_j[t] = V_j[t] > 1

so that a layer answers the spikes of step t in step t + 1. The readout integrates like any layer, and never fires: V[1] to V[T]
are what it reports. Tensors are [n, T, neurons]; of a readout's potentials index t stands for V[t + 1].
"""

import torch
from torch import Tensor

__all__ = ["SLOPE", "active", "filtered", "fire", "integrate", "surrogate"]

SLOPE = 100.0
"""How fast the surrogate gradient falls beside the threshold."""


def fire(weight: Tensor, spikes: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Potentials V[0] to V[T - 1] and spikes (as numbers) of a layer: ``weight`` [n_out, n_in], ``spikes`` [n, T, n_in]."""
    current = spikes @ weight.T
    potential = torch.zeros_like(current[:, 0])
    potentials, fired = [], []
    for t in range(current.shape[1]):
        potentials.append(potential)
        fired.append((potential > 1).to(current.dtype))
        potential = beta * potential + current[:, t] - fired[-1]
    return torch.stack(potentials, 1), torch.stack(fired, 1)


def integrate(weight: Tensor, spikes: Tensor, beta: float) -> Tensor:
    """Potentials V[1] to V[T] of the readout [n, T, K]."""
    return filtered(spikes @ weight.T, beta)


def filtered(values: Tensor, beta: float) -> Tensor:
    """y[t] = sum_{k <= t} beta^(t - k) values[k], along dimension 1."""
    out, y = [], torch.zeros_like(values[:, 0])
    for now in values.unbind(1):
        y = beta * y + now
        out.append(y)
    return torch.stack(out, 1)


def active(potential: Tensor, window: float) -> Tensor:
    """Which neurons pass gradient in which step (the paper's definition 1): |V - 1| < ``window``."""
    return (potential - 1).abs() < window


def surrogate(potential: Tensor, window: float) -> Tensor:
    """g(V) = 1 / (SLOPE |V - 1| + 1)^2 of active neurons, 0 of all others."""
    return torch.where(active(potential, window), (SLOPE * (potential - 1).abs() + 1) ** -2, 0)
