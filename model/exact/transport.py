"""Weight transport into the feedback memory, docs/numerics.md "Transport"."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...spec.config import CoreConfig
from ...spec.network import LayerLayout
from ...spec.transport import (
    BIN_MANTISSA,
    BINS,
    NEGLOG_FRACTION,
    NEGLOG_TABLE,
    PROBABILITY_BITS,
    TEMPERATURE_BITS,
    TEMPERATURE_FRACTION,
    LayerTransport,
    Precision,
    Values,
)
from .arithmetic import bit_length
from .random import stream

__all__ = ["Moved", "Transport", "decode", "encode", "exactly_largest", "largest"]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What transport did for one weight layer.

    Members
    -------
    values, signs : copied with their value; with their sign alone.
    passes : times that the layer's words were read (2 when a histogram chose).
    written : words written into the feedback memory.
    """

    values: int = 0
    signs: int = 0
    passes: int = 0
    written: int = 0


def encode(config: CoreConfig, weight: Tensor) -> Tensor:
    """Feedback weights as they are stored, of weights: rounded to nearest, halves upwards, and saturated."""
    if config.feedback_precision is Precision.SIGN:
        return (weight < 0).to(torch.int64)
    shift = config.feedback_shift
    rounded = (weight + (1 << shift >> 1)) >> shift
    return rounded.clamp(config.feedback.min, config.feedback.max)


def decode(config: CoreConfig, stored: Tensor, scale: int) -> Tensor:
    """The backward pass's feedback weights in the weight format."""
    if config.feedback_precision is Precision.SIGN:
        return scale - 2 * scale * stored
    return stored << config.feedback_shift


def with_sign(config: CoreConfig, stored: Tensor, weight: Tensor) -> Tensor:
    """``stored`` with the signs of ``weight``, a 0 of which counts as positive."""
    if config.feedback_precision is Precision.SIGN:
        return encode(config, weight)
    size = stored.abs()
    return torch.where(weight < 0, -size, size).clamp(max=config.feedback.max)


def bins(change: Tensor) -> Tensor:
    """spec.transport.change_bin of each element."""
    place = (bit_length(change) - 1 - BIN_MANTISSA).clamp(min=0)
    return (place << BIN_MANTISSA) + (change >> place)


def largest(change: Tensor, count: int) -> Tensor:
    """Mask of ``count`` elements by histogram: whole bins from the top, of the last one the first elements."""
    flat = bins(change).reshape(-1)
    at_least = torch.bincount(flat, minlength=BINS).flip(0).cumsum(0).flip(0)  # elements in this bin or above
    count = min(count, len(flat))
    if not count:
        return torch.zeros_like(change, dtype=torch.bool)
    limit = int((at_least >= count).nonzero()[-1])
    chosen = flat > limit
    chosen[(flat == limit).nonzero()[:count - int(chosen.sum()), 0]] = True
    return chosen.reshape(change.shape)


def exactly_largest(change: Tensor, count: int) -> Tensor:
    """Mask of the ``count`` largest elements, of equal ones the first: what the histogram's choice comes close to."""
    chosen = torch.zeros(change.numel(), dtype=torch.bool)
    chosen[change.reshape(-1).sort(descending=True, stable=True).indices[:count]] = True
    return chosen.reshape(change.shape)


def negative_logs(states: np.ndarray) -> np.ndarray:
    """spec.transport.negative_log2 of each state (uint32), int64."""
    wide = states.astype(np.int64)
    zeros = 32 - np.frexp(wide.astype(np.float64))[1].astype(np.int64)
    mantissa = (wide << zeros >> 25) & 63
    return (zeros + 1 << NEGLOG_FRACTION) - np.array(NEGLOG_TABLE)[mantissa]


class Transport:
    """Copies of W into B after updates.

    Parameters
    ----------
    config : the build. layout : layers of the network.
    schemes : for each weight layer, the first's unused. interval : Phi. position : updates since the last interval.
    top_k : how top-K chooses, ``largest`` (the hardware's) or ``exactly_largest``.
    """

    def __init__(self, config: CoreConfig, layout: list[LayerLayout], schemes: list[LayerTransport], interval: int,
                 position: int, top_k: Callable[[Tensor, int], Tensor] = largest):
        self.config, self.layout, self.schemes, self.top_k = config, layout, schemes, top_k
        self.interval, self.position = interval, position

    def advance(self) -> bool:
        """Count one update; True at the interval's end (the position is then 0 again)."""
        self.position = (self.position + 1) & 0xFFFFFFFF
        ends = self.interval != 0 and self.position == self.interval
        if ends:
            self.position = 0
        return ends

    def after_update(self, weights: list[Tensor], feedback: list[Tensor | None],
                     random: np.ndarray) -> tuple[list[Moved], np.ndarray]:
        """Count an update and carry out what follows it, layer by layer; B changes in place.

        ``random`` [lanes] uint32 : generator states of random and change-weighted choice. Returns a record for each weight
        layer, and the generators' states after.
        """
        at_interval, self._random = self.advance(), random
        moved = [Moved() if back is None else self._layer(place, scheme, weight, back, at_interval)
                 for place, scheme, weight, back in zip(self.layout, self.schemes, weights, feedback, strict=True)]
        return moved, self._random

    def _layer(self, place: LayerLayout, scheme: LayerTransport, weight: Tensor, back: Tensor, at_interval: bool) -> Moved:
        values, signs = scheme.moves_values(at_interval), scheme.moves_signs(at_interval)
        if not (values or signs):
            return Moved()
        chosen = self._choose(place, scheme, weight, back) if values else torch.zeros_like(weight, dtype=torch.bool)
        rest = with_sign(self.config, back, weight) if signs else back
        back.copy_(torch.where(chosen, encode(self.config, weight), rest))
        count, total = int(chosen.sum()), weight.numel()
        touched = torch.ones_like(chosen) if signs else chosen
        padding = place.in_blocks * self.config.lanes - place.n_in
        words = torch.nn.functional.pad(touched, (0, padding)).view(place.words, self.config.lanes)
        return Moved(values=count, signs=total - count if signs else 0, written=int(words.any(1).sum()),
                     passes=2 if values and scheme.values is Values.TOP_K else 1)

    def _choose(self, place: LayerLayout, scheme: LayerTransport, weight: Tensor, back: Tensor) -> Tensor:
        """Mask [n_out, n_in] of the weights whose value is copied."""
        config = self.config
        if scheme.values is Values.ALL:
            return torch.ones_like(weight, dtype=torch.bool)
        change = (weight - decode(config, back, scheme.scale)).abs()
        if scheme.values is Values.TOP_K:
            return self.top_k(change, scheme.select)
        states, self._random = stream(self._random, place.words)
        states = states.reshape(place.n_out, -1)[:, :place.n_in]
        if scheme.values is Values.RANDOM:
            return torch.from_numpy((states >> np.uint32(32 - PROBABILITY_BITS)).astype(np.int64) < scheme.select)
        limit = torch.from_numpy(negative_logs(states) * (scheme.select & (1 << TEMPERATURE_BITS) - 1))
        return (change << (TEMPERATURE_FRACTION + NEGLOG_FRACTION - config.weight_fraction)) > limit
