"""What sparse BPTT leaves to do: activity over training, and cycles and memory of a trained network's samples beside those of a
dense schedule."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...model.exact import OverTimeRecord, SparseBpttNetwork
from ...model.timing_over_time import backward, forward, least_backward
from ...spec.config import CoreConfig, bits_for
from ...spec.lif import SURROGATE, GradientForm, LifFormats, OverTime
from ..events import EventSplit
from .measure import Measure

__all__ = ["Activity", "built_tape_bits", "dense_record", "entry_bits", "schedule"]

PROBE_SAMPLES = 64


def learned(network: SparseBpttNetwork, spikes: torch.Tensor, labels: np.ndarray) -> OverTimeRecord:
    """What training samples would do; the network is left as it is."""
    return copy.deepcopy(network).train(spikes, torch.from_numpy(np.ascontiguousarray(labels)))[3]


def dense_record(network: SparseBpttNetwork) -> OverTimeRecord:
    """A sample in which every neuron fires and is active in every step."""
    steps, sizes = network.settings.steps, network.layers
    every = [torch.ones(1, steps, size, dtype=torch.bool) for size in sizes]
    active, jobs = [each.clone() for each in every[1:-1]], [each.clone() for each in every[1:]]
    for each, job in zip(active, jobs, strict=False):
        each[:, 0], job[:, -1] = False, False
    if network.settings.over_time is OverTime.MAX:
        jobs[-1][:, :-1] = False  # the maximum lies in one step
    yes = torch.ones(1, dtype=torch.bool)
    return OverTimeRecord(train=True, learned=yes, written=yes, spikes=every[:-1], scanned=every[1:-1], active=active, jobs=jobs)


def schedule(network: SparseBpttNetwork, spikes: torch.Tensor, labels: np.ndarray) -> dict:
    """Of a training sample, on average over those that the tape holds: cycles of both engines; ``least`` : those that its entries
    demand of the backward one, ``least_words`` : their words alone; jobs and spikes of each layer; tape bits. ``dense_*`` : with
    every neuron firing and active in every step, by active neuron, and the words of P gradients that are added up then."""
    record = learned(network, spikes, labels)
    kept = record.learned.numpy()
    dense = SparseBpttNetwork(network.config, network.layers, replace(network.settings, gradients=GradientForm.ACTIVE))
    everything = dense_record(dense)
    out = {"samples": int(kept.sum())}
    for name, net, of, rows in (("", network, record, kept), ("dense_", dense, everything, slice(None))):
        out |= {f"{name}forward": float(forward(net, of)[rows].mean()), f"{name}backward": float(backward(net, of)[rows].mean()),
                f"{name}least": float(least_backward(net, of)[rows].mean()),
                f"{name}least_words": float(least_backward(net, of, words_only=True)[rows].mean())}
    out["jobs"] = [float(each[kept].sum((1, 2)).double().mean()) for each in record.jobs]
    out["spikes"] = [float(each[kept].sum((1, 2)).double().mean()) for each in record.spikes]
    out["dense_gradient_words"] = sum(int(each.sum()) * place.in_blocks
                                      for each, place in zip(everything.jobs, dense.layout, strict=True))
    return out | _memory(network, record, kept)


def entry_bits(config: CoreConfig) -> tuple[int, int]:
    """Bits of the tape's entries: of a spike, and of an active neuron or job."""
    job = bits_for(config.max_steps + 1) + bits_for(config.max_neurons) + max(config.error.bits, SURROGATE.bits + 1)
    return bits_for(config.max_steps) + bits_for(config.max_neurons), job


def built_tape_bits(config: CoreConfig) -> int:
    """Bits of a build's tape, one memory of spikes and two of active neurons and jobs, whatever samples use of it."""
    spike, job = entry_bits(config)
    return config.spike_entries * spike + 2 * config.job_entries * job


def _memory(network: SparseBpttNetwork, record: OverTimeRecord, kept: np.ndarray) -> dict:
    """Bits of the entries on the tape, the most and on average, and of a dense store of spikes and potentials."""
    config, steps = network.config, network.settings.steps
    spike, job = entry_bits(config)
    spikes = sum(each[kept].sum((1, 2)) for each in record.spikes)
    jobs = sum(each[kept].sum((1, 2)) for each in (*record.active, record.jobs[-1]))
    bits = (spikes * spike + jobs * job).double()
    dense = steps * (sum(network.layers[:-1]) + sum(network.layers[1:-1]) * LifFormats(config).membrane.bits)
    return {"tape_bits": float(bits.mean()), "most_tape_bits": float(bits.max()), "dense_bits": dense}


class Activity(Measure):
    """Share of each hidden layer's (neuron, step) pairs that pass gradient, in the first test samples; and the schedule of the
    network in the end."""

    name = "activity"

    def __init__(self, device, split: EventSplit, folder: Path):
        super().__init__(device, folder)
        self._split = split

    def _probe(self) -> tuple[torch.Tensor, np.ndarray]:
        first = np.arange(min(PROBE_SAMPLES, len(self._split)))
        spikes = self._split.raster(first, self.network.settings.steps, self.network.layers[0])
        return torch.from_numpy(spikes), self._split.labels[:len(first)]

    def layers(self) -> list[float]:
        """Of hidden layers 1 to L - 1."""
        return [round(float(each.double().mean()), 6) for each in learned(self.network, *self._probe()).active]

    def result(self) -> dict:
        """Rows, and the schedule where the device shows its network."""
        return super().result() | ({} if self.network is None else {"schedule": schedule(self.network, *self._probe())})
