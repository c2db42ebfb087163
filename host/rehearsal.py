"""A rehearsal of a training run: the simulated device is compiled for what its first samples make it do."""

from collections.abc import Callable

import numpy as np

from .data import DataSet
from .device import Device
from .initial import prepare
from .options import TrainOptions

__all__ = ["rehearsal"]

WORTHWHILE = 50_000
"""Samples of a run, epochs times training samples: minutes, of which a rehearsed device saves more than its build takes."""

REHEARSED = 128
"""Samples: seconds. Learning changes how often things happen, hardly what happens."""


def rehearsal(options: TrainOptions, data: DataSet, *, always: bool = False) -> Callable[[Device], None] | None:
    """What ``open_device`` takes to rehearse a run; None for one that is too short to be worth it, unless ``always``."""
    if options.epochs * len(data.train) < WORTHWHILE and not always:
        return None

    def rehearse(device: Device) -> None:
        chosen = np.arange(min(REHEARSED, len(data.train)))
        prepare(device, options).train(data.train.take(chosen), data.train.labels[chosen], batch_size=options.batch_size)

    return rehearse
