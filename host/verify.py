"""Two accelerators side by side: the same packets to both, then every architectural state compared."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..spec.packets import Kind
from . import packets
from .device import Device
from .driver import Accelerator
from .memories import memory_shapes, write_memories
from .settings import NetworkSettings
from .states import State, read_states, words_state
from .stimuli import Batch, random_batch, random_memories

__all__ = ["Tally", "Verification"]


@dataclass(kw_only=True)
class Tally:
    """What was compared of one kind of state.

    Members
    -------
    values, nonzero, mismatches : how many values were compared, how many of them were not 0, how many differed.
    first : the first difference in words, or None.
    """

    values: int = 0
    nonzero: int = 0
    mismatches: int = 0
    first: str | None = None


class Verification:
    """Runs batches of random data through two devices of one build.

    Parameters
    ----------
    golden, simulated : the devices.
    settings : what both run, one after the other, and in the end the first again; of one, that is carried over a stop.
    seed : of the memories' first contents and the samples.
    total_cycles : compare TOTAL_CYCLES too, which depends on stalls.
    corrupt : flip one random bit of one value that the simulated device returned, once.

    Members
    -------
    tallies : by kind of state.
    corrupted : where a bit was flipped, in words; None while none was.
    """

    def __init__(self, golden: Device, simulated: Device, settings: Sequence[NetworkSettings], *, seed: int,
                 total_cycles: bool = True, corrupt: bool = False):
        self.sides = [Accelerator(golden), Accelerator(simulated)]
        self.settings, self.total_cycles, self.corrupt = tuple(settings), total_cycles, corrupt
        self._present = self.settings[0]
        self.tallies: dict[str, Tally] = {}
        self.corrupted: str | None = None
        self._random = np.random.default_rng(seed)
        self._faults = np.random.default_rng([seed, 1])  # apart, so that --corrupt changes nothing else
        memories = None
        for side in self.sides:
            side.configure(self.settings[0])
            if memories is None:
                memories = random_memories(self._random, side.config, memory_shapes(side))
            write_memories(side, memories)
            side.clear_counters()

    def run(self, batches: int, batch_size: int, watch=lambda number: None) -> None:
        """Runs and compares ``batches`` batches; with each of the settings, and with the first again, both sides stop and start.

        The first and every other batch is compared before its update, too: plain gradients are zero after it. The
        others go to the accelerator in one exchange with a second update behind half as many samples, as in training.
        ``watch`` is called with the batches done.
        """
        config, fault = self.sides[0].config, int(self._faults.integers(batches))
        turns = (*self.settings, self.settings[0])[:batches]
        before = 0
        for number in range(batches):
            turn = ((number + 1) * len(turns) - 1) // batches
            settings = turns[turn]
            restarted, before = turn != before or settings is not self._present, turn
            if restarted:
                self._restart(settings)
            sizes = (batch_size,) if number % 2 == 0 else (batch_size, max(1, batch_size // 2))
            streams = [self._packets(random_batch(self._random, config, settings, number, size)) for size in sizes]
            samples, update = streams[0]
            parts = {"samples": [samples], "update": [update]} if number % 2 == 0 else {"batches": [p for s in streams for p in s]}
            for part, sent in parts.items():
                golden, simulated = (self._states(side, sent) for side in self.sides)
                if self.corrupt and number == fault and part != "samples":
                    self._flip(simulated)
                when = f"batch {number + 1}" + ", after stop and start" * restarted
                self._compare(golden, simulated, when + ", before its update" * (part == "samples"))
            watch(number + 1)

    @staticmethod
    def _packets(batch: Batch) -> list[tuple[packets.Stream, list[Kind]]]:
        """The samples of a batch, and its update, each with the kinds of its packets."""
        samples = (packets.encode_samples(batch.times, batch.labels, train=batch.train, fired=batch.fired)
                   if batch.events is None else packets.encode_events(batch.events, batch.labels, train=batch.train))
        return [(samples, [Kind.SAMPLE] * len(batch.labels)), (packets.encode_update(), [Kind.UPDATE])]

    def _states(self, side: Accelerator, sent: list[tuple[packets.Stream, list[Kind]]]) -> list[State]:
        """Sends packets in one exchange; returns everything to compare."""
        words, starts = side.exchange(packets.concatenate(*(stream for stream, _ in sent)),
                                      np.array([kind for _, kinds in sent for kind in kinds]))
        return [words_state(words, starts), *read_states(side, total_cycles=self.total_cycles)]

    def _restart(self, settings: NetworkSettings) -> None:
        """The transport position is carried over a stop by the host: both must resume it alike."""
        self._present = settings
        for side in self.sides:
            position = side.read("INTERVAL_POSITION")
            side.configure(dataclasses.replace(settings, interval_start=position))

    def _flip(self, states: list[State]) -> None:
        sizes = np.array([state.values.size for state in states])
        state = states[self._faults.choice(len(states), p=sizes / sizes.sum())]
        index = tuple(int(self._faults.integers(size)) for size in state.values.shape)
        bit = int(self._faults.integers(state.bits))
        state.values[index] ^= 1 << bit
        self.corrupted = f"bit {bit} of {state.kind}, {state.locate(index)}"

    def _compare(self, golden: list[State], simulated: list[State], when: str) -> None:
        for expected, found in zip(golden, simulated, strict=True):
            tally = self.tallies.setdefault(expected.kind, Tally())
            tally.values += expected.values.size
            tally.nonzero += int(np.count_nonzero(expected.values))
            if expected.values.shape != found.values.shape:
                tally.mismatches += max(expected.values.size, found.values.size)
                tally.first = tally.first or (f"{when}: {expected.place or expected.kind}: {found.values.size} values "
                                              f"instead of {expected.values.size}")
                continue
            wrong = np.argwhere(expected.values != found.values)
            tally.mismatches += len(wrong)
            if len(wrong) and tally.first is None:
                index = tuple(int(n) for n in wrong[0])
                tally.first = (f"{when}: {expected.locate(index)}: simulated {found.values[index]}, "
                               f"golden {expected.values[index]}")

    @property
    def values(self) -> int:
        """Values compared so far."""
        return sum(tally.values for tally in self.tallies.values())

    @property
    def mismatches(self) -> int:
        """Values that differed so far."""
        return sum(tally.mismatches for tally in self.tallies.values())
