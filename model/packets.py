"""Judging and taking apart the packets of spec/packets.py, as the accelerator's decoder does.

The first offending word in stream order decides a packet's error. ``judge`` follows a packet word by word;
``SampleStream`` finds the good SAMPLE packets of a whole stream at once, so that they can run as batches.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..spec.config import Rule
from ..spec.errors import ErrorCode
from ..spec.packets import SPIKE_BIT, Kind, Space
from .exact import ExactNetwork
from .memories import has_column, has_layer, write_length

__all__ = ["Header", "SampleStream", "judge"]


@dataclass(frozen=True)
class Header:
    """Fields of a packet's word 0."""

    kind: int
    middle: int
    field: int

    @classmethod
    def of(cls, word: int) -> "Header":
        """Take word 0 apart."""
        return cls(word & 0xFF, word >> 8 & 0xFF, word >> 16)

    @property
    def train(self) -> bool:
        """Train flag of a SAMPLE packet."""
        return bool(self.middle & 1)


def judge(network: ExactNetwork | None, words: list[int]) -> ErrorCode:
    """Why a whole packet must be dropped, or NONE; ``network`` is None while the accelerator is stopped."""
    if network is None:
        return ErrorCode.STOPPED
    head = Header.of(words[0])
    error = _judge_header(network, head)
    if error or len(words) == 1:
        return error or ErrorCode.SHORT
    length = 2
    if head.kind == Kind.SAMPLE:
        if words[1] > _most_events(network):
            return ErrorCode.LONG
        length += words[1]
    elif head.kind in (Kind.WRITE, Kind.READ):
        if not has_column(network, Space(head.middle), head.field, words[1]):
            return ErrorCode.ADDRESS
        if head.kind == Kind.WRITE:
            length += write_length(network, Space(head.middle), head.field)
    if head.kind == Kind.SAMPLE:
        error = _judge_events(network, words[2:length])
    if error:
        return error
    return ErrorCode.SHORT if len(words) < length else ErrorCode.LONG if len(words) > length else ErrorCode.NONE


def _judge_header(network: ExactNetwork, head: Header) -> ErrorCode:
    match head.kind:
        case Kind.SAMPLE:
            wrong = head.train and head.field >= network.layers[-1]
            return ErrorCode.LABEL if wrong else ErrorCode.NONE
        case Kind.WRITE | Kind.READ:
            known = has_layer(network, Kind(head.kind), head.middle, head.field)
            return ErrorCode.NONE if known else ErrorCode.ADDRESS
        case Kind.UPDATE:
            return ErrorCode.NONE
    return ErrorCode.KIND


def _coded(network: ExactNetwork) -> bool:
    """Whether spikes follow a sample's levels."""
    return network.rule is Rule.RATE and network.settings.coded


def _most_events(network: ExactNetwork) -> int:
    return network.config.spike_entries if network.rule is Rule.SPARSE_BPTT or _coded(network) else network.layers[0]


def _is_late(network: ExactNetwork, word):
    """Whether events, one or an array, lie outside the window or behind the last step."""
    time = word >> 16
    if network.rule is Rule.SPARSE_BPTT:
        return time >= network.settings.steps
    beyond = time > network.config.window
    if not _coded(network):
        return beyond
    step = time & 0x7FFF
    return (word >> SPIKE_BIT == 0) & beyond | (word >> SPIKE_BIT == 1) & (step >= network.settings.steps)


def _place(network: ExactNetwork, word):
    """What ascends from event to event, of one or an array: of levels the index, of spikes, which follow them, the step, too."""
    if network.rule is Rule.SPARSE_BPTT:
        return word
    level = word & 0xFFFF
    return level | (word & ~0xFFFF) * (word >> SPIKE_BIT) if _coded(network) else level


def _judge_events(network: ExactNetwork, events: list[int]) -> ErrorCode:
    previous = -1
    for event in events:
        place = _place(network, event)
        if event & 0xFFFF >= network.layers[0]:
            return ErrorCode.INDEX
        if place <= previous:
            return ErrorCode.ORDER
        if _is_late(network, event):
            return ErrorCode.TIME
        previous = place
    return ErrorCode.NONE


