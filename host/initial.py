"""Initial state of a training run: the same on every machine for one seed."""

from collections.abc import Sequence

import numpy as np

from ..spec.config import CoreConfig
from ..spec.lif import LifSettings
from ..spec.random import lane_seeds
from .device import Device
from .driver import Accelerator
from .memories import memory_shapes, write_memories
from .options import TrainOptions
from .schemes import Scheme

__all__ = ["feedback_random", "initial_memories", "initial_weights", "prepare", "weight_scale"]


def initial_weights(config: CoreConfig, layers: tuple[int, ...], seed: int,
                    scale: float | Sequence[float] = 1.0, mean: float | None = None) -> list[np.ndarray]:
    """Kaiming normal weights N(0, scale * sqrt(2 / n_in)), quantised to the weight format; ``scale`` may be one for each layer.
    Those of the output layer are ``mean`` larger.

    Returns one (n_in, n_out) int64 matrix for each weight layer. numpy's RandomState is used because its streams,
    unlike those of Generator, are frozen for good.
    """
    random = np.random.RandomState(seed)
    weight = config.weight
    out = []
    scales = np.broadcast_to(scale, len(layers) - 1)
    means = [0.0] * (len(layers) - 2) + [mean or 0.0]
    for n_in, n_out, scale, offset in zip(layers, layers[1:], scales, means, strict=False):
        real = random.standard_normal((n_in, n_out)) * (scale * np.sqrt(2 / n_in)) + offset
        out.append(np.clip(np.rint(real * weight.one), weight.min, weight.max).astype(np.int64))
    return out


def weight_scale(over_time: LifSettings | None, deviations: Sequence[float]) -> float | np.ndarray:
    """``scale`` of ``initial_weights``, for ``deviations`` of each layer's (or all layers') weights times sqrt(n_in); none: the
    rule's own."""
    if not len(deviations) and over_time is not None:
        # Of leaky neurons as in Perez-Nieves & Goodman for images: the sooner a membrane forgets, the larger.
        deviations = [20 * (1 - over_time.beta)]
    return np.array(deviations) / 2**0.5 if len(deviations) else 1.0


def feedback_random(seed: int) -> np.random.RandomState:
    """Draws the feedback weights of schemes that begin with random ones."""
    return np.random.RandomState([seed, 1])


def generator_states(config: CoreConfig, seed: int) -> dict[str, np.ndarray]:
    """States of rounding, and of transport where the build has it, all different."""
    names = ("random", "transport_random") if config.partial_transport else ("random",)
    seeds = np.array(lane_seeds(seed, config.lanes * len(names)), np.int64)
    return dict(zip(names, seeds.reshape(len(names), -1), strict=True))


def initial_memories(accelerator: Accelerator, seed: int, deviations: Sequence[float] = (),
                     mean: float | None = None) -> dict[str, np.ndarray]:
    """Contents for ``memories.write_memories`` of the running network: feedback weights as each layer's scheme begins (equal to
    the weights, or random, or of one size), gradients (or momentum) zero. ``deviations`` : of each layer's (or all layers')
    weights, times sqrt(n_in); empty: the rule's. ``mean`` : of the output layer's."""
    config, layers = accelerator.config, accelerator.settings.layers
    memories = {name: np.zeros(shape, np.int64) for name, shape in memory_shapes(accelerator).items()}
    scale = weight_scale(accelerator.settings.over_time, deviations)
    random, weights = feedback_random(seed), initial_weights(config, layers, seed, scale, mean)
    schemes = accelerator.settings.schemes or (Scheme(feedback="fbp"),) * (len(weights) - 1)
    for l, weight in enumerate(weights, start=1):
        memories[f"weight_{l}"] = weight
        if l > 1:
            memories[f"feedback_{l}"] = schemes[l - 2].initial(config, weight, random)
    return memories | generator_states(config, seed)


def prepare(device: Device, options: TrainOptions) -> Accelerator:
    """The network of ``options`` with its initial weights on a device."""
    accelerator = Accelerator(device)
    accelerator.configure(options.settings(0))
    write_memories(accelerator, initial_memories(accelerator, options.seed, options.initial_scale, options.initial_mean))
    accelerator.clear_counters()
    return accelerator
