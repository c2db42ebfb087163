"""Single-spike neurons with exact gradients on the accelerator: the SAMPLE packets of rule ttfs."""

import torch
from torch import Tensor

from ...spec.config import CoreConfig, Rule
from ...spec.network import Readout
from ...spec.transport import LayerTransport
from . import readout
from .forward import Spikes, fire, integrate
from .one_shot import OneShotNetwork
from .record import SampleRecord

__all__ = ["TtfsNetwork"]


class TtfsNetwork(OneShotNetwork):
    """A network of rule ttfs, batched over samples.

    Parameters
    ----------
    config, layers : as for every ExactNetwork, and so are ``more``.
    readout : what the output layer reports.
    level_clip, slope_clip : clips of |ds/dI| and |ds/dW|, UQ4.12.

    Members
    -------
    As of OneShotNetwork.
    """

    rule = Rule.TTFS

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], readout: Readout = Readout.POTENTIAL,
                 level_clip: int = 1 << 12, slope_clip: int = 1 << 12, **more):
        super().__init__(config, layers, **more)
        self.set_rule(readout, level_clip, slope_clip)

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
        return self._in_chunks(times, fired, None)

    def train(self, times: Tensor, fired: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, SampleRecord]:
        """SAMPLE packets with train = 1, in order; ``labels`` [n]. Arguments and results as in ``infer``."""
        return self._in_chunks(times, fired, labels.to(torch.int64))

    def _in_chunks(self, times: Tensor, fired: Tensor, labels: Tensor | None):
        fired, size = fired.to(torch.bool), self._chunk(labels is not None)
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

    def _count_samples(self, spikes: list[tuple[Tensor, Tensor]], layers: list[Spikes], train: bool):
        self.counters["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += len(spikes[0][0])
        for l, (_, fired) in enumerate(spikes[:self.depth]):
            self.counters[f"EVENTS_{l}"] += int(fired.sum())
        if train:
            self.counters["LEVEL_CLIPS"] += sum(int(layer.level_clipped.sum()) for layer in layers)
            self.counters["SLOPE_CLIPS"] += sum(int(layer.slope_clipped.sum()) for layer in layers)

    def _record(self, spikes: list[tuple[Tensor, Tensor]], layers: list[Spikes], lowest: Tensor,
                train: bool) -> SampleRecord:
        blocks = [self._by_blocks(l, layer.fired) for l, layer in enumerate(layers, start=1)]
        return SampleRecord(train=train, events=spikes[0][1].sum(1), fired=blocks,
                            listed=[layer.active.sum(1) for layer in layers], lowest=lowest)
