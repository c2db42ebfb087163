"""The memories that WRITE and READ packets reach, as columns of an ExactNetwork (spec/packets.py "Spaces")."""

import numpy as np
import torch
from torch import Tensor

from ..spec.config import Rule
from ..spec.formats import Q
from ..spec.lif import DECAY
from ..spec.packets import COLUMN_SPACES, FIRED_BIT, TWO_WORD_SPACES, WRITABLE_SPACES, Kind, Space, layer_ranges, random_columns
from .exact import ExactNetwork
from .exact.arithmetic import take_low_bits

__all__ = ["has_column", "has_layer", "read_column", "write_column", "write_length"]

_WORD = Q(bits=32, fraction=0)


def has_layer(network: ExactNetwork, kind: Kind, space: int, layer: int) -> bool:
    """Whether a WRITE or READ packet may name this space and layer."""
    first, after = layer_ranges(network.config, network.rule, network.depth).get(space, (0, 0))
    allowed = space in WRITABLE_SPACES if kind is Kind.WRITE else space != Space.DECAY
    return allowed and first <= layer < after


def has_column(network: ExactNetwork, space: Space, layer: int, column: int) -> bool:
    """Whether ``column`` exists in a space and layer that exist."""
    if space is Space.RANDOM:
        return column < random_columns(network.config)
    return column < (network.layers[layer] if space in COLUMN_SPACES else 1)


def write_length(network: ExactNetwork, space: Space, layer: int) -> int:
    """Elements of one column of a writable space."""
    if space is Space.DECAY:
        return network.settings.steps + 1
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
        case Space.SLOPE if network.rule is Rule.SPARSE_BPTT:
            return network.sums[layer - 1]
        case Space.SLOPE:
            return network.slope[layer - 1]
        case Space.LEVEL:
            return network.level[layer - 1]
        case Space.SPIKES if network.rule is Rule.SPARSE_BPTT:
            return network.spike_list[layer][:, 1] | network.spike_list[layer][:, 0] << 16
        case Space.JOBS:
            step, index, value = network.job_list[layer - 1].unbind(1)
            return index | step << 16 | value << 32
        case Space.DECAY if network.rule is Rule.RATE:
            return network.profile[:network.settings.steps + 1]
        case Space.MEMBRANE:
            return network.membrane[layer - 1]
        case Space.ELIGIBILITY:
            return network.eligibility[layer - 1]
        case Space.DECAY:
            return network.powers[:network.settings.steps + 1]
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
    form = {Space.GRADIENT: config.gradient, Space.FEEDBACK: config.feedback, Space.DECAY: DECAY}.get(space, config.weight)
    elements = take_low_bits(torch.from_numpy(words.astype(np.int64)), _WORD)
    _column(network, space, layer, column)[:] = take_low_bits(elements, form)
