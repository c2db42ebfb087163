"""Rate-based backpropagation on the accelerator: the SAMPLE packets of rule rate, batched over samples."""

import torch
from torch import Tensor

from ...spec.config import CoreConfig, Rule
from ...spec.network import Readout
from ...spec.rate import RateSettings
from . import readout, traces
from .arithmetic import count
from .forward import Membrane, Spikes, integrate
from .lif import currents
from .one_shot import OneShotNetwork
from .record import RateRecord

__all__ = ["RateNetwork"]


class RateNetwork(OneShotNetwork):
    """A network of rule rate.

    Parameters
    ----------
    config, layers : as for every ExactNetwork, and so are ``more``.
    settings : how it runs (default: one step, currents).

    Members
    -------
    Besides those of OneShotNetwork:

    settings : steps and coded count, and the leak of nobody: it lies in ``profile``.
    ticks : K. profile : [max_steps + 1], leak and p[1] to p[T] as the host wrote them.
    membrane, eligibility : u and F [n] of hidden layers 1 to L - 1, last sample.
    """

    rule = Rule.RATE

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], settings: RateSettings | None = None, **more):
        super().__init__(config, layers, **more)
        self.profile = torch.zeros(config.max_steps + 1, dtype=torch.int64)
        self.set_rule(settings or RateSettings(steps=1), 0)
        if settings:
            self.ticks = settings.ticks(config)
            self.profile[:settings.steps + 1] = torch.tensor(settings.profile)
        self.membrane = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:-1]]
        self.eligibility = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:-1]]

    def set_rule(self, settings: RateSettings, ticks: int):
        """Replace the settings that this rule has for itself."""
        self.settings, self.ticks = settings, ticks

    # -- SAMPLE ------------------------------------------------------------------------------------
    def infer(self, levels: Tensor, sent: Tensor, spikes: Tensor | None = None) -> tuple[Tensor, Tensor, RateRecord]:
        """SAMPLE packets with train = 0: logits [n, K] (10 fractional bits), predictions [n] and the record.

        ``levels`` [n, n_in] in ticks, 0 to T; ``sent`` [n, n_in] bool, inputs whose level was sent; ``spikes`` bool
        [n, T, n_in], of coded inputs alone.
        """
        return self._in_chunks(levels, sent, spikes, None)

    def train(self, levels: Tensor, sent: Tensor, labels: Tensor,
              spikes: Tensor | None = None) -> tuple[Tensor, Tensor, RateRecord]:
        """SAMPLE packets with train = 1, in order; ``labels`` [n]. Arguments and results as in ``infer``."""
        return self._in_chunks(levels, sent, spikes, labels.to(torch.int64))

    def _in_chunks(self, levels: Tensor, sent: Tensor, spikes: Tensor | None, labels: Tensor | None):
        if self.settings.coded == (spikes is None):
            raise ValueError("inputs that are spikes come with them, currents without")
        sent, size, parts = sent.to(torch.bool), self._chunk(labels is not None), []
        for start in range(0, len(levels), size):
            now = slice(start, start + size)
            level = torch.where(sent[now], levels[now].to(torch.int64), 0)
            parts.append(self._samples(level, sent[now], None if spikes is None else spikes[now].to(torch.bool),
                                       None if labels is None else labels[now]))
        if not parts:
            raise ValueError("no samples")
        logits, predicted, records = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(predicted), RateRecord.joined(list(records))

    def _samples(self, level: Tensor, sent: Tensor, inputs: Tensor | None, labels: Tensor | None):
        """Samples between which no weight changes."""
        rated, fired, membranes, runs = [(level, sent)], inputs, [], []
        for l in range(1, self.depth):
            membrane, current = self._driven(l, level, sent, fired)
            run = traces.run(self.config, int(self.profile[0]), self.profile[1:self.settings.steps + 1], current)
            self.counters["MEMBRANE_SATURATIONS"] += run.saturations
            fired = run.fired
            membranes.append(membrane)
            runs.append(run)
            rated.append((traces.rates(self.config, self.ticks, run.spikes), run.spikes > 0))
        membranes.append(integrate(self.config, self.weights[-1], *rated[-1]))
        layers = [self._passing(run, fired) for run, (_, fired) in zip(runs, rated[1:], strict=True)]
        layers.append(self._readout(len(level)))
        read = Membrane(torch.zeros_like(membranes[-1].level), membranes[-1].level)
        logit = readout.logits(self.config, Readout.POTENTIAL, read, layers[-1])
        rated.append((layers[-1].a, layers[-1].fired))
        self._keep_last(membranes, rated)
        self.membrane = [run.potential[-1].clone() for run in runs]
        self.eligibility = [run.eligibility[-1].clone() for run in runs]
        self._count_samples(sent, inputs, runs, labels is not None)
        lowest = torch.full((len(level),), self.depth + 1)
        if labels is not None:
            lowest = self._backward(rated, layers, readout.output_errors(self.config, logit, labels))
        return logit, readout.predictions(logit), self._record(sent, inputs, runs, layers, lowest, labels is not None)

    def _driven(self, l: int, level: Tensor, sent: Tensor, fired: Tensor | None) -> tuple[Membrane, Tensor]:
        """A hidden layer's accumulators after the last step, and its currents [n, T, n_out]; ``fired`` of the layer before, None
        where currents drive it."""
        weight = self.weights[l - 1]
        if fired is None:
            membrane = integrate(self.config, weight, level, sent)
            current = traces.constant_current(self.config, membrane.level)
            return membrane, current[:, None].expand(-1, self.settings.steps, -1)
        current = currents(weight, fired)
        return Membrane(current[:, -1], torch.zeros_like(current[:, -1])), current

    def _passing(self, run: traces.Traces, fired: Tensor) -> Spikes:
        """A hidden layer as the backward pass sees it."""
        factor, no = traces.eligibility_factor(self.config, run.eligibility), torch.zeros_like(fired)
        return Spikes(traces.rates(self.config, self.ticks, run.spikes), fired, factor > 0, factor, factor, no, no)

    def _readout(self, samples: int) -> Spikes:
        """The output layer, which lists every neuron with derivatives of 1.0."""
        silent = Spikes.silent_readout(samples, self.layers[-1])
        one = silent.factor_level
        return Spikes(silent.a, silent.fired, silent.active, one, one, silent.level_clipped, silent.slope_clipped)

    def _count_samples(self, sent: Tensor, inputs: Tensor | None, runs: list[traces.Traces], train: bool):
        self.counters["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += len(sent)
        # What becomes an event: of the layer before the output layer its rates, one a neuron.
        events = [inputs if inputs is not None and self.depth > 1 else sent, *(run.fired for run in runs[:-1])]
        events += [run.spikes > 0 for run in runs[-1:]]
        for l, each in enumerate(events):
            self.counters[f"EVENTS_{l}"] += count(each)

    def _record(self, sent: Tensor, inputs: Tensor | None, runs: list[traces.Traces], layers: list[Spikes], lowest: Tensor,
                train: bool) -> RateRecord:
        coded = torch.zeros(len(sent), self.settings.steps, dtype=torch.int64) if inputs is None else inputs.sum(2)
        shown = [layer.fired | (layer.active & train) for layer in layers[:-1]]
        return RateRecord(train=train, events=sent.sum(1), lowest=lowest, listed=[layer.active.sum(1) for layer in layers],
                          fired=[self._by_blocks(l, layer.fired) for l, layer in enumerate(layers, start=1)],
                          inputs=coded, spikes=[run.fired for run in runs], shown=shown)
