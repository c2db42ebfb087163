"""Sparse spiking gradient descent in floating point: backpropagation through time that visits active neurons only, through separate
feedback weights. Source: Perez-Nieves & Goodman, "Sparse Spiking Gradient Descent", sections 2 and 3."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .lif import active, filtered, fire, integrate, surrogate
from .network import ReferenceNetwork

__all__ = ["SparseBpttNetwork"]


class SparseBpttNetwork(ReferenceNetwork):
    """LIF layers and a leaky readout over T steps.

    Parameters
    ----------
    weights : as for every ReferenceNetwork, and so are ``more``.
    beta : what a potential keeps from step to step, exp(-dt / tau).
    window : w, active neurons have |V - 1| < w; ``inf`` gives the surrogate gradient of all neurons.
    over_time : ``max`` or ``sum``, what of the readout's potentials is the logit.
    gain : factor of the logits.
    rates : losses of firing rates (least, most, lower, upper): with z the spikes of a hidden neuron in a sample,
        upper / 2 (z - most)^2 above most and lower / 2 (least - z)^2 below least; None: none.

    Members
    -------
    active : share of (neuron, step) pairs of each hidden layer that passed gradient in the last ``train``.
    """

    def __init__(self, weights: Sequence[Tensor], beta: float, window: float, over_time: str = "max", gain: float = 1.0,
                 rates: tuple[float, float, float, float] | None = None, **more):
        super().__init__(weights, **more)
        self.beta, self.window, self.over_time, self.gain, self.rates = beta, window, over_time, gain, rates
        self.active: list[float] = []

    def infer(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n, K] and predictions [n]; ``spikes`` [n, T, n_in] bool."""
        logits = self._logits(self._forward(spikes)[2])
        return logits, logits.argmax(1)

    def train(self, spikes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``infer``, and add the samples' gradients to ``gradients``; ``labels`` [n]."""
        inputs, potentials, output = self._forward(spikes)
        logits = self._logits(output)
        errors = self._output_errors(logits, labels)
        self._backward(self._over_time(output, errors * self.gain), inputs, potentials)
        return logits, logits.argmax(1)

    def _forward(self, spikes: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Each weight layer's input spikes, each hidden layer's potentials, and the readout's."""
        inputs, potentials = [spikes.to(self.weights[0].dtype)], []
        for weight in self.weights[:-1]:
            potential, fired = fire(weight, inputs[-1], self.beta)
            potentials.append(potential)
            inputs.append(fired)
        return inputs, potentials, integrate(self.weights[-1], inputs[-1], self.beta)

    def _logits(self, output: Tensor) -> Tensor:
        return self.gain * (output.amax(1) if self.over_time == "max" else output.sum(1))

    def _over_time(self, output: Tensor, errors: Tensor) -> Tensor:
        """dL/dV[t + 1] of the readout [n, T, K] from dL/dlogit: all of it in the first step of the maximum, or in every step."""
        spread = torch.ones_like(output)
        if self.over_time == "max":
            spread = torch.zeros_like(output).scatter_(1, output.argmax(1, keepdim=True), 1)
        return errors[:, None] * spread

    def _backward(self, error: Tensor, inputs: list[Tensor], potentials: list[Tensor]) -> None:
        """Add to the gradients, from dL/dV[t + 1] of the readout. delta_j[t] is dL/dV_j[t + 1], the sum over all later steps."""
        self.active = []
        for l in range(self.depth, 0, -1):
            delta = filtered(error.flip(1), self.beta).flip(1)
            self.gradients[l - 1] += by_spikes(delta, inputs[l - 1])
            if l > 1:
                potential = potentials[l - 2]
                self.active.insert(0, float(active(potential, self.window).double().mean()))
                # What happens in step t moves V[t + 1]; the error of V[t] therefore belongs to the step before.
                spread = delta @ self.feedback[l - 1] + self._rate_errors(inputs[l - 1])
                passed = spread * surrogate(potential, self.window)
                error = torch.cat([passed[:, 1:], torch.zeros_like(passed[:, :1])], 1)

    def _rate_errors(self, fired: Tensor) -> Tensor:
        """What the losses of firing rates add to the error of each spike of a layer, [n, 1, neurons]."""
        least, most, lower, upper = self.rates or (0.0, float("inf"), 0.0, 0.0)
        count = fired.sum(1, keepdim=True)
        return upper * (count - most).clamp(min=0) - lower * (least - count).clamp(min=0)


def by_spikes(delta: Tensor, spikes: Tensor) -> Tensor:
    """dL/dW = sum over input spikes (i, t) of delta_j[t], [n_out, n_in]: no product for each weight."""
    return torch.einsum("ntj,nti->ji", delta, spikes)


def by_active(error: Tensor, spikes: Tensor, beta: float) -> Tensor:
    """The same sum over active neurons (j, t) of eps_j g_j r_i, with the traces r_i of the input spikes; ``error`` is
    eps g of V[t + 1], as ``delta`` is before its filter."""
    return torch.einsum("ntj,nti->ji", error, filtered(spikes, beta))
