"""The floating-point yardstick of a run: same initial weights, batches, optimizer and schedule, nothing quantised."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ..model.exact.update import MOMENTUM_FACTOR, MOMENTUM_SHIFT
from ..model.reference import (
    SGD,
    BpttNetwork,
    EpochResult,
    RateNetwork,
    ReferenceNetwork,
    ReferenceTransport,
    SignMomentum,
    SparseBpttNetwork,
    TtfsNetwork,
    train_reference,
)
from ..spec.config import CoreConfig, Optimizer, Rule
from .data import DataSet, Split, shuffled
from .events import CodedSplit, EventSplit
from .initial import feedback_random, initial_weights, weight_scale
from .options import READOUTS, TrainOptions

__all__ = ["train_float"]


def train_float(options: TrainOptions, data: DataSet, started: Callable[[int], None] = lambda batch: None,
                finished: Callable[[EpochResult], None] = lambda result: None, *, through_time: bool = False) -> list[EpochResult]:
    """Trains the reference network on what ``Trainer`` would train an accelerator on; returns each epoch's accuracies.

    Quantised are only the initial weights and the input spike times, because they are what the accelerator is given.

    Parameters
    ----------
    options : of the run; device and lanes mean nothing here.
    data : encoded for the run's build.
    started : called with a number before each batch, counted from 0 over all epochs.
    finished : called with each epoch's result.
    through_time : of rule rate, gradients by backpropagation through time.
    """
    network = initial_network(options, options.core_config(), through_time)

    def epochs() -> Iterator[Iterator[torch.Tensor]]:
        number = 0
        for epoch in range(options.epochs):
            def batches(epoch: int = epoch) -> Iterator[torch.Tensor]:
                nonlocal number
                for chosen in shuffled(len(data.train), options.batch_size, options.seed, epoch):
                    started(number)
                    number += 1
                    yield torch.from_numpy(chosen)
            yield batches()

    scales = options.lr * network.depth if len(options.lr) == 1 else options.lr
    given = {Rule.TTFS: tensors, Rule.SPARSE_BPTT: rasters, Rule.RATE: rasters if options.steps else currents}[options.rule]
    return train_reference(network, given(data.train, options), given(data.test, options), epochs(),
                           lambda epoch: options.lr_decay**epoch, scales, options.weight_decay, finished)


def initial_network(options: TrainOptions, core: CoreConfig, through_time: bool = False) -> ReferenceNetwork:
    """The network of a run before its first batch; ``through_time`` as for ``train_float``."""
    settings = options.settings(0)
    initial = initial_weights(core, options.layers, options.seed, weight_scale(settings.over_time, options.initial_scale),
                              options.initial_mean)
    weights = [torch.from_numpy(w.T / core.weight.one).float() for w in initial]
    optimizer = SGD() if options.optimizer == Optimizer.SGD else SignMomentum(MOMENTUM_FACTOR / 2**MOMENTUM_SHIFT)
    moves, feedback = transport(options, core, [weight.numpy().T for weight in weights])
    more = {"optimizer": optimizer, "interval": options.interval, "schemes": moves, "feedback": feedback, "seed": options.seed}
    if options.rule == Rule.TTFS:
        return TtfsNetwork(weights, READOUTS[options.readout], options.clip, options.clip, core.window, **more)
    if options.rule == Rule.RATE:
        return (BpttNetwork if through_time else RateNetwork)(weights, options.leak, **more)
    rates = (options.rate_least, options.rate_most, options.rate_lower, options.rate_upper)
    return SparseBpttNetwork(weights, settings.over_time.beta, options.window, options.over_time, 2.0**options.gain, rates,
                             **more)


def transport(options: TrainOptions, core: CoreConfig, weights: list[np.ndarray]) -> tuple[list, list]:
    """Scheme, and feedback weights at the start, of layers 2 to L; ``weights`` [n_in, n_out] of layers 1 to L, real."""
    random, moves, feedback = feedback_random(options.seed), [], []
    for scheme, weight in zip(options.settings(0).schemes, weights[1:], strict=True):
        held = scheme.registers(core, *weight.shape)
        moves.append(ReferenceTransport(
            values=held.values, every_update=held.every_update, signs=held.signs, fraction=scheme.fraction,
            probability=scheme.probability, alpha=scheme.alpha))
        start = scheme.real(weight, random)
        feedback.append(torch.from_numpy(start.T).float())
    return moves, feedback


class Rasters:
    """Samples over time, laid out when they are asked for: bool [n, T, n_in]."""

    def __init__(self, split: EventSplit | CodedSplit, steps: int, inputs: int):
        self._split, self._steps, self._inputs = split, steps, inputs

    def __getitem__(self, chosen: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._split.raster(chosen.numpy(), self._steps, self._inputs))


def rasters(split: EventSplit | CodedSplit, options: TrainOptions) -> tuple[Rasters, torch.Tensor]:
    """Spikes, labels."""
    return Rasters(split, options.timesteps, options.layers[0]), torch.from_numpy(split.labels)


class Currents:
    """Levels, the same in each step, laid out when they are asked for: [n, T, n_in]."""

    def __init__(self, split: Split, steps: int, window: int):
        self._split, self._steps, self._window = split, steps, window

    def __getitem__(self, chosen: torch.Tensor) -> torch.Tensor:
        levels = torch.from_numpy(self._split.take(chosen.numpy()).astype("float32")) / self._window
        return levels[:, None].expand(-1, self._steps, -1)


def currents(split: Split, options: TrainOptions) -> tuple[Currents, torch.Tensor]:
    """Levels of 0 to 1, labels."""
    return Currents(split, options.timesteps, options.core_config().window), torch.from_numpy(split.labels)


def tensors(split: Split, options: TrainOptions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Times in ticks, which inputs fired, labels."""
    times = torch.from_numpy(split.times.astype("float32"))
    return times, times > 0, torch.from_numpy(split.labels)
