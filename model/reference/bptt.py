"""Backpropagation through time of the networks of model/reference/rate.py: the exact gradient (of the surrogate, no gradient
through the reset) that rate-based backpropagation comes near. Tensors are [n, T, neurons] unless said otherwise."""

import torch
from torch import Tensor

from .rate import RateNetwork, surrogate

__all__ = ["BpttNetwork"]


class BpttNetwork(RateNetwork):
    """The same forward pass; ``train`` goes back through all steps, through the feedback weights as well."""

    def train(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``infer``, and add the samples' gradients to ``gradients``; ``labels`` [n]."""
        spikes, potentials = [inputs.to(self.weights[0].dtype)], []
        for weight in self.weights[:-1]:
            potentials.append(self._potentials(spikes[-1] @ weight.T))
            spikes.append((potentials[-1] > 1).to(spikes[0].dtype))
        logits = spikes[-1].mean(1) @ self.weights[-1].T
        error = self._output_errors(logits, labels)
        self.gradients[-1] += error.T @ spikes[-1].mean(1)
        error = (error / spikes[0].shape[1])[:, None].expand(-1, spikes[0].shape[1], -1)  # dL of the output's input of a step
        for l in range(self.depth - 1, 0, -1):
            error = self._through_time(error @ self.feedback[l], potentials[l - 1])
            self.gradients[l - 1] += error.flatten(0, 1).T @ spikes[l - 1].flatten(0, 1)
        return logits, logits.argmax(1)

    def _potentials(self, current: Tensor) -> Tensor:
        """u[1] to u[T]."""
        potential, out = torch.zeros_like(current[:, 0]), []
        for now in current.unbind(1):
            potential = self.leak * (potential - (potential > 1).to(current.dtype)) + now
            out.append(potential)
        return torch.stack(out, 1)

    def _through_time(self, error: Tensor, potential: Tensor) -> Tensor:
        """dL/du of all steps from dL/ds."""
        later, out = torch.zeros_like(error[:, 0]), []
        for now, u in zip(reversed(error.unbind(1)), reversed(potential.unbind(1)), strict=True):
            later = now * surrogate(u) + self.leak * later
            out.append(later)
        return torch.stack(out[::-1], 1)
