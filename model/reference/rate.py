"""Rate-based backpropagation in floating point: running traces in the forward pass, one spatial backward pass whatever the number
of steps, through separate feedback weights. Source: Yu, Liu, Wang, Li & Wang, "Advancing Training Efficiency of Deep Spiking Neural
Networks through Rate-based Backpropagation".

Of T steps 1 to T, with potentials u[0] = 0 and spikes s[0] = 0, layer l answers the spikes of a step in the same step:

    u[t] = leak (u[t - 1] - s[t - 1]) + sum_i w_i x_i[t],   s[t] = u[t] > 1
    rho[t] = 1 + leak rho[t - 1],   r = mean_t s[t],   g = mean_t f(u[t]) rho[t]

with f the surrogate derivative of a spike. r is the rate that the next layer's weights see in the backward pass, g is dr/dc, with c
the mean input, no gradient through the reset. The output layer does not spike: its logits are the mean of its input. Tensors are
[n, T, neurons] unless said otherwise.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .network import ReferenceNetwork

__all__ = ["STEEPNESS", "RateNetwork", "surrogate", "traces"]

STEEPNESS = 4.0
"""Of the sigmoid whose derivative the surrogate is."""


def surrogate(potential: Tensor) -> Tensor:
    """f(u) = a sigma(a (u - 1)) (1 - sigma(a (u - 1))) with a = STEEPNESS."""
    sigma = torch.sigmoid(STEEPNESS * (potential - 1))
    return STEEPNESS * sigma * (1 - sigma)


def traces(current: Tensor, leak: float) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes (as numbers) of a layer from its ``current``, its rates r and eligibilities g [n, neurons]."""
    potential = torch.zeros_like(current[:, 0])
    fired, spikes, eligibility, rho = potential, [], torch.zeros_like(potential), 0.0
    for now in current.unbind(1):
        potential = leak * (potential - fired) + now
        fired = (potential > 1).to(current.dtype)
        rho = 1 + leak * rho
        eligibility = eligibility + surrogate(potential) * rho
        spikes.append(fired)
    spikes = torch.stack(spikes, 1)
    return spikes, spikes.mean(1), eligibility / len(current[0])


class RateNetwork(ReferenceNetwork):
    """LIF layers and a readout of means.

    Parameters
    ----------
    weights : as for every ReferenceNetwork, and so are ``more``.
    leak : what a potential keeps from step to step.
    """

    def __init__(self, weights: Sequence[Tensor], leak: float = 0.2, **more):
        super().__init__(weights, **more)
        self.leak = leak

    def infer(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n, K] and predictions [n]; ``inputs`` : spikes, or currents that drive the first layer, the same in all steps or
        not."""
        logits = self._forward(inputs)[0]
        return logits, logits.argmax(1)

    def train(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``infer``, and add the samples' gradients to ``gradients``; ``labels`` [n]."""
        logits, rates, eligibilities = self._forward(inputs)
        error = self._output_errors(logits, labels)  # dL/dc of the layer in work
        for l in range(self.depth, 0, -1):
            self.gradients[l - 1] += error.T @ rates[l - 1]
            if l > 1:
                error = (error @ self.feedback[l - 1]) * eligibilities[l - 2]
        return logits, logits.argmax(1)

    def _forward(self, inputs: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Logits, the rates of layers 0 (the mean inputs) to L - 1, and the eligibilities of layers 1 to L - 1."""
        spikes = inputs.to(self.weights[0].dtype)
        rates, eligibilities = [spikes.mean(1)], []
        for weight in self.weights[:-1]:
            spikes, rate, eligibility = traces(spikes @ weight.T, self.leak)
            rates.append(rate)
            eligibilities.append(eligibility)
        return rates[-1] @ self.weights[-1].T, rates, eligibilities
