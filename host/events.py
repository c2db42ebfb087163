"""Samples over time: the spikes of all samples one after another, as the driver sends them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..spec.packets import SPIKE_BIT
from .problems import OptionError

__all__ = ["CodedSplit", "EventSet", "EventSplit", "checked_count", "with_levels", "words"]


def checked_count(present: int, count: int | None, what: str) -> int:
    """``count``, or all that are ``present`` for None. Raises OptionError where there are fewer."""
    if count is not None and not 1 <= count <= present:
        raise OptionError(f"{what} = {count}: this data set has 1 to {present}")
    return present if count is None else count


def words(step: np.ndarray, index: np.ndarray) -> np.ndarray:
    """One sample's spikes as uint32 words, index | step << 16, ascending; what falls on one input in one step is one spike."""
    out = np.sort(step.astype(np.uint32) << 16 | index.astype(np.uint32))
    fresh = np.ones(len(out), bool)
    fresh[1:] = out[1:] != out[:-1]
    return out[fresh]  # np.unique takes several times as long


def with_levels(spikes: np.ndarray, steps: int, window: int) -> np.ndarray:
    """One sample of rule rate with coded inputs, as uint32 words: the rates of the inputs that spike at all, index | a << 16
    ascending, then its ``words``, marked as spikes. Rates are in ticks, ``window`` of them a spike in each of ``steps`` steps."""
    counts = np.bincount(spikes & 0xFFFF)
    index = np.flatnonzero(counts)
    levels = np.rint(counts[index] * window / steps).astype(np.uint32) << 16 | index.astype(np.uint32)
    return np.concatenate([levels, spikes | np.uint32(1 << SPIKE_BIT)])


@dataclass(frozen=True, kw_only=True)
class EventSplit:
    """Samples over time.

    Members
    -------
    events : all samples' spikes as uint32 words, index | step << 16, each sample's ascending. starts : (samples + 1,) where each
        sample's begin.
    labels : (samples,) int64.
    """

    events: np.ndarray
    starts: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def raster(self, chosen: np.ndarray, steps: int, inputs: int) -> np.ndarray:
        """Some samples as bool (samples, T, inputs)."""
        out = np.zeros((len(chosen), steps, inputs), bool)
        for fired, events in zip(out, self.take(chosen), strict=True):
            fired[events >> 16, events & 0xFFFF] = True
        return out

    @classmethod
    def joined(cls, samples: Iterable[np.ndarray], labels: np.ndarray) -> "EventSplit":
        """Of each sample's ``words``."""
        samples = list(samples)
        starts = np.concatenate([[0], np.cumsum([len(each) for each in samples], dtype=np.int64)])
        return cls(events=np.concatenate(samples) if samples else np.zeros(0, np.uint32), starts=starts,
                   labels=np.asarray(labels, np.int64))

    @classmethod
    def of_raster(cls, fired: np.ndarray, labels: np.ndarray) -> "EventSplit":
        """Of bool (samples, T, inputs)."""
        sample, step, index = fired.nonzero()  # in the order that events have
        starts = np.concatenate([[0], np.bincount(sample, minlength=len(fired)).cumsum()])
        events = step.astype(np.uint32) << 16 | index.astype(np.uint32)
        return cls(events=events, starts=starts, labels=np.asarray(labels, np.int64))

    def first(self, count: int | None, what: str) -> "EventSplit":
        """The first ``count`` samples (None: all). Raises OptionError where there are fewer."""
        count = checked_count(len(self), count, what)
        return EventSplit(events=self.events[:self.starts[count]], starts=self.starts[:count + 1], labels=self.labels[:count])

    def take(self, chosen: np.ndarray) -> list[np.ndarray]:
        """Events of some samples."""
        return [self.events[self.starts[n]:self.starts[n + 1]] for n in chosen]

    def too_long(self, entries: int) -> tuple[int, int] | None:
        """The first sample of more than ``entries`` words, and how many it has; None: there is none."""
        lengths = np.diff(self.starts)
        found = np.flatnonzero(lengths > entries)
        return (int(found[0]), int(lengths[found[0]])) if len(found) else None


@dataclass(frozen=True, kw_only=True)
class CodedSplit:
    """Samples of rule rate with coded inputs.

    Members
    -------
    spikes : the samples. steps : T. window : ticks of an input that spikes in each step.
    """

    spikes: EventSplit
    steps: int
    window: int

    def __len__(self) -> int:
        return len(self.spikes)

    @property
    def labels(self) -> np.ndarray:
        """(samples,) int64."""
        return self.spikes.labels

    def raster(self, chosen: np.ndarray, steps: int, inputs: int) -> np.ndarray:
        """Some samples' spikes as bool (samples, T, inputs)."""
        return self.spikes.raster(chosen, steps, inputs)

    def take(self, chosen: np.ndarray) -> list[np.ndarray]:
        """Some samples as ``with_levels`` gives them."""
        return [with_levels(each, self.steps, self.window) for each in self.spikes.take(chosen)]

    def too_long(self, entries: int) -> tuple[int, int] | None:
        """As of ``EventSplit``, levels and spikes together."""
        for n in np.flatnonzero(2 * np.diff(self.spikes.starts) > entries):  # no sample has more levels than spikes
            if (count := len(self.take([n])[0])) > entries:
                return int(n), count
        return None


@dataclass(frozen=True)
class EventSet:
    """A data set of recordings over time.

    Members
    -------
    inputs, classes : neurons that a network for it has at both ends.
    read : gives training and test samples over T time steps; called with T, with how many of each (None: all), and with what is
        told now and then, in a line of text, how far it has come. Raises DataError and OptionError.
    """

    inputs: int
    classes: int
    read: Callable[[int, tuple[int | None, int | None], Callable[[str], None]], tuple[EventSplit, EventSplit]]
