"""TTFS network in floating point with event-driven backpropagation through separate feedback weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...spec.network import Readout
from .neuron import Spikes, fire, integrate
from .optimizer import SGD, SignMomentum
from .transport import ReferenceTransport

__all__ = ["ReferenceNetwork"]


class ReferenceNetwork:
    """State and operations, named as in ExactNetwork; nothing is quantised.

    Parameters
    ----------
    weights : for each weight layer [n_out, n_in]; copied. Their dtype (float32 or float64) is the one of all sums.
    readout : what the output layer reports.
    level_clip, slope_clip : clips of |ds/dI| and |ds/dW|; ``inf`` gives the exact derivatives.
    optimizer : update rule.
    interval : transport interval Phi in updates; 1 is BP, larger values are Frozen Backpropagation, 0 never.
    schemes : feedback and transport of layers 2 to L; all weights at the interval unless given.
    feedback : B of layers 2 to L at the start; the weights unless given.
    seed : of random and change-weighted choice.
    window : unit of the ``times`` that ``train`` and ``infer`` take: T counts as this many of them.

    Members
    -------
    weights, feedback, gradients : for each weight layer [n_out, n_in]; feedback starts as a copy of the weights;
        gradients of the summed loss dL/dW since the last update.
    transported : weights whose value was copied.
    """

    def __init__(self, weights: Sequence[Tensor], readout: Readout = Readout.POTENTIAL, level_clip: float = 1.0,
                 slope_clip: float = 1.0, optimizer: SGD | SignMomentum | None = None, interval: int = 1,
                 window: float = 1.0, schemes: Sequence[ReferenceTransport] | None = None,
                 feedback: Sequence[Tensor] | None = None, seed: int = 0):
        self.weights = [w.detach().clone() for w in weights]
        self.feedback = [w.detach().clone() for w in (self.weights if feedback is None else [self.weights[0], *feedback])]
        self.schemes = schemes or [ReferenceTransport()] * (len(self.weights) - 1)
        self._generator = torch.Generator().manual_seed(seed)
        self.gradients = [torch.zeros_like(w) for w in self.weights]
        self.readout, self.level_clip, self.slope_clip = Readout(readout), level_clip, slope_clip
        self.optimizer = optimizer or SGD()
        self.interval, self.position, self.window, self.transported = interval, 0, window, 0
        self._samples = 0

    @classmethod
    def kaiming(cls, layers: Sequence[int], seed: int, dtype: torch.dtype = torch.float64,
                **options) -> "ReferenceNetwork":
        """Network of ``layers`` neurons with weights from N(0, sqrt(2 / fan_in)); ``options`` are parameters."""
        generator = torch.Generator().manual_seed(seed)
        return cls([torch.randn(n_out, n_in, generator=generator, dtype=dtype) * math.sqrt(2 / n_in)
                    for n_in, n_out in zip(layers, layers[1:], strict=False)], **options)

    @property
    def depth(self) -> int:
        """L, the number of weight layers."""
        return len(self.weights)

    def infer(self, times: Tensor, fired: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n, K] and predictions [n]; ``times`` [n, n_in] is a = T - t, ``fired`` [n, n_in] bool."""
        logits, _, _ = self._forward(times, fired)
        return logits, logits.argmax(1)

    def train(self, times: Tensor, fired: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As ``infer``, and add the samples' gradients to ``gradients``; ``labels`` [n]."""
        logits, inputs, layers = self._forward(times, fired)
        errors = -torch.softmax(logits, 1)
        errors[torch.arange(len(labels)), labels] += 1
        self._backward(errors, inputs, layers)
        self._samples += len(labels)
        return logits, logits.argmax(1)

    def loss(self, times: Tensor, fired: Tensor, labels: Tensor) -> Tensor:
        """Softmax cross-entropy summed over the samples."""
        logits, _, _ = self._forward(times, fired)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")

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
