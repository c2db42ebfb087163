"""What rate-based backpropagation leaves out, and what it costs: its gradients beside those of backpropagation through time, cycles
and memory of a trained network's samples beside those of the engine that goes back through time."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ...model.exact import RateNetwork, RateRecord, SparseBpttNetwork
from ...model.reference import BpttNetwork
from ...model.timing import backward
from ...model.timing_over_time import backward as backward_over_time
from ...model.timing_rate import forward
from ...spec.config import Rule, Schedule
from ...spec.lif import DECAY, LifFormats, LifSettings
from ...spec.rate import RateSettings
from ..data import Split
from ..events import CodedSplit
from .activity import PROBE_SAMPLES, dense_record
from .kept import learning_bits
from .measure import Measure

__all__ = ["Cosines", "Probe", "cosines", "cost", "over_steps"]


@dataclass(frozen=True)
class Probe:
    """Samples: ``levels`` [n, n_in] in ticks, ``spikes`` bool [n, T, n_in] of coded inputs or None, ``labels`` [n]."""

    levels: torch.Tensor
    spikes: torch.Tensor | None
    labels: torch.Tensor

    @classmethod
    def of(cls, split: Split | CodedSplit, count: int, inputs: int) -> "Probe":
        """The first samples of a data set."""
        chosen, spikes = np.arange(min(count, len(split))), None
        if isinstance(split, CodedSplit):
            spikes = torch.from_numpy(split.raster(chosen, split.steps, inputs))
            levels = (spikes.sum(1) * split.window / split.steps).round()
        else:
            levels = torch.from_numpy(np.ascontiguousarray(split.take(chosen)))
        return cls(levels.to(torch.int64), spikes, torch.from_numpy(np.ascontiguousarray(split.labels[chosen])))

    def at(self, steps: int, window: int) -> "Probe":
        """The samples over another number of steps: inputs that are spikes spike as in their first steps, over and over."""
        if self.spikes is None:
            return self
        spikes = self.spikes[:, torch.arange(steps) % self.spikes.shape[1]]
        return replace(self, spikes=spikes, levels=(spikes.sum(1) * window / steps).round().to(torch.int64))

    def train(self, network: RateNetwork) -> RateRecord:
        """Train a network on them."""
        return network.train(self.levels, self.levels > 0, self.labels, self.spikes)[2]

    def infer(self, network: RateNetwork) -> RateRecord:
        """Show them to a network."""
        return network.infer(self.levels, self.levels > 0, self.spikes)[2]

    def real(self, network: RateNetwork) -> torch.Tensor:
        """What drives the first layer in each step, [n, T, n_in]."""
        if self.spikes is not None:
            return self.spikes.float()
        return (self.levels.float() / network.config.window)[:, None].expand(-1, network.settings.steps, -1)


def cosines(network: RateNetwork, probe: Probe) -> list[float]:
    """Cosine similarity of the gradients that the accelerator adds up and those of backpropagation through time, in floating point
    and through the same weights, for each weight layer; the network is left as it is. 0 where a gradient is zero."""
    mine, one = copy.deepcopy(network), network.config.weight.one
    for gradient in mine.gradients:
        gradient.zero_()
    probe.train(mine)
    true = BpttNetwork([weight.float() / one for weight in network.weights], leak=DECAY.to_float(int(network.profile[0])),
                       feedback=[weight.float() / one for weight in network.weights[1:]])
    true.train(probe.real(network), probe.labels)
    return [float(torch.nn.functional.cosine_similarity(found.double().flatten(), exact.double().flatten(), dim=0))
            for found, exact in zip(mine.gradients, true.gradients, strict=True)]


def through_time(network: RateNetwork) -> dict:
    """Of a sample on the engine that goes back through time, every neuron active in every step: its backward cycles; and the bits
    of a store of all spikes and potentials, which no engine here has (``kept.dense_tape_bits`` are those of its tape)."""
    config = replace(network.config, rules=(Rule.SPARSE_BPTT,))
    steps, layers = network.settings.steps, network.layers
    settings = LifSettings(steps=steps, window=0, scales=(0,) * network.depth)
    dense = SparseBpttNetwork(config, layers, settings)
    return {"backward": int(backward_over_time(dense, dense_record(dense))[0]),
            "bits": steps * (sum(layers[:-1]) + sum(layers[1:-1]) * LifFormats(config).membrane.bits)}


def over_steps(network: RateNetwork, probe: Probe) -> dict[str, float]:
    """Backward cycles of a sample on average by T, of the same weights: T = 1, 2, 4, ... as far as the build goes, and the
    network's own."""
    leak, out = min(DECAY.to_float(int(network.profile[0])), 1 - 1 / DECAY.one), {}  # rounded it may be 1
    for steps in sorted({1 << n for n in range(network.config.max_steps.bit_length())} | {network.settings.steps}):
        other, settings = copy.deepcopy(network), RateSettings(steps=steps, leak=leak, coded=network.settings.coded)
        other.set_rule(settings, settings.ticks(network.config))
        other.profile[:steps + 1] = torch.tensor(settings.profile)
        out[str(steps)] = float(backward(other, probe.at(steps, network.config.window).train(other))[0].mean())
    return out


def cost(network: RateNetwork, probe: Probe) -> dict:
    """Of a sample on average: cycles of the forward pass in training and in inference (``untrained``), which makes the same trace
    passes and scans fewer neurons after the last step, in each schedule (``schedules``); of the backward pass, with every neuron
    listed (``most_backward``), and ``over_steps``; ``bits`` as of ``learning_bits``; ``through_time`` as there."""
    trained, shown = probe.train(copy.deepcopy(network)), probe.infer(copy.deepcopy(network))
    every = replace(trained, lowest=torch.ones_like(trained.lowest),
                    listed=[torch.full_like(each, place.n_out) for each, place in zip(trained.listed, network.layout, strict=True)])
    out = {"samples": len(probe.labels), "backward": float(backward(network, trained)[0].mean()),
           "most_backward": int(backward(network, every)[0].max()), "over_steps": over_steps(network, probe), "schedules": {}}
    for schedule in Schedule:
        other = copy.copy(network)
        other.config = replace(network.config, schedule=schedule)
        out["schedules"][str(schedule)] = {
            name: float(sum(forward(other, record)).mean()) for name, record in (("forward", trained), ("untrained", shown))}
    return out | {"bits": learning_bits(network.config, network.layers), "through_time": through_time(network)}


class Cosines(Measure):
    """``cosines`` on the first test samples, and ``cost`` of the network in the end."""

    name = "cosines"

    def __init__(self, device, split: Split | CodedSplit, folder: Path):
        super().__init__(device, folder)
        self._split = split

    def _probe(self) -> Probe:
        return Probe.of(self._split, PROBE_SAMPLES, self.network.layers[0])

    def layers(self) -> list[float]:
        """Of layers 1 to L."""
        return [round(value, 5) for value in cosines(self.network, self._probe())]

    def result(self) -> dict:
        """Rows, and the cost where the device shows its network."""
        return super().result() | ({} if self.network is None else {"cost": cost(self.network, self._probe())})
