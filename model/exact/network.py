"""The network that runs on the accelerator, whatever its rule: memories, updates and transport."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...spec.config import CoreConfig, Optimizer, Rule
from ...spec.network import layout
from ...spec.random import lane_seeds
from ...spec.registers import counters
from ...spec.transport import LayerTransport
from . import update
from .random import stream
from .record import UpdateRecord
from .transport import Transport, largest

__all__ = ["ExactNetwork"]


class ExactNetwork:
    """State of one network on one build that no rule has for itself, and the UPDATE packet; bit-exact to docs/numerics.md.

    Parameters
    ----------
    config : the build.
    layers : neurons of layers 0 to L.
    rates : (mantissa, shift) for each weight layer. decays : multiplier for each weight layer (default 0).
    interval, interval_start : transport interval Phi and updates since its last end.
    schemes : feedback and transport scheme of each weight layer, the first's unused (default: all weights at the interval).
    top_k : how top-K transport chooses (default: by histogram, as the hardware does; see model/exact/transport.py).

    Members
    -------
    rule : of the subclass.
    weights, gradients : for each weight layer int64 [n_out, n_in]; gradients has None without gradient memory.
    feedback : the same shapes, as they are stored; None for the first layer.
    random, transport_random : [lanes] uint32 generator states, of rounding and of transport.
    touched : for each weight layer bool [n_out], neurons listed in a visited layer since the last update.
    counters : event counters by name (spec.registers), cycle counters excluded.
    """

    rule: Rule

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], rates: list[tuple[int, int]] | None = None,
                 decays: list[int] | None = None, interval: int = 1, interval_start: int = 0,
                 schemes: list[LayerTransport] | None = None, top_k: Callable[[Tensor, int], Tensor] = largest):
        reason = config.misfit(tuple(layers))
        if reason:
            raise ValueError(reason)
        self.config, self.layers, self.top_k = config, tuple(layers), top_k
        self.layout = layout(self.layers, config.lanes)
        self.transport_random = np.array(lane_seeds(1, config.lanes), np.uint32)
        self.load(rates or [(0, 0)] * self.depth, decays or [0] * self.depth, interval, interval_start, schemes)
        shapes = [(p.n_out, p.n_in) for p in self.layout]
        self.weights = [torch.zeros(shape, dtype=torch.int64) for shape in shapes]
        self.feedback = [None, *(torch.zeros(shape, dtype=torch.int64) for shape in shapes[1:])]
        self.gradients = [torch.zeros(s, dtype=torch.int64) if config.gradient_memory else None for s in shapes]
        self.random = np.array(lane_seeds(0, config.lanes), np.uint32)
        self.counters = {name: 0 for name, _ in counters(config) if not name.endswith("_CYCLES")}

    def load(self, rates: list[tuple[int, int]], decays: list[int], interval: int, interval_start: int,
             schemes: list[LayerTransport] | None = None):
        """Load the settings that all rules have, as START does, and forget which columns were listed; memories stay."""
        if not len(rates) == len(decays) == self.depth:
            raise ValueError(f"{len(rates)} rates and {len(decays)} decays for {self.depth} weight layers")
        self.set_rates(rates, decays)
        schemes = schemes or [LayerTransport()] * self.depth
        if len(schemes) != self.depth:
            raise ValueError(f"{len(schemes)} transport schemes for {self.depth} weight layers")
        self.transport = Transport(self.config, self.layout, schemes, interval, interval_start, self.top_k)
        self.touched = [torch.zeros(n, dtype=torch.bool) for n in self.layers[1:]]

    def set_rates(self, rates: list[tuple[int, int]], decays: list[int] | None = None):
        """Replace the learning rates (mantissa, shift) and, if given, the decay multipliers."""
        decays = [rate.decay for rate in self.rates] if decays is None else decays
        self.rates = [update.Rate(m, s, d) for (m, s), d in zip(rates, decays, strict=True)]

    @property
    def depth(self) -> int:
        """L, the number of weight layers."""
        return len(self.layers) - 1

    # -- UPDATE ------------------------------------------------------------------------------------
    def update(self) -> UpdateRecord:
        """The UPDATE packet; the record says whether weights were transported (``due``), and who was active before."""
        active = [bool(touched.any()) for touched in self.touched]
        columns, tail = [0] * self.depth, 0
        if self.config.gradient_memory:
            tail = self._skipped_tail()
            columns = [self._update_layer(l) for l in range(1, self.depth + 1)]
        for touched in self.touched:
            touched.zero_()
        self.counters["UPDATES"] += 1
        moved, self.transport_random = self.transport.after_update(self.weights, self.feedback, self.transport_random)
        due = any(each.passes for each in moved)
        self.counters["TRANSPORTS"] += due
        for each, place in zip(moved, self.layout, strict=True):
            self.counters["WEIGHTS_READ"] += each.passes * place.n_in * place.n_out
            self.counters["WEIGHTS_TRANSPORTED"] += each.values
            self.counters["SIGNS_TRANSPORTED"] += each.signs
            self.counters["TRANSPORT_WORDS"] += each.passes * place.words
            self.counters["FEEDBACK_WORDS"] += each.written
        words = [count * place.in_blocks for count, place in zip(columns, self.layout, strict=True)]
        return UpdateRecord(columns=columns, words=words, skipped_tail=tail, due=due, moved=moved,
                            active=active)

    def _skipped_tail(self) -> int:
        """Columns at the end of the walk that the update skips."""
        tail = 0
        for l in range(self.depth, 0, -1):
            if self.config.optimizer is Optimizer.SIGN_MOMENTUM or self.rates[l - 1].decay:
                return tail
            visited = self.touched[l - 1].nonzero()
            if len(visited):
                return tail + self.layers[l] - 1 - int(visited[-1])
            tail += self.layers[l]
        return tail

    def _update_layer(self, l: int) -> int:
        """Update layer l from its gradient memory; the number of columns visited."""
        gradient = self.gradients[l - 1]
        if self.config.optimizer is Optimizer.SIGN_MOMENTUM:
            self._update_columns(l, slice(None), gradient)
            self.gradients[l - 1] = update.decayed_momentum(gradient)
            return self.layers[l]
        columns = slice(None) if self.rates[l - 1].decay else self.touched[l - 1].nonzero()[:, 0]
        visited = gradient[columns]
        self._update_columns(l, columns, visited)
        gradient[columns] = 0
        return len(visited)

    def _update_columns(self, l: int, columns: Tensor | slice, gradient: Tensor):
        """Update the weights of ``columns`` of layer l from ``gradient`` [columns, n_in]; advances the generators."""
        n_in, in_blocks = self.layers[l - 1], self.layout[l - 1].in_blocks
        states, self.random = stream(self.random, len(gradient) * in_blocks)
        u = update.rounding_bits(states, n_in)
        weight = self.weights[l - 1]
        new, over = update.updated_weights(self.config, weight[columns], gradient, u, self.rates[l - 1])
        weight[columns] = new
        self.counters["WEIGHT_SATURATIONS"] += over
