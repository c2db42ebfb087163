"""The memories that WRITE and READ packets reach, as columns of an ExactNetwork (spec/packets.py "Spaces")."""

import numpy as np
import torch
from torch import Tensor

from ..spec.formats import Q
from ..spec.packets import FIRED_BIT, TWO_WORD_SPACES, WRITABLE_SPACES, Kind, Space, random_columns
from .exact import ExactNetwork
from .exact.arithmetic import take_low_bits

__all__ = ["has_column", "has_layer", "read_column", "write_column", "write_length"]

_WORD = Q(bits=32, fraction=0)
_COLUMN_SPACES = (Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT)


def has_layer(network: ExactNetwork, kind: Kind, space: int, layer: int) -> bool:
    """Whether a WRITE or READ packet may name this space and layer."""
    if space not in list(Space) or (kind is Kind.WRITE and space not in WRITABLE_SPACES):
        return False
    if space == Space.GRADIENT and not network.config.gradient_memory:
        return False
    first, last = {
        Space.FEEDBACK: (2, network.depth), Space.RANDOM: (0, 0), Space.SPIKES: (0, network.depth),
        Space.ERROR_SUM: (1, network.depth - 1), Space.OUTPUT_ERROR: (0, 0),
    }.get(Space(space), (1, network.depth))
    return first <= layer <= last


def has_column(network: ExactNetwork, space: Space, layer: int, column: int) -> bool:
    """Whether ``column`` exists in a space and layer that exist."""
    if space is Space.RANDOM:
        return column < random_columns(network.config)
    return column < (network.layers[layer] if space in _COLUMN_SPACES else 1)


def write_length(network: ExactNetwork, space: Space, layer: int) -> int:
    """Elements of one column of a writable space."""
    return network.config.lanes if space is Space.RANDOM else network.layers[layer - 1]


def _column(network: ExactNetwork, space: Space, layer: int, column: int) -> Tensor:
    """Elements as integers; a view for the writable spaces other than RANDOM."""
    match space:
        case Space.WEIGHT:
            return network.weights[layer - 1][column]
        case Space.FEEDBACK:
            return network.feedback[layer - 1][column]
        case Space.GRADIENT:
            return network.gradients[layer - 1][column]
        case Space.RANDOM:
            return torch.from_numpy((network.transport_random if column else network.random).astype(np.int64))
        case Space.SLOPE:
            return network.slope[layer - 1]
        case Space.LEVEL:
            return network.level[layer - 1]
        case Space.SPIKES:
            return network.spike_a[layer] | network.spike_fired[layer].to(torch.int64) << FIRED_BIT
        case Space.ERROR_SUM:
            return network.error_sum[layer - 1]
        case Space.OUTPUT_ERROR:
            return network.output_error


def read_column(network: ExactNetwork, space: Space, layer: int, column: int) -> np.ndarray:
    """Words (uint32) of the READ result after its header."""
    elements = _column(network, space, layer, column).numpy()
    if space in TWO_WORD_SPACES:
        elements = np.stack([elements, elements >> 32], axis=1).reshape(-1)
    return (elements & 0xFFFFFFFF).astype(np.uint32)


def write_column(network: ExactNetwork, space: Space, layer: int, column: int, words: np.ndarray):
    """Store the elements (uint32 words) of a WRITE packet, cut to the element width."""
    if space is Space.RANDOM:
        setattr(network, "transport_random" if column else "random", words.astype(np.uint32))
        return
    config = network.config
    form = {Space.GRADIENT: config.gradient, Space.FEEDBACK: config.feedback}.get(space, config.weight)
    elements = take_low_bits(torch.from_numpy(words.astype(np.int64)), _WORD)
    _column(network, space, layer, column)[:] = take_low_bits(elements, form)
