"""The network that runs on the accelerator: its whole architectural state and the packets that change it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...spec.config import CoreConfig, Optimizer
from ...spec.network import Readout, layout
from ...spec.random import lane_seeds
from ...spec.registers import counters
from ...spec.transport import LayerTransport
from . import backward, readout, update
from .forward import Membrane, Spikes, fire, integrate
from .random import stream
from .record import SampleRecord, UpdateRecord
from .transport import Transport, decode, largest

__all__ = ["ExactNetwork"]

_CHUNK = 256  # samples in flight: bounds memory, changes no result


class ExactNetwork:
    """State and operations of one network on one build, batched over samples; bit-exact to docs/numerics.md.

    Parameters
    ----------
    config : the build.
    layers : neurons of layers 0 to L.
    readout : what the output layer reports.
    level_clip, slope_clip : clips of |ds/dI| and |ds/dW|, UQ4.12.
    rates : (mantissa, shift) for each weight layer. decays : multiplier for each weight layer (default 0).
    interval, interval_start : transport interval Phi and updates since its last end.
    schemes : feedback and transport scheme of each weight layer, the first's unused (default: all weights at the interval).
    top_k : how top-K transport chooses (default: by histogram, as the hardware does; see model/exact/transport.py).

    Members
    -------
    weights, gradients : for each weight layer int64 [n_out, n_in]; gradients has None without gradient memory.
    feedback : the same shapes, as they are stored; None for the first layer.
    random, transport_random : [lanes] uint32 generator states, of rounding and of transport.
    touched : for each weight layer bool [n_out], neurons listed in a visited layer since the last update.
    counters : event counters by name (spec.registers), cycle counters excluded.
    slope, level : accumulators [n_out] of each weight layer, last sample.
    spike_a, spike_fired : [n] of layers 0 (the inputs) to L, last sample.
    error_sum : err [n] of hidden layers 1 to L - 1, each of the last sample that reached it.
    output_error : eps [K] of the last training sample.
    """

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], readout: Readout = Readout.POTENTIAL,
                 level_clip: int = 1 << 12, slope_clip: int = 1 << 12, rates: list[tuple[int, int]] | None = None,
                 decays: list[int] | None = None, interval: int = 1, interval_start: int = 0,
                 schemes: list[LayerTransport] | None = None, top_k: Callable[[Tensor, int], Tensor] = largest):
        reason = config.misfit(tuple(layers))
        if reason:
            raise ValueError(reason)
        self.config, self.layers, self.top_k = config, tuple(layers), top_k
        self.layout = layout(self.layers, config.lanes)
        self.transport_random = np.array(lane_seeds(1, config.lanes), np.uint32)
        self.configure(readout, level_clip, slope_clip, rates or [(0, 0)] * self.depth,
                       decays or [0] * self.depth, interval, interval_start, schemes)
        shapes = [(p.n_out, p.n_in) for p in self.layout]
        self.weights = [torch.zeros(shape, dtype=torch.int64) for shape in shapes]
        self.feedback = [None, *(torch.zeros(shape, dtype=torch.int64) for shape in shapes[1:])]
        self.gradients = [torch.zeros(s, dtype=torch.int64) if config.gradient_memory else None for s in shapes]
        self.random = np.array(lane_seeds(0, config.lanes), np.uint32)
        self.counters = {name: 0 for name, _ in counters(config) if not name.endswith("_CYCLES")}
        self.slope = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.level = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.spike_a = [torch.zeros(n, dtype=torch.int64) for n in self.layers]
        self.spike_fired = [torch.zeros(n, dtype=torch.bool) for n in self.layers]
        self.error_sum = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:-1]]
        self.output_error = torch.zeros(self.layers[-1], dtype=torch.int64)

    def configure(self, readout: Readout, level_clip: int, slope_clip: int, rates: list[tuple[int, int]],
                  decays: list[int], interval: int, interval_start: int, schemes: list[LayerTransport] | None = None):
        """Load the run-time settings, as START does, and forget which columns were listed; memories stay."""
        if not len(rates) == len(decays) == self.depth:
            raise ValueError(f"{len(rates)} rates and {len(decays)} decays for {self.depth} weight layers")
        self.readout, self.level_clip, self.slope_clip = Readout(readout), level_clip, slope_clip
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

    # -- SAMPLE ------------------------------------------------------------------------------------
    def infer(self, times: Tensor, fired: Tensor) -> tuple[Tensor, Tensor, SampleRecord]:
        """SAMPLE packets with train = 0: logits [n, K] (10 fractional bits), predictions [n] and the record.

        ``times`` [n, n_in] holds a = T - t in ticks (any integer type), ``fired`` [n, n_in] bool.
        """
        return self._in_chunks(_CHUNK, times, fired, None)

    def train(self, times: Tensor, fired: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, SampleRecord]:
        """SAMPLE packets with train = 1, in order; ``labels`` [n]. Arguments and results as in ``infer``."""
        return self._in_chunks(_CHUNK if self.config.gradient_memory else 1, times, fired, labels.to(torch.int64))

    def _in_chunks(self, size: int, times: Tensor, fired: Tensor, labels: Tensor | None):
        fired = fired.to(torch.bool)
        parts = []
        for start in range(0, len(times), size):
            now = slice(start, start + size)
            a = torch.where(fired[now], times[now].to(torch.int64), 0)
            parts.append(self._samples(a, fired[now], None if labels is None else labels[now]))
        if not parts:
            raise ValueError("no samples")
        logits, predicted, records = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(predicted), SampleRecord.joined(list(records))

    def _samples(self, a: Tensor, fired: Tensor, labels: Tensor | None):
        """Samples between which no weight changes."""
        spikes = [(a, fired)]
        membranes, layers = [], []
        for l, weight in enumerate(self.weights, start=1):
            membrane = integrate(self.config, weight, *spikes[-1])
            if l == self.depth and self.readout is Readout.POTENTIAL:
                layer = Spikes.silent_readout(len(a), self.layers[l])
            else:
                layer = fire(self.config, membrane, self.level_clip, self.slope_clip)
            membranes.append(membrane)
            layers.append(layer)
            spikes.append((layer.a, layer.fired))
        logit = readout.logits(self.config, self.readout, membranes[-1], layers[-1])
        self._keep_last(membranes, spikes)
        self._count_samples(spikes, layers, labels is not None)
        lowest = torch.full((len(a),), self.depth + 1)
        if labels is not None:
            lowest = self._backward(spikes, layers, readout.output_errors(self.config, logit, labels))
        return logit, readout.predictions(logit), self._record(spikes, layers, lowest, labels is not None)

    def _keep_last(self, membranes: list[Membrane], spikes: list[tuple[Tensor, Tensor]]):
        self.slope = [m.slope[-1].clone() for m in membranes]
        self.level = [m.level[-1].clone() for m in membranes]
        self.spike_a = [a[-1].clone() for a, _ in spikes]
        self.spike_fired = [fired[-1].clone() for _, fired in spikes]

    def _count_samples(self, spikes: list[tuple[Tensor, Tensor]], layers: list[Spikes], train: bool):
        self.counters["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += len(spikes[0][0])
        for l, (_, fired) in enumerate(spikes[:self.depth]):
            self.counters[f"EVENTS_{l}"] += int(fired.sum())
        if train:
            self.counters["LEVEL_CLIPS"] += sum(int(layer.level_clipped.sum()) for layer in layers)
            self.counters["SLOPE_CLIPS"] += sum(int(layer.slope_clipped.sum()) for layer in layers)

    def _record(self, spikes: list[tuple[Tensor, Tensor]], layers: list[Spikes], lowest: Tensor,
                train: bool) -> SampleRecord:
        blocks = []
        for place, layer in zip(self.layout, layers, strict=True):
            padding = place.out_blocks * self.config.lanes - place.n_out
            padded = torch.nn.functional.pad(layer.fired, (0, padding))
            blocks.append(padded.view(-1, place.out_blocks, self.config.lanes).sum(2))
        return SampleRecord(train=train, events=spikes[0][1].sum(1), fired=blocks,
                            listed=[layer.active.sum(1) for layer in layers], lowest=lowest)

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
        if self.config.gradient_memory:
            self.touched[l - 1] |= listed.any(0)
            over = backward.accumulate(self.config, self.gradients[l - 1], part, a, fired)
            self.counters["GRADIENT_SATURATIONS"] += over
            return
        columns = listed[0].nonzero()[:, 0]
        gradient = backward.contributions(self.config, part.g[0, columns], part.h[0, columns], a[0], fired[0])
        self._update_columns(l, columns, gradient)

    # -- UPDATE ------------------------------------------------------------------------------------
    def update(self) -> UpdateRecord:
        """The UPDATE packet; the record says whether weights were transported (``due``)."""
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
        return UpdateRecord(columns=columns, words=words, skipped_tail=tail, due=due, moved=moved)

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
