"""The floating-point baseline of a fixed-point run: the same weights, batches and schedule."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .network import ReferenceNetwork

__all__ = ["EpochResult", "accuracy", "exponential_rate", "train_reference"]

TEST_SAMPLES = 256
"""In one go."""


@dataclass(frozen=True)
class EpochResult:
    """One epoch. train, test : shares of samples predicted correctly, 0 to 1 (train: while learning)."""

    train: float
    test: float


def exponential_rate(first: float, factor: float) -> Callable[[int], float]:
    """Schedule: the learning rate of epoch e (from 0) is ``first * factor**e``."""
    return lambda epoch: first * factor**epoch


def train_reference(network: ReferenceNetwork, samples: tuple, test: tuple, epochs: Iterable[Iterable[Tensor]],
                    rate: Callable[[int], float], scales: Sequence[float] | None = None,
                    decay: float = 0.0, finished: Callable[[EpochResult], None] = lambda result: None) -> list[EpochResult]:
    """Train ``network`` with one update per batch.

    Parameters
    ----------
    samples, test : what the network's ``train`` takes: its inputs, then the labels [n]. Each gives some samples for a tensor of
        their indices.
    epochs : for each epoch its batches, each a tensor of sample indices: pass those of the fixed-point run.
    rate : learning rate of an epoch, counted from 0. scales : factors of the rate for each weight layer.
    decay : decoupled decay relative to the rate: an update removes ``rate * decay`` of each weight.
    finished : called with each epoch's result.
    """
    *inputs, labels = samples
    results = []
    for epoch, batches in enumerate(epochs):
        rates = [rate(epoch) * scale for scale in scales or [1.0] * network.depth]
        right = seen = 0
        for batch in batches:
            _, predicted = network.train(*(each[batch] for each in inputs), labels[batch])
            right += int((predicted == labels[batch]).sum())
            seen += len(batch)
            network.update(rates, [r * decay for r in rates])
        results.append(EpochResult(right / max(1, seen), accuracy(network, *test)))
        finished(results[-1])
    return results


def accuracy(network: ReferenceNetwork, *samples) -> float:
    """Share of samples that ``network`` predicts correctly; ``samples`` as of ``train_reference``."""
    *inputs, labels = samples
    predicted = [network.infer(*(each[chosen] for each in inputs))[1] for chosen in torch.arange(len(labels)).split(TEST_SAMPLES)]
    return float((torch.cat(predicted) == labels).double().mean())
