"""Initial state of a training run: the same on every machine for one seed."""

import numpy as np

from ..spec.config import CoreConfig
from ..spec.random import lane_seeds
from .driver import Accelerator
from .memories import memory_shapes

__all__ = ["initial_memories", "initial_weights"]


def initial_weights(config: CoreConfig, layers: tuple[int, ...], seed: int, scale: float = 1.0) -> list[np.ndarray]:
    """Kaiming normal weights N(0, scale * sqrt(2 / n_in)), quantised to the weight format.

    Returns one (n_in, n_out) int64 matrix for each weight layer. numpy's RandomState is used because its streams,
    unlike those of Generator, are frozen for good.
    """
    random = np.random.RandomState(seed)
    weight = config.weight
    out = []
    for n_in, n_out in zip(layers, layers[1:], strict=False):
        real = random.standard_normal((n_in, n_out)) * (scale * np.sqrt(2 / n_in))
        out.append(np.clip(np.rint(real * weight.one), weight.min, weight.max).astype(np.int64))
    return out


def initial_memories(accelerator: Accelerator, seed: int) -> dict[str, np.ndarray]:
    """Contents for ``memories.write_memories`` of the running network: feedback weights equal the weights, gradients
    (or momentum) are zero."""
    config, layers = accelerator.config, accelerator.settings.layers
    memories = {name: np.zeros(shape, np.int64) for name, shape in memory_shapes(accelerator).items()}
    for l, weight in enumerate(initial_weights(config, layers, seed), start=1):
        memories[f"weight_{l}"] = weight
        if l > 1:
            memories[f"feedback_{l}"] = weight
    return memories | {"random": np.array(lane_seeds(seed, config.lanes), np.int64)}
