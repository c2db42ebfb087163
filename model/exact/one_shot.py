"""Networks whose backward pass visits each neuron once, with factors g and h (rules ttfs and rate)."""

import torch
from torch import Tensor

from ...spec.config import CoreConfig
from . import backward
from .forward import Membrane, Spikes
from .network import ExactNetwork
from .transport import decode

__all__ = ["CHUNK", "OneShotNetwork"]

CHUNK = 256
"""Samples in flight: bounds memory, changes no result."""


class OneShotNetwork(ExactNetwork):
    """What such networks keep of their samples, and their backward pass.

    Members
    -------
    slope, level : accumulators [n_out] of each weight layer, last sample.
    spike_a, spike_fired : [n] of layers 0 (the inputs) to L, last sample: times before the window's end or rates, in ticks, and who
        fired.
    error_sum : err [n] of hidden layers 1 to L - 1, each of the last sample that reached it.
    output_error : eps [K] of the last training sample.
    """

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], **more):
        super().__init__(config, layers, **more)
        self.slope = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.level = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.spike_a = [torch.zeros(n, dtype=torch.int64) for n in self.layers]
        self.spike_fired = [torch.zeros(n, dtype=torch.bool) for n in self.layers]
        self.error_sum = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:-1]]
        self.output_error = torch.zeros(self.layers[-1], dtype=torch.int64)

    def _chunk(self, train: bool) -> int:
        """Samples between which no weight changes, at most."""
        return 1 if train and not self.config.gradient_memory else CHUNK

    def _keep_last(self, membranes: list[Membrane], spikes: list[tuple[Tensor, Tensor]]):
        self.slope = [m.slope[-1].clone() for m in membranes]
        self.level = [m.level[-1].clone() for m in membranes]
        self.spike_a = [a[-1].clone() for a, _ in spikes]
        self.spike_fired = [fired[-1].clone() for _, fired in spikes]

    def _by_blocks(self, l: int, mask: Tensor) -> Tensor:
        """[..., blocks], true neurons of layer l in each block of lanes; ``mask`` [..., n_out]."""
        place = self.layout[l - 1]
        padded = torch.nn.functional.pad(mask, (0, place.out_blocks * self.config.lanes - place.n_out))
        return padded.unflatten(-1, (place.out_blocks, self.config.lanes)).sum(-1)

    # -- backward ----------------------------------------------------------------------------------
    def _backward(self, spikes: list[tuple[Tensor, Tensor]], layers: list[Spikes], errors: Tensor) -> Tensor:
        """Backward pass of training samples from output errors [n, K]; lowest visited layer of each sample."""
        self.output_error = errors[-1].clone()
        visited = torch.ones(len(errors), dtype=torch.bool)
        lowest = torch.full((len(errors),), self.depth)
        for l in range(self.depth, 0, -1):
            listed = layers[l - 1].active & visited[:, None]
            if l < self.depth:
                errors, over = backward.hidden_errors(self.config, errors, listed)
                self.counters["ERROR_SATURATIONS"] += over
            part = backward.factors(self.config, errors, layers[l - 1], listed)
            self.counters["ERROR_SATURATIONS"] += part.saturations
            self.counters[f"ACTIVE_{l}"] += int(listed.sum())
            self._learn(l, part, listed, *spikes[l - 1])
            visited = listed.any(1)
            if l == 1 or not bool(visited.any()):
                break
            lowest -= visited.to(torch.int64)
            back = decode(self.config, self.feedback[l - 1], self.transport.schemes[l - 1].scale)
            errors = backward.presynaptic_errors(self.config, part.g, back)
            self.error_sum[l - 2] = errors[int(visited.nonzero()[-1])].clone()
        return lowest

    def _learn(self, l: int, part: backward.Factors, listed: Tensor, a: Tensor, fired: Tensor):
        """Take a layer's factors into the gradient memory, or straight into the weights of a build without one."""
        self.touched[l - 1] |= listed.any(0)
        if self.config.gradient_memory:
            over = backward.accumulate(self.config, self.gradients[l - 1], part, a, fired)
            self.counters["GRADIENT_SATURATIONS"] += over
            return
        columns = listed[0].nonzero()[:, 0]
        gradient = backward.contributions(self.config, part.g[0, columns], part.h[0, columns], a[0], fired[0])
        self._update_columns(l, columns, gradient)
