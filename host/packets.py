"""Packets as word arrays: a whole batch is encoded, and its results decoded, by a few array operations.

The layouts are those of ``spec.packets``; a *stream* is ``(words, last)``: uint32 words and a mark on each
packet's last word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..spec.config import CoreConfig
from ..spec.errors import REMEDIES, ErrorCode
from ..spec.lif import DECAY
from ..spec.packets import TWO_WORD_SPACES, Kind, Space, header
from .problems import DriverError

__all__ = ["SampleResults", "Stream", "check_results", "concatenate", "decode_elements", "decode_samples",
           "element_limits", "encode_events", "encode_reads", "encode_samples", "encode_update", "encode_writes", "is_signed"]

Stream = tuple[np.ndarray, np.ndarray]
RESULT_HEADER = 2  # words before a result's contents


def encode_samples(times: np.ndarray, labels: np.ndarray, *, train: bool | np.ndarray,
                   fired: np.ndarray | None = None) -> Stream:
    """SAMPLE packets of a batch.

    Parameters
    ----------
    times : (samples, inputs) ticks before the window's end, a = T - t, or (rule rate) levels in ticks.
    labels : (samples,) output neurons, 0 to 65535.
    train : learn from the samples, or only infer; one for all, or (samples,).
    fired : (samples, inputs) which inputs fire; ``times > 0`` unless given (an input may fire with a = 0).
    """
    times = np.asarray(times)
    fired = times > 0 if fired is None else np.asarray(fired, bool)
    rows, columns = np.nonzero(fired)
    counts = fired.sum(axis=1)
    learn = np.broadcast_to(np.asarray(train, int), len(counts)).tolist()
    lengths = counts + 2
    starts = np.cumsum(lengths) - lengths
    words = np.empty(int(lengths.sum()), np.uint32)
    words[starts] = [header(Kind.SAMPLE, *fields) for fields in zip(learn, np.asarray(labels).tolist(), strict=True)]
    words[starts + 1] = counts
    # Events follow in order; each is shifted by the two header words of its own and all earlier packets.
    words[np.arange(len(rows)) + 2 * (rows + 1)] = columns | times[rows, columns].astype(np.uint32) << np.uint32(16)
    last = np.zeros(len(words), bool)
    last[starts + lengths - 1] = True
    return words, last


def encode_events(events: Sequence[np.ndarray], labels: np.ndarray, *, train: bool | np.ndarray) -> Stream:
    """SAMPLE packets of rule sparse-bptt, and of rule rate with coded inputs.

    Parameters
    ----------
    events : for each sample its events as uint32 words, in order.
    labels, train : as for ``encode_samples``.
    """
    counts = np.array([len(each) for each in events], np.int64)
    learn = np.broadcast_to(np.asarray(train, int), len(counts)).tolist()
    starts = np.cumsum(counts + 2) - counts - 2
    words = np.empty(int(counts.sum()) + 2 * len(counts), np.uint32)
    body = np.ones(len(words), bool)
    body[starts] = body[starts + 1] = False
    words[starts] = [header(Kind.SAMPLE, *fields) for fields in zip(learn, np.asarray(labels).tolist(), strict=True)]
    words[starts + 1] = counts
    words[body] = np.concatenate(events) if len(events) else []
    last = np.zeros(len(words), bool)
    last[starts + counts + 1] = True
    return words, last


def encode_update() -> Stream:
    """One UPDATE packet."""
    return np.array([header(Kind.UPDATE), 0], np.uint32), np.array([False, True])


def encode_reads(space: Space, layer: int, columns: int = 1) -> Stream:
    """READ packets of columns 0 to ``columns - 1`` of a space."""
    words = np.empty((columns, 2), np.uint32)
    words[:, 0] = header(Kind.READ, space, layer)
    words[:, 1] = np.arange(columns)
    return words.reshape(-1), np.tile(np.array([False, True]), columns)


def encode_writes(space: Space, layer: int, values: np.ndarray) -> Stream:
    """WRITE packets of a matrix (elements, columns), one packet a column; values are taken modulo 2**32."""
    values = np.asarray(values)
    elements, columns = values.shape
    words = np.empty((columns, 2 + elements), np.uint32)
    words[:, 0] = header(Kind.WRITE, space, layer)
    words[:, 1] = np.arange(columns)
    words[:, 2:] = (values.T.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)
    last = np.zeros(words.shape, bool)
    last[:, -1] = True
    return words.reshape(-1), last.reshape(-1)


def concatenate(*streams: Stream) -> Stream:
    """Streams one after the other."""
    return np.concatenate([words for words, _ in streams]), np.concatenate([last for _, last in streams])


def check_results(words: np.ndarray, last: np.ndarray, kinds: np.ndarray, first: int) -> np.ndarray:
    """Start positions of the result packets, after kind, status and sequence number of each were checked.

    Parameters
    ----------
    words, last : the results.
    kinds : expected kind of each packet.
    first : expected sequence number of the first packet.

    Raises
    ------
    DriverError : a packet was dropped (its number, the error code and the remedy), is missing or out of order.
    """
    ends = np.flatnonzero(last) + 1
    starts = np.concatenate([[0], ends[:-1]])
    complete = len(ends) > 0 and ends[-1] == len(words) and (ends - starts).min() >= RESULT_HEADER
    if len(ends) != len(kinds) or not complete:
        raise DriverError(f"the accelerator returned {len(ends)} complete result packets instead of {len(kinds)}; "
                          "close the device and open it again")
    found, sequence = words[starts] & 0xFF, words[starts + 1]
    for packet in np.flatnonzero(found == Kind.ERROR)[:1]:
        status = int(words[starts[packet]] >> 8 & 0xFF)
        code = ErrorCode(status) if status in set(ErrorCode) else None
        text = f"{code.name}: {REMEDIES[code]}" if code is not None else f"unknown error code {status}"
        raise DriverError(f"packet {int(sequence[packet])} was dropped: {text}")
    expected = (first + np.arange(len(kinds))) & 0xFFFFFFFF
    wrong = np.flatnonzero((found != kinds) | (sequence != expected))
    if len(wrong):
        n = wrong[0]
        raise DriverError(f"result {int(sequence[n])} of kind {int(found[n])} came where packet {int(expected[n])} "
                          f"of kind {int(kinds[n])} was expected; close the device and open it again")
    return starts


@dataclass(frozen=True, kw_only=True)
class SampleResults:
    """What the accelerator answered to a batch.

    Members
    -------
    predictions, labels : (samples,) int64.
    logits : (samples, outputs) int64, 10 fractional bits.
    overflowed : (samples,) bool, whether the tape had no room for a sample (rule sparse-bptt): it was not learned from.
    active : (batches, layers) bool, whether weight layers 1 to L had an active neuron in a batch; None without learning.
    """

    predictions: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    overflowed: np.ndarray
    active: np.ndarray | None = None


def decode_samples(words: np.ndarray, starts: np.ndarray, outputs: int) -> SampleResults:
    """Sample results from checked result packets that begin at ``starts``."""
    contents = words[starts[:, None] + RESULT_HEADER + np.arange(1 + outputs)]
    return SampleResults(predictions=(contents[:, 0] & 0xFFFF).astype(np.int64),
                         labels=(contents[:, 0] >> 16).astype(np.int64),
                         logits=contents[:, 1:].astype(np.int32).astype(np.int64),
                         overflowed=words[starts] >> 8 == ErrorCode.OVERFLOW)


def decode_active(words: np.ndarray, starts: np.ndarray, layers: int) -> np.ndarray:
    """``SampleResults.active`` from checked results of UPDATE packets that begin at ``starts``; ``layers`` is L."""
    return (words[starts + RESULT_HEADER, None] >> np.arange(1, layers + 1, dtype=np.uint32) & 1).astype(bool)


def is_signed(space: Space) -> bool:
    """Whether the elements of a space are sign-extended."""
    return space not in (Space.RANDOM, Space.SPIKES, Space.DECAY, Space.ELIGIBILITY)


def decode_elements(words: np.ndarray, space: Space, columns: int) -> np.ndarray:
    """Matrix (elements, columns), int64, from the checked results of ``columns`` READ packets."""
    table = words.reshape(columns, -1)[:, RESULT_HEADER:]
    if space in TWO_WORD_SPACES:
        return np.ascontiguousarray(table).view("<u8").astype(np.int64).T
    if is_signed(space):
        table = table.astype(np.int32)
    return table.astype(np.int64).T


def element_limits(config: CoreConfig, space: Space) -> tuple[int, int]:
    """Smallest and largest element that may be written to ``space``."""
    formats = {Space.WEIGHT: config.weight, Space.FEEDBACK: config.feedback, Space.GRADIENT: config.gradient, Space.DECAY: DECAY}
    if space in formats:
        return formats[space].min, formats[space].max
    return 1, 0xFFFFFFFF  # a generator state is never zero
