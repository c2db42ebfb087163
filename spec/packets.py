"""Packets on the two AXI4-Streams: 32-bit words, TLAST on a packet's last word, one result per packet.

Into the accelerator (word 0 is ``kind | space << 8 | field << 16``)::

    SAMPLE   0: kind, train << 8, label << 16    1: event count n    n events: index | a << 16
    UPDATE   0: kind                             1: 0
    WRITE    0: kind, space << 8, layer << 16    1: column           n words, one element each
    READ     0: kind, space << 8, layer << 16    1: column

Events ascend in index; ``a`` = T - t in ticks is how long before the window's end the input fires. Of rule sparse-bptt an event is
index | step << 16, they ascend in step, then index, and a sample has as many as the build's tape holds at most. Of rule rate events
are levels, index | a << 16; with register CODING spikes follow these, index | step << 16 | 1 << 31, that ascend in step, then
index, and there are spike_entries of both at most.

Out of the accelerator (word 0 is ``kind | status << 8``; word 1 the packet's sequence number, counted
from 0 at start, bad packets included)::

    SAMPLE   2: prediction | label << 16    then one logit (signed) for each output neuron
    UPDATE   2: transported | active << 1: bit 0 is 1 when weights were transported, bit l when layer l had an active neuron since
             the UPDATE before, or START
    WRITE    nothing more
    READ     the elements, sign- or zero-extended to 32 bits; LEVEL and ERROR_SUM take two words,
             low first, sign-extended to 64 bits
    ERROR    nothing more; status says why the packet was dropped

Spaces of WRITE and READ, with the meaning of layer l (1 to L) and column::

    WEIGHT    column j of W: n_in elements w_ij             READ, WRITE
    FEEDBACK  column j of B, layers 2 to L                  READ, WRITE
    GRADIENT  column j of G (or momentum)                   READ, WRITE
    RANDOM    lane generator states (layer 0): of rounding (column 0), of transport (column 1)   READ, WRITE
    SLOPE     accumulators W_j of layer l (column 0)        READ
    LEVEL     accumulators A_j of layer l (column 0)        READ
    SPIKES    layer l's a | fired << 15, last sample; layer 0: the inputs (column 0)   READ
    ERROR_SUM error accumulators of hidden layer l, 1 to L - 1 (column 0)   READ
    OUTPUT_ERROR  output errors eps_k (layer 0, column 0)   READ

Of rule sparse-bptt, in place of LEVEL and ERROR_SUM::

    SLOPE     membrane sums of layer l: decay(V) - reset + I after the last step (column 0)   READ
    SPIKES    layer l's spikes on the tape, 0 to L - 1: index | step << 16 each (column 0)   READ
    JOBS      layer l's active neurons on the tape, two words each: index | step << 16, g or c signed (column 0)   READ
    DECAY     B[0] to B[T] (layer 0, column 0)              WRITE

Of rule rate, besides those of rule ttfs (a is a rate, layer L is silent)::

    MEMBRANE    potentials u of hidden layer l, 1 to L - 1, after the last step (column 0)   READ
    ELIGIBILITY sums F of hidden layer l, two words each (column 0)   READ
    DECAY       leak, then p[1] to p[T] (layer 0, column 0)           WRITE

A build without gradient memory has no GRADIENT space, one without partial transport no column 1 of RANDOM. Feedback weights
are read and written as they are stored (``CoreConfig.feedback``).
"""

from enum import IntEnum

from .config import CoreConfig, Rule

__all__ = ["COLUMN_SPACES", "FIRED_BIT", "Kind", "LIST_SPACES", "SINGLE_SPACES", "SPIKE_BIT", "Space", "TWO_WORD_SPACES",
           "WRITABLE_SPACES", "header", "layer_ranges", "random_columns"]


class Kind(IntEnum):
    """Packet kinds; a result has the kind of its packet, or ERROR."""

    SAMPLE = 1
    UPDATE = 2
    WRITE = 3
    READ = 4
    ERROR = 15


class Space(IntEnum):
    """Memories that WRITE and READ reach."""

    WEIGHT = 0
    FEEDBACK = 1
    GRADIENT = 2
    RANDOM = 3
    SLOPE = 4
    LEVEL = 5
    SPIKES = 6
    ERROR_SUM = 7
    OUTPUT_ERROR = 8
    JOBS = 9
    DECAY = 10
    MEMBRANE = 11
    ELIGIBILITY = 12


COLUMN_SPACES = (Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT)
"""A column for each postsynaptic neuron."""

WRITABLE_SPACES = (*COLUMN_SPACES, Space.RANDOM, Space.DECAY)
TWO_WORD_SPACES = (Space.LEVEL, Space.ERROR_SUM, Space.JOBS, Space.ELIGIBILITY)

LIST_SPACES = (Space.SPIKES, Space.JOBS)
"""Of rule sparse-bptt: as long as the last sample made them."""

SINGLE_SPACES = (Space.OUTPUT_ERROR, Space.DECAY)
"""One element a word, not P."""

FIRED_BIT = 15

SPIKE_BIT = 31
"""Of an event of rule rate: it is a spike, not a level."""


def random_columns(config: CoreConfig) -> int:
    """Columns of RANDOM."""
    return 2 if config.partial_transport else 1


def layer_ranges(config: CoreConfig, rule: Rule, depth) -> dict[Space, tuple]:
    """First layer, and the one after the last, of each space that a build has while ``rule`` runs; ``depth`` is L, a number or a
    signal."""
    ranges = {space: (1, depth + 1) for space in (Space.WEIGHT, Space.GRADIENT, Space.SLOPE)}
    ranges |= {Space.FEEDBACK: (2, depth + 1), Space.RANDOM: (0, 1), Space.OUTPUT_ERROR: (0, 1)}
    if rule is Rule.SPARSE_BPTT:
        ranges |= {Space.SPIKES: (0, depth), Space.JOBS: (1, depth + 1), Space.DECAY: (0, 1)}
    else:
        ranges |= {Space.LEVEL: (1, depth + 1), Space.SPIKES: (0, depth + 1), Space.ERROR_SUM: (1, depth)}
    if rule is Rule.RATE:
        ranges |= {Space.MEMBRANE: (1, depth), Space.ELIGIBILITY: (1, depth), Space.DECAY: (0, 1)}
    if not config.gradient_memory:
        del ranges[Space.GRADIENT]
    return ranges


def header(kind: Kind, middle: int = 0, field: int = 0) -> int:
    """Word 0 of a packet: ``middle`` is train or space, ``field`` label or layer."""
    return int(kind) | middle << 8 | field << 16
