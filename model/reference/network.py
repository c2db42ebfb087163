"""A network in floating point, whatever its rule: weights, updates and transport."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .optimizer import SGD, SignMomentum
from .transport import ReferenceTransport

__all__ = ["ReferenceNetwork"]


class ReferenceNetwork:
    """State and operations, named as in ExactNetwork; nothing is quantised. A rule adds ``infer(*inputs)`` and
    ``train(*inputs, labels)``: logits [n, K] and predictions [n].

    Parameters
    ----------
    weights : for each weight layer [n_out, n_in]; copied. Their dtype (float32 or float64) is the one of all sums.
    optimizer : update rule.
    interval : transport interval Phi in updates; 1 is BP, larger values are Frozen Backpropagation, 0 never.
    schemes : feedback and transport of layers 2 to L; all weights at the interval unless given.
    feedback : B of layers 2 to L at the start; the weights unless given.
    seed : of random and change-weighted choice.

    Members
    -------
    weights, feedback, gradients : for each weight layer [n_out, n_in]; feedback starts as a copy of the weights;
        gradients of the summed loss dL/dW since the last update.
    transported : weights whose value was copied.
    """

    def __init__(self, weights: Sequence[Tensor], optimizer: SGD | SignMomentum | None = None, interval: int = 1,
                 schemes: Sequence[ReferenceTransport] | None = None, feedback: Sequence[Tensor] | None = None, seed: int = 0):
        self.weights = [w.detach().clone() for w in weights]
        self.feedback = [w.detach().clone() for w in (self.weights if feedback is None else [self.weights[0], *feedback])]
        self.schemes = schemes or [ReferenceTransport()] * (len(self.weights) - 1)
        self._generator = torch.Generator().manual_seed(seed)
        self.gradients = [torch.zeros_like(w) for w in self.weights]
        self.optimizer = optimizer or SGD()
        self.interval, self.position, self.transported = interval, 0, 0
        self._samples = 0

    @property
    def depth(self) -> int:
        """L, the number of weight layers."""
        return len(self.weights)

    def _output_errors(self, logits: Tensor, labels: Tensor) -> Tensor:
        """dL/dlogit [n, K] of the cross-entropy; the samples count for the next update's mean."""
        errors = torch.softmax(logits, 1)
        errors[torch.arange(len(labels)), labels] -= 1
        self._samples += len(labels)
        return errors

    def update(self, rates: Sequence[float], decays: Sequence[float] | None = None) -> bool:
        """Step every layer by the mean gradient since the last update; True at the end of the interval.

        ``rates``, ``decays`` : for each weight layer, learning rate and decoupled decay of this step.
        """
        decays = decays or [0.0] * self.depth
        for l, (weight, gradient) in enumerate(zip(self.weights, self.gradients, strict=True)):
            self.optimizer.step(l, weight, gradient / max(1, self._samples), rates[l], decays[l])
            gradient.zero_()
        self._samples = 0
        self.position += 1
        at_interval = self.position == self.interval
        if at_interval:
            self.position = 0
        for scheme, weight, back in zip(self.schemes, self.weights[1:], self.feedback[1:], strict=True):
            self.transported += scheme.move(weight, back, at_interval, self._generator)
        return at_interval
