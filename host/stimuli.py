"""Random weights, rates and samples that drive a network into every corner: silent, saturated, active and clipped
neurons, inputs that all or none fire, weights and gradients that saturate, every label."""

from dataclasses import dataclass

import numpy as np

from ..spec.config import CoreConfig, Optimizer, Rule
from ..spec.lif import LifSettings
from ..spec.network import Readout
from ..spec.packets import SPIKE_BIT
from ..spec.rate import RateSettings
from .events import with_levels
from .rates import rate_exponent
from .schemes import Scheme
from .settings import NetworkSettings

__all__ = ["Batch", "random_batch", "random_memories", "random_settings"]

KINDS = ("silent", "full", "late", "sparse", "even", "dense")
FIRED_SHARE = {"silent": 0.0, "full": 1.0, "late": 1.0, "sparse": 0.1, "even": 0.5, "dense": 0.9}
# Learning rates to aim at: weights of order 1 move visibly with every update.
STEPS = {Optimizer.SGD: 1.0, Optimizer.SIGN_MOMENTUM: 0.05}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples of one batch, some of them for inference only.

    Members
    -------
    times, fired : (samples, inputs) ticks before the window's end (of rule rate levels), and which inputs fire (are sent).
    labels, train : (samples,) output neurons, and which samples are learnt from.
    events : where a network takes lists, in place of times and fired: for each sample its words.
    """

    labels: np.ndarray
    train: np.ndarray
    times: np.ndarray | None = None
    fired: np.ndarray | None = None
    events: list[np.ndarray] | None = None


def random_batch(random: np.random.Generator, config: CoreConfig, settings: NetworkSettings, number: int, size: int) -> Batch:
    """Batch ``number`` (counted from 0): ``size`` samples to learn from and up to two to infer.

    Kinds of input and labels are dealt out in turn over the batches, so that each occurs.
    """
    layers = settings.layers
    inferred = int(random.integers(3))
    total = size + inferred
    kinds = [KINDS[(number * size + n) % len(KINDS)] for n in range(total)]
    labels, train = (number * size + np.arange(total)) % layers[-1], np.arange(total) < size
    if settings.listed:
        order = random.permutation(total)
        draw, steps = random_events if settings.rule is Rule.SPARSE_BPTT else random_coded, len(settings.decays) - 1
        return Batch(labels=labels, train=train[order], events=[draw(random, config, layers[0], steps, kinds[n]) for n in order])
    fired = random.random((total, layers[0])) < np.array([FIRED_SHARE[kind] for kind in kinds])[:, None]
    times = random.integers(0, config.window + 1, (total, layers[0]))
    times[[kind == "full" for kind in kinds]] = config.window
    times[[kind == "late" for kind in kinds]] = 0
    order = random.permutation(total)
    return Batch(times=times[order], fired=fired[order], train=train[order], labels=labels)


def random_events(random: np.random.Generator, config: CoreConfig, inputs: int, steps: int, kind: str) -> np.ndarray:
    """Spikes of a sample: none, all in every step as far as the tape goes, in the last step, or at some density."""
    share = {"late": 0.0}.get(kind, FIRED_SHARE[kind] ** 2)
    fired = random.random((steps, inputs)) < share
    fired[-1] |= kind == "late"
    step, index = np.nonzero(fired)
    return (index | step << 16).astype(np.uint32)[:config.spike_entries]


def random_coded(random: np.random.Generator, config: CoreConfig, inputs: int, steps: int, kind: str) -> np.ndarray:
    """Levels and spikes of a sample of rule rate, as far as the build takes them; of half of the samples the levels are any, of
    inputs that spike or not."""
    spikes = random_events(random, config, inputs, steps, kind)
    words = with_levels(spikes, steps, config.window)
    if random.random() < 0.5:
        index = np.flatnonzero(random.random(inputs) < FIRED_SHARE[kind])
        levels = random.choice([0, config.window, *random.integers(0, config.window + 1, 4)], len(index))
        words = np.concatenate([(index | levels << 16).astype(np.uint32), words[words >> SPIKE_BIT == 1]])
    return words[:config.spike_entries]


def random_memories(random: np.random.Generator, config: CoreConfig, shapes: dict[str, tuple[int, ...]]) -> dict:
    """Arrays for ``memories.write_memories``; ``shapes`` as ``memories.memory_shapes`` gives them."""
    out = {}
    for name, shape in shapes.items():
        if name in ("random", "transport_random"):
            out[name] = random.integers(1, 1 << 32, shape)
        elif name.startswith("gradient"):
            # Momentum from nothing to near saturation, of which the sign acts; plain gradients act in proportion.
            limit = config.gradient.max if config.optimizer is Optimizer.SIGN_MOMENTUM else config.gradient.max / 512
            spread = limit * random.random(shape) ** 8 * random.choice([-1, 1], shape)
            out[name] = np.rint(spread).astype(np.int64)
        elif name.startswith("feedback") and config.feedback.bits < config.weight.bits:
            out[name] = random.integers(config.feedback.min, config.feedback.max + 1, shape)
        else:
            # Columns of different strength and bias: neurons that never fire, always saturate, and all between.
            weight = config.weight
            strength = 2.0 ** random.uniform(-2, 1.5, shape[1])
            real = (random.standard_normal(shape) + random.uniform(-0.5, 0.7, shape[1])) * strength / np.sqrt(shape[0])
            out[name] = np.clip(np.rint(real * weight.one), weight.min, weight.max).astype(np.int64)
            extreme = random.choice([weight.min, weight.max, 0, 0, 0, 0], shape[0])  # the first neuron's updates saturate
            out[name][:, 0] = np.where(extreme, extreme, out[name][:, 0])
            out[name][random.random(shape) < 0.05] = 0  # neither sign
    return out


def random_settings(random: np.random.Generator, config: CoreConfig, layers: tuple[int, ...], *, interval: int,
                    batch_size: int, readout: Readout, schemes: tuple[Scheme, ...] = (),
                    over_time: LifSettings | None = None, rate: RateSettings | None = None) -> NetworkSettings:
    """Settings with another learning rate for each layer, decay in about half of the layers, and clips that some
    derivatives reach and others do not."""
    level_clip, slope_clip = 2.0 ** random.spawn(1)[0].uniform(-2, 1.5, 2)
    depth = len(layers) - 1
    divisor = batch_size if config.optimizer is Optimizer.SGD and config.gradient_memory else 1
    unit = 2.0 ** rate_exponent(config) * divisor
    mantissas = random.integers(128, 256, depth)
    shifts = np.clip(np.rint(np.log2(mantissas * unit / STEPS[config.optimizer])), 0, 31)
    rates = mantissas * unit * 2.0**-shifts  # exactly what a register can hold
    decays = random.integers(100, 4000, depth) * 2.0 ** -(16 + shifts) / rates * (random.random(depth) < 0.5) * config.weight_decay
    return NetworkSettings(layers=layers, learning_rates=tuple(rates.tolist()), weight_decays=tuple(decays.tolist()),
                           level_clip=level_clip, slope_clip=slope_clip, batch_size=batch_size, readout=readout,
                           interval=interval, schemes=schemes, over_time=over_time, rate=rate)
