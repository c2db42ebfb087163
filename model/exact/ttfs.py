"""Single-spike neurons with exact gradients on the accelerator: the SAMPLE packets of rule ttfs."""

import torch
from torch import Tensor

from ...spec.config import CoreConfig, Rule
from ...spec.network import Readout
from ...spec.transport import LayerTransport
from . import backward, readout
from .forward import Membrane, Spikes, fire, integrate
from .network import ExactNetwork
from .record import SampleRecord
from .transport import decode

__all__ = ["TtfsNetwork"]

_CHUNK = 256  # samples in flight: bounds memory, changes no result


class TtfsNetwork(ExactNetwork):
    """A network of rule ttfs, batched over samples.

    Parameters
    ----------
    config, layers : as for every ExactNetwork, and so are ``more``.
    readout : what the output layer reports.
    level_clip, slope_clip : clips of |ds/dI| and |ds/dW|, UQ4.12.

    Members
    -------
    slope, level : accumulators [n_out] of each weight layer, last sample.
    spike_a, spike_fired : [n] of layers 0 (the inputs) to L, last sample.
    error_sum : err [n] of hidden layers 1 to L - 1, each of the last sample that reached it.
    output_error : eps [K] of the last training sample.
    """

    rule = Rule.TTFS

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], readout: Readout = Readout.POTENTIAL,
                 level_clip: int = 1 << 12, slope_clip: int = 1 << 12, **more):
        super().__init__(config, layers, **more)
        self.set_rule(readout, level_clip, slope_clip)
        self.slope = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.level = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.spike_a = [torch.zeros(n, dtype=torch.int64) for n in self.layers]
        self.spike_fired = [torch.zeros(n, dtype=torch.bool) for n in self.layers]
        self.error_sum = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:-1]]
        self.output_error = torch.zeros(self.layers[-1], dtype=torch.int64)

    def configure(self, readout: Readout, level_clip: int, slope_clip: int, rates: list[tuple[int, int]],
                  decays: list[int], interval: int, interval_start: int, schemes: list[LayerTransport] | None = None):
        """Load the run-time settings, as START does, and forget which columns were listed; memories stay."""
        self.set_rule(readout, level_clip, slope_clip)
        self.load(rates, decays, interval, interval_start, schemes)

    def set_rule(self, readout: Readout, level_clip: int, slope_clip: int):
        """Replace the settings that this rule has for itself."""
        self.readout, self.level_clip, self.slope_clip = Readout(readout), level_clip, slope_clip

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
