"""TTFS network in floating point with event-driven backpropagation through separate feedback weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...spec.network import Readout
from .network import ReferenceNetwork
from .neuron import Spikes, fire, integrate

__all__ = ["TtfsNetwork"]


class TtfsNetwork(ReferenceNetwork):
    """Single-spike neurons.

    Parameters
    ----------
    weights : as for every ReferenceNetwork, and so are ``more``.
    readout : what the output layer reports.
    level_clip, slope_clip : clips of |ds/dI| and |ds/dW|; ``inf`` gives the exact derivatives.
    window : unit of the ``times`` that ``train`` and ``infer`` take: T counts as this many of them.
    """

    def __init__(self, weights: Sequence[Tensor], readout: Readout = Readout.POTENTIAL, level_clip: float = 1.0,
                 slope_clip: float = 1.0, window: float = 1.0, **more):
        super().__init__(weights, **more)
        self.readout, self.level_clip, self.slope_clip = Readout(readout), level_clip, slope_clip
        self.window = window

    @classmethod
    def kaiming(cls, layers: Sequence[int], seed: int, dtype: torch.dtype = torch.float64, **options) -> "TtfsNetwork":
        """Network of ``layers`` neurons with weights from N(0, sqrt(2 / fan_in)); ``options`` are parameters."""
        generator = torch.Generator().manual_seed(seed)
        return cls([torch.randn(n_out, n_in, generator=generator, dtype=dtype) * math.sqrt(2 / n_in)
                    for n_in, n_out in zip(layers, layers[1:], strict=False)], **options)

    def infer(self, times: Tensor, fired: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n, K] and predictions [n]; ``times`` [n, n_in] is a = T - t, ``fired`` [n, n_in] bool."""
        logits, _, _ = self._forward(times, fired)
        return logits, logits.argmax(1)

    def train(self, times: Tensor, fired: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``infer``, and add the samples' gradients to ``gradients``; ``labels`` [n]."""
        logits, inputs, layers = self._forward(times, fired)
        self._backward(-self._output_errors(logits, labels), inputs, layers)
        return logits, logits.argmax(1)

    def loss(self, times: Tensor, fired: Tensor, labels: Tensor) -> Tensor:
        """Softmax cross-entropy summed over the samples."""
        logits, _, _ = self._forward(times, fired)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")

    def _forward(self, times: Tensor, fired: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]], list[Spikes]]:
        """Logits, each weight layer's (a, fired) inputs, and each layer's spikes."""
        now = (times.to(self.weights[0].dtype) / self.window, fired)
        inputs, layers = [], []
        for weight in self.weights:
            slope, level = integrate(weight, *now)
            inputs.append(now)
            layers.append(fire(slope, level, self.level_clip, self.slope_clip))
            now = (layers[-1].a, layers[-1].fired)
        if self.readout is Readout.SPIKE_TIME:
            return layers[-1].a, inputs, layers  # -t up to a constant, which softmax ignores
        every = torch.ones_like(slope)
        # z = sum w (2 - t): its derivatives, in the form of the three-factor rule, are 1 and 2 for every neuron
        layers[-1] = Spikes(torch.zeros_like(slope), every < 0, every > 0, every, 2 * every)
        return slope + level, inputs, layers

    def _backward(self, errors: Tensor, inputs: list[tuple[Tensor, Tensor]], layers: list[Spikes]):
        """Add to the gradients, from output errors dL/ds [n, K] (SPIKE_TIME; -dL/dz for POTENTIAL)."""
        for l in range(self.depth, 0, -1):
            spikes, (a, fired) = layers[l - 1], inputs[l - 1]
            present = fired.to(errors.dtype)
            g = errors * spikes.level_factor  # [n, n_out]; 0 where not active
            h = errors * spikes.slope_factor
            self.gradients[l - 1] += g.T @ ((1 - a) * present) - h.T @ present
            errors = g @ self.feedback[l - 1]
