"""The network that runs: layer sizes and learning settings, and its layout in the memories."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["LayerLayout", "Readout", "layout", "parse_layers"]


class Readout(IntEnum):
    """What the output layer reports.

    POTENTIAL: membrane potential at the window's end, ``z = T W + A``; the output layer does not fire.
    SPIKE_TIME: negated output spike times (Frozen Backpropagation, appendix A.6).
    """

    POTENTIAL = 0
    SPIKE_TIME = 1


@dataclass(frozen=True, kw_only=True)
class LayerLayout:
    """Where one weight layer lies in the memories; ``index`` counts from 1, as in the equations.

    A *block* is ``lanes`` consecutive neurons; a *tile* is ``lanes x lanes`` weights. All addresses
    are word addresses (one word: one element for each lane).

    Members
    -------
    n_in, n_out : neurons before and after.
    in_blocks, out_blocks : ``ceil(n / lanes)``.
    tile_base : first tile; the tile of input block ib and output block jb is
        ``tile_base + ib * out_blocks + jb``, and a weight-bank address is ``tile * lanes + row``.
    column_base : gradient word of (column j, input block ib) is ``column_base + j * in_blocks + ib``.
    feedback_base : the same for the feedback memory; the first layer has none (None).
    block_base : first block of the layer's postsynaptic neurons in every per-neuron memory
        (accumulators, spike tape, error accumulators; times ``lanes``: active list).
    """

    index: int
    n_in: int
    n_out: int
    in_blocks: int
    out_blocks: int
    tile_base: int
    column_base: int
    feedback_base: int | None
    block_base: int

    @property
    def words(self) -> int:
        """Gradient (and feedback) words of the layer."""
        return self.n_out * self.in_blocks


def layout(layers: tuple[int, ...], lanes: int) -> list[LayerLayout]:
    """Layout of the weight layers of a network with ``layers`` neurons, in order."""
    out, tile, column, block = [], 0, 0, 0
    for index, (n_in, n_out) in enumerate(zip(layers, layers[1:]), start=1):
        in_blocks, out_blocks = -(-n_in // lanes), -(-n_out // lanes)
        feedback = None if index == 1 else column - out[0].words
        out.append(LayerLayout(index=index, n_in=n_in, n_out=n_out, in_blocks=in_blocks, out_blocks=out_blocks,
                               tile_base=tile, column_base=column, feedback_base=feedback, block_base=block))
        tile += in_blocks * out_blocks
        column += n_out * in_blocks
        block += out_blocks
    return out


def parse_layers(text: str) -> tuple[int, ...]:
    """Layer sizes from ``784-256-10``. Raises ValueError that names the text."""
    try:
        layers = tuple(int(part) for part in text.split("-"))
    except ValueError:
        layers = ()
    if len(layers) < 2 or min(layers) < 1:
        raise ValueError(f"layers {text!r}: write at least two positive sizes joined by '-', such as 784-256-10")
    return layers