class SampleStream:
    """A stream of whole packets, its good SAMPLE packets marked.

    Parameters
    ----------
    network : the network that runs; None while stopped (no packet is good then).
    words : uint32 words. last : bool TLAST flags, true on the last word.

    Members
    -------
    starts, ends : bounds of each packet. good : bool, packets that are SAMPLE packets without an error.
    train, label : header fields of each packet, meaningful where ``good``.
    """

    def __init__(self, network: ExactNetwork | None, words: np.ndarray, last: np.ndarray):
        self.network, self.words = network, words
        self.ends = np.flatnonzero(last) + 1
        self.starts = np.concatenate([[0], self.ends])[:-1].astype(np.int64)
        first = words[self.starts]
        self.train, self.label = (first >> 8 & 1).astype(bool), first >> 16
        self.good = np.zeros(len(self.starts), bool)
        if network is not None and len(words):
            self.good = self._find_good(first & 0xFF)

    def _find_good(self, kind: np.ndarray) -> np.ndarray:
        lengths = self.ends - self.starts
        count = self.words[np.minimum(self.starts + 1, len(self.words) - 1)].astype(np.int64)
        good = (kind == Kind.SAMPLE) & (lengths == count + 2) & (count <= _most_events(self.network))
        good &= ~self.train | (self.label < self.network.layers[-1])
        words = self.words.astype(np.int64)
        outside = (words & 0xFFFF >= self.network.layers[0]) | _is_late(self.network, words)
        place = _place(self.network, words)
        bad = outside.copy()
        bad[1:] |= place[1:] <= place[:-1]
        first_event = self.starts[lengths > 2] + 2  # it follows the count, which is no event
        bad[first_event] = outside[first_event]
        bad[self.starts] = False
        bad[self.starts[lengths > 1] + 1] = False
        return good & (np.add.reduceat(bad, self.starts, dtype=np.int64) == 0)

    def run_end(self, first: int) -> int:
        """End of the longest run of good packets with one train flag that starts at packet ``first``."""
        other = np.flatnonzero(~self.good[first:] | (self.train[first:] != self.train[first]))
        return first + int(other[0]) if len(other) else len(self.starts)

    def samples(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ticks a [n, n_in] int64, fired [n, n_in] bool and labels [n] of the good packets first to end - 1."""
        shape = (end - first, self.network.layers[0])
        row, index, time, labels = self._events(first, end)
        a, fired = np.zeros(shape, np.int64), np.zeros(shape, bool)
        a[row, index], fired[row, index] = time, True
        return torch.from_numpy(a), torch.from_numpy(fired), labels

    def rate_samples(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Levels and sent as of ``samples``, spikes [n, T, n_in] bool or (of currents) None, labels, of rule rate."""
        if not _coded(self.network):
            a, sent, labels = self.samples(first, end)
            return a, sent, None, labels
        row, index, time, labels = self._events(first, end)
        shape, is_spike = (end - first, self.network.layers[0]), time >> (SPIKE_BIT - 16) == 1
        a, sent = np.zeros(shape, np.int64), np.zeros(shape, bool)
        level = ~is_spike
        a[row[level], index[level]], sent[row[level], index[level]] = time[level], True
        spikes = torch.zeros(shape[0], self.network.settings.steps, shape[1], dtype=torch.bool)
        spikes[row[is_spike], (time[is_spike] & 0x7FFF).astype(np.int64), index[is_spike]] = True
        return torch.from_numpy(a), torch.from_numpy(sent), spikes, labels

    def samples_over_time(self, first: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Spikes [n, T, n_in] bool and labels [n] of the good packets first to end - 1, of rule sparse-bptt."""
        row, index, step, labels = self._events(first, end)
        spikes = torch.zeros(end - first, self.network.settings.steps, self.network.layers[0], dtype=torch.bool)
        spikes[row, step.astype(np.int64), index] = True
        return spikes, labels

    def _events(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, torch.Tensor]:
        """Sample, index and time of each event, labels."""
        lengths = self.ends[first:end] - self.starts[first:end]
        words = self.words[self.starts[first]:self.ends[end - 1]]
        row = np.repeat(np.arange(end - first), lengths)
        event = np.arange(len(words)) - np.repeat(self.starts[first:end] - self.starts[first], lengths) >= 2
        index = words[event] & 0xFFFF
        return row[event], index.astype(np.int64), words[event] >> 16, torch.from_numpy(self.label[first:end].astype(np.int64))

    def packet(self, number: int) -> np.ndarray:
        """Words of one packet."""
        return self.words[self.starts[number]:self.ends[number]]
