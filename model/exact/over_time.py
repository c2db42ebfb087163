"""Leaky integrate-and-fire neurons over time on the accelerator: the SAMPLE packets of rule sparse-bptt, batched over samples.

Inputs are bool [n, T, n_in] spikes. Golden model of hw/forward/step_engine.py and hw/backward/step_engine.py.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...spec.config import CoreConfig, Rule
from ...spec.lif import LifSettings
from . import sparse_bptt
from .arithmetic import count, counts
from .lif import LifSpikes, currents, decay, fire, integrate
from .network import ExactNetwork
from .readout import output_errors, predictions
from .sparse_bptt import Jobs
from .transport import decode

__all__ = ["OverTimeRecord", "SparseBpttNetwork"]

_CHUNK = 64  # samples in flight: bounds memory, changes no result


@dataclass(frozen=True, kw_only=True)
class OverTimeRecord:
    """What ``n`` samples did, as the timing model needs it; tensors bool [n, T, neurons].

    Members
    -------
    train : whether the samples were training samples.
    learned : bool [n], training samples that the tape had room for.
    written : bool [n], training samples whose output errors became jobs, as the tape had room until then.
    spikes : of layers 0 to L - 1, as far as the tape holds them.
    scanned : for each hidden layer, neurons that fired or, in training samples, are active.
    active : for each hidden layer, active neurons of steps 1 on.
    jobs : for each weight layer, of samples that are learned from.
    """

    train: bool
    learned: Tensor
    written: Tensor
    spikes: list[Tensor]
    scanned: list[Tensor]
    active: list[Tensor]
    jobs: list[Tensor]

    @property
    def samples(self) -> int:
        """n."""
        return len(self.learned)

    @classmethod
    def joined(cls, parts: "list[OverTimeRecord]") -> "OverTimeRecord":
        """One record of consecutive ones (of the same network and train flag)."""
        if len(parts) == 1:
            return parts[0]
        lists = {name: [torch.cat(each) for each in zip(*(getattr(p, name) for p in parts), strict=True)]
                 for name in ("spikes", "scanned", "active", "jobs")}
        return cls(train=parts[0].train, learned=torch.cat([p.learned for p in parts]),
                   written=torch.cat([p.written for p in parts]), **lists)


class _Room:
    """Entries of a tape memory that are left, for each of n samples."""

    def __init__(self, samples: int, entries: int):
        self.left = torch.full((samples,), entries)
        self.over = torch.zeros(samples, dtype=torch.bool)

    def keep(self, entries: Tensor) -> Tensor:
        """``entries`` bool [n, T, neurons] without those that find no room, in the order of steps, then neurons."""
        wanted = counts(entries)
        over = wanted > self.left
        if bool(over.any()):
            entries = entries.clone()
            rows = over.nonzero()[:, 0]
            flat = entries[rows].flatten(1)
            entries[rows] = (flat & (flat.cumsum(1) <= self.left[rows, None])).view(-1, *entries.shape[1:])
        self.left = (self.left - wanted).clamp(min=0)
        self.over |= over
        return entries


class SparseBpttNetwork(ExactNetwork):
    """A network of rule sparse-bptt.

    Parameters
    ----------
    config, layers : as for every ExactNetwork, and so are ``more``.
    settings : how it runs over time (default: one step); its ``powers`` are ignored.

    Members
    -------
    powers : B[n], n = 0 to max_steps, as the host wrote it.
    sums : for each weight layer [n_out], the membrane sums that the last sample left.
    spike_list : for layers 0 to L - 1 the last sample's spikes on the tape, (step, neuron) rows in order.
    job_list : for weight layers 1 to L the last sample's entries on the tape, (step, neuron, value) rows in order (hw/layouts.py,
        StepJobLayout).
    output_error : eps [K] of the last training sample.
    """

    rule = Rule.SPARSE_BPTT

    def __init__(self, config: CoreConfig, layers: tuple[int, ...], settings: LifSettings | None = None, **more):
        super().__init__(config, layers, **more)
        self.powers = torch.zeros(config.max_steps + 1, dtype=torch.int64)
        self.settings = settings or LifSettings(steps=1, window=0, scales=(0,) * self.depth)
        if settings:
            self.powers[:settings.steps + 1] = torch.tensor(settings.decays)
        self.sums = [torch.zeros(n, dtype=torch.int64) for n in self.layers[1:]]
        self.spike_list = [torch.zeros(0, 2, dtype=torch.int64) for _ in self.layers[:-1]]
        self.job_list = [torch.zeros(0, 3, dtype=torch.int64) for _ in self.layers[1:]]
        self.output_error = torch.zeros(self.layers[-1], dtype=torch.int64)

    # -- SAMPLE ------------------------------------------------------------------------------------
    def infer(self, spikes: Tensor) -> tuple[Tensor, Tensor, Tensor, OverTimeRecord]:
        """SAMPLE packets with train = 0: logits [n, K] (10 fractional bits), predictions [n], bool [n] samples that the tape
        had no room for, and the record."""
        return self._in_chunks(spikes, None)

    def train(self, spikes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, OverTimeRecord]:
        """SAMPLE packets with train = 1, in order; ``labels`` [n]. Results as of ``infer``."""
        return self._in_chunks(spikes, labels.to(torch.int64))

    def _in_chunks(self, spikes: Tensor, labels: Tensor | None):
        parts = [self._samples(spikes[n:n + _CHUNK], None if labels is None else labels[n:n + _CHUNK])
                 for n in range(0, len(spikes), _CHUNK)]
        if not parts:
            raise ValueError("no samples")
        logits, predicted, over, records = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(predicted), torch.cat(over), OverTimeRecord.joined(list(records))

    def _samples(self, spikes: Tensor, labels: Tensor | None):
        """Samples between which no weight changes."""
        n, train, settings = len(spikes), labels is not None, self._at_present()
        self.counters["SAMPLES_TRAINED" if train else "SAMPLES_INFERRED"] += n
        tape, halves = _Room(n, self.config.spike_entries), [_Room(n, self.config.job_entries) for _ in range(2)]
        heard, layers, active = [tape.keep(spikes)], [], []
        for l in range(1, self.depth):
            layers.append(self._hidden(settings, l, heard[-1]))
            heard.append(tape.keep(layers[-1].fired))
            entries = layers[-1].active & train
            entries[:, 0] = False
            active.append(halves[l % 2].keep(entries))
        potential = self._readout(settings, heard[-1])
        logit = sparse_bptt.logits(self.config, settings, potential)
        for l, each in enumerate(heard):
            self.counters[f"EVENTS_{l}"] += count(each)

        over, output, jobs = tape.over | halves[0].over | halves[1].over, None, []
        written = learned = torch.zeros(n, dtype=torch.bool)
        if train:
            written = ~over
            self.output_error = output_errors(self.config, logit[-1:], labels[-1:])[0]
            output = sparse_bptt.output_jobs(self.config, settings, potential, logit, labels)
            output = Jobs(output.error, halves[self.depth % 2].keep(output.present & written[:, None, None]), 0)
            if bool(written.any()):  # what saturates is counted before it is known whether all of it fits
                told = sparse_bptt.output_jobs(self.config, settings, potential[written], logit[written], labels[written])
                self.counters["ERROR_SATURATIONS"] += told.saturations
            over = over | halves[self.depth % 2].over
            learned = ~over
            if bool(learned.any()):
                jobs = self._backward(settings, heard, layers, potential, logit, labels, learned)
        self.counters["OVERFLOWS"] += count(over)
        self._keep_lists(heard, layers, active, output, jobs if bool(learned[-1]) else [])
        return logit, predictions(logit), over, self._record(heard, layers, active, jobs, learned, written, train)

    def _at_present(self) -> LifSettings:
        return replace(self.settings, powers=tuple(self.powers[:self.settings.steps + 1].tolist()))

    def _hidden(self, settings: LifSettings, l: int, spikes: Tensor) -> LifSpikes:
        current = currents(self.weights[l - 1], spikes)
        layer = fire(self.config, settings, current)
        self.counters["MEMBRANE_SATURATIONS"] += layer.saturations
        reset = layer.fired[-1, -1] * self.config.weight.one
        self.sums[l - 1] = decay(torch.tensor(settings.decays), layer.potential[-1, -1], 1) + current[-1, -1] - reset
        return layer

    def _readout(self, settings: LifSettings, spikes: Tensor) -> Tensor:
        """V[1] to V[T] of the output layer."""
        current = currents(self.weights[-1], spikes)
        potential, saturations = integrate(self.config, settings, current)
        self.counters["MEMBRANE_SATURATIONS"] += saturations
        self.sums[-1] = decay(torch.tensor(settings.decays), potential[-1, -2], 1) + current[-1, -1]
        return potential[:, 1:]

    # -- backward ----------------------------------------------------------------------------------
    def _backward(self, settings: LifSettings, heard: list[Tensor], layers: list[LifSpikes], potential: Tensor, logit: Tensor,
                  labels: Tensor, learned: Tensor) -> list[Jobs]:
        """Gradients of the samples ``learned`` (bool [n]); their jobs, layers 1 to L."""
        jobs = [sparse_bptt.output_jobs(self.config, settings, potential[learned], logit[learned], labels[learned])]
        for l in range(self.depth, 0, -1):
            if l < self.depth:
                below = layers[l - 1] if bool(learned.all()) else layers[l - 1].of(learned)
                back = decode(self.config, self.feedback[l], self.transport.schemes[l].scale)
                jobs.insert(0, sparse_bptt.hidden_jobs(self.config, settings, l + 1, jobs[0], back, below))
                self.counters["ERROR_SATURATIONS"] += jobs[0].saturations
            self.touched[l - 1] |= jobs[0].present.any(0).any(0)
            self.counters[f"ACTIVE_{l}"] += count(jobs[0].present)
            spikes = heard[l - 1][learned]
            chosen = sparse_bptt.by_spikes(settings, jobs[0], spikes)
            over, clipped = sparse_bptt.accumulate(self.config, settings, self.gradients[l - 1], jobs[0], spikes, chosen)
            self.counters["GRADIENT_WORDS"] += sparse_bptt.gradient_words(self.config, jobs[0], spikes, chosen)
            self.counters["GRADIENT_SATURATIONS"] += over
            self.counters["ERROR_SATURATIONS"] += clipped
        return jobs

    def _keep_lists(self, heard: list[Tensor], layers: list[LifSpikes], active: list[Tensor], output: Jobs | None,
                    jobs: list[Jobs]):
        """What the last sample leaves on the tape; ``jobs`` is empty where it was not learned from."""
        self.spike_list = [each[-1].nonzero() for each in heard]
        self.job_list = []
        for l, (layer, entries) in enumerate(zip(layers, active, strict=True)):
            rows = entries[-1].nonzero()
            step, index = rows.unbind(1)
            value = jobs[l].error[-1, step - 1, index] if jobs else layer.surrogate[-1, step, index]
            self.job_list.append(torch.cat([rows, value[:, None]], 1))
        rows = torch.zeros(0, 2, dtype=torch.int64) if output is None else output.present[-1].nonzero()
        value = torch.zeros(0, dtype=torch.int64) if output is None else output.error[-1][tuple(rows.unbind(1))]
        self.job_list.append(torch.cat([rows + torch.tensor([1, 0]), value[:, None]], 1))

    def _record(self, heard: list[Tensor], layers: list[LifSpikes], active: list[Tensor], jobs: list[Jobs], learned: Tensor,
                written: Tensor, train: bool) -> OverTimeRecord:
        present = [torch.zeros(len(learned), self.settings.steps, size, dtype=torch.bool) for size in self.layers[1:]]
        for all_samples, each in zip(present, jobs, strict=bool(jobs)):
            all_samples[learned] = each.present
        scanned = [layer.fired | (layer.active & train) for layer in layers]
        return OverTimeRecord(train=train, learned=learned, written=written, spikes=heard, scanned=scanned, active=active,
                              jobs=present)
