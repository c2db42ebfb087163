"""The floating-point yardstick of a run: same initial weights, batches, optimizer and schedule, nothing quantised."""

from collections.abc import Callable, Iterator

import torch

from ..model.exact.update import MOMENTUM_FACTOR, MOMENTUM_SHIFT
from ..model.reference import SGD, EpochResult, ReferenceNetwork, SignMomentum, train_reference
from ..spec.config import Optimizer
from .data import DataSet, Split, shuffled
from .initial import initial_weights
from .options import READOUTS, TrainOptions

__all__ = ["train_float"]


def train_float(options: TrainOptions, data: DataSet, started: Callable[[int], None] = lambda batch: None,
                finished: Callable[[EpochResult], None] = lambda result: None) -> list[EpochResult]:
    """Trains the reference network on what ``Trainer`` would train an accelerator on; returns each epoch's accuracies.

    Quantised are only the initial weights and the input spike times, because they are what the accelerator is given.

    Parameters
    ----------
    options : of the run; device and lanes mean nothing here.
    data : encoded for the run's build.
    started : called with a number before each batch, counted from 0 over all epochs.
    finished : called with each epoch's result.
    """
    core = options.core_config()
    weights = [torch.from_numpy(w.T / core.weight.one).float() for w in initial_weights(core, options.layers, options.seed)]
    optimizer = SGD() if options.optimizer == Optimizer.SGD else SignMomentum(MOMENTUM_FACTOR / 2**MOMENTUM_SHIFT)
    network = ReferenceNetwork(weights, READOUTS[options.readout], options.clip, options.clip, optimizer,
                               options.interval, core.window)

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
    return train_reference(network, tensors(data.train), tensors(data.test), epochs(), lambda epoch: options.lr_decay**epoch,
                           scales, options.weight_decay, finished)


def tensors(split: Split) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Times in ticks, which inputs fired, labels."""
    times = torch.from_numpy(split.times.astype("float32"))
    return times, times > 0, torch.from_numpy(split.labels)
