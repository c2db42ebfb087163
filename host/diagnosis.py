"""What a person should hear of while a network trains: layers that cannot learn, samples that the tape had no room for."""

from collections.abc import Callable

from ..spec.config import Rule
from .measures import Counters
from .options import TrainOptions
from .packets import SampleResults

__all__ = ["Diagnosis"]


class Diagnosis:
    """Looks at what the accelerator answers and counts, and tells what is wrong, in lines that name the cause and what to change.

    Parameters
    ----------
    lines : what was told so far, earlier sessions of the run included; new lines are appended.
    tell : called with each new line at once: a run may take hours.
    """

    def __init__(self, options: TrainOptions, lines: list[str], tell: Callable[[str], None]):
        self._options, self._lines, self._tell = options, lines, tell

    def batches(self, epoch: int, first: int, results: SampleResults) -> None:
        """After batches of an epoch, the first of them ``first``, both counted from 1: layers through which nothing passed.

        Only rule sparse-bptt is looked at: of the others a layer has as many active neurons whatever they do (rate), or dies with
        an epoch. A batch of which no sample found room on the tape is left out: none was learned from, whatever is active.
        """
        if self._options.rule != Rule.SPARSE_BPTT:
            return
        for number, active in enumerate(results.active):
            part = slice(number * self._options.batch_size, (number + 1) * self._options.batch_size)
            for l in self._hidden:
                if not active[l - 1] and not results.overflowed[part].all():
                    self._once(f"epoch {epoch}: layer {l} had no active neuron",
                               f" in batch {first + number}, so nothing below it learned; {self._remedy}")

    def epoch(self, epoch: int, counters: Counters, lost_in_test: int, tested: int) -> None:
        """After an epoch, counted from 1: what its ``counters`` say, and its test, where ``lost_in_test`` of ``tested`` samples
        found no room on the tape."""
        lost = counters.get("OVERFLOWS", 0)
        for l in self._hidden:
            if not counters[f"ACTIVE_{l}"] and not lost:
                self._once(f"epoch {epoch}: layer {l} had no active neuron", f", so it did not learn; {self._remedy}")
        room = "use a larger --spike-entries or --job-entries"
        if lost:
            self._once(f"epoch {epoch}: {lost} samples found no room on the tape", f" and were not learned from; {room}")
        if lost_in_test:
            self._once(f"epoch {epoch}: {lost_in_test} of {tested} test samples found no room on the tape",
                       f", their predictions come from a part of their spikes; {room}")

    @property
    def _hidden(self) -> range:
        return range(1, len(self._options.layers) - 1)

    @property
    def _remedy(self) -> str:
        if self._options.rule != Rule.SPARSE_BPTT:
            return "use a smaller --lr or another --seed"
        if self._options.timesteps == 1:
            return "use --timesteps 2 or more: spikes reach the next layer a step later"
        return "use a larger --window or --initial-scale, a smaller --lr or another --seed"

    def _once(self, what: str, more: str) -> None:
        """Tells a line unless one that begins so was told."""
        if not any(line.startswith(what) for line in self._lines):
            self._lines.append(what + more)
            self._tell(self._lines[-1])
