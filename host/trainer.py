"""Training: epochs of batches on an accelerator, with checkpoints from which it continues bit-identically."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import measures, report
from .checkpoint import Checkpoint, save_checkpoint
from .data import DataSet, shuffled
from .diagnosis import Diagnosis
from .driver import Accelerator, Samples
from .initial import initial_memories
from .memories import read_memories, write_memories
from .options import TrainOptions
from .problems import Interrupted
from .runstate import RunState
from .signals import StopRequest

__all__ = ["Progress", "Trainer"]

EXCHANGE_SAMPLES = 256  # batches of one exchange: a transport overlaps with the batch behind it, and Ctrl-C stays prompt


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a caller sees after each exchange.

    Members
    -------
    epoch, epochs : counted from 1.
    batch, batches : within the epoch, counted from 1.
    loss, accuracy : means over the epoch's training samples so far.
    samples_per_second, cycles_per_second : of this session's training; cycles are None without a clock.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    samples_per_second: float
    cycles_per_second: float | None


class Trainer:
    """One training run.

    Parameters
    ----------
    accelerator : its device was built from ``options.core_config()``.
    data : encoded for that build.
    options : what to train.
    folder : takes checkpoint, metrics.csv, config.toml and summary.json.
    checkpoint : where to continue; None starts afresh.
    watch : called with a ``Progress`` after each exchange of some batches; may raise KeyboardInterrupt to stop the run.
    finished : called with the row of metrics.csv after each epoch.
    warn : called with a line when something goes wrong that a person should know.
    request : a request to stop from elsewhere, looked at after each exchange.
    """

    def __init__(self, accelerator: Accelerator, data: DataSet, options: TrainOptions, folder: Path, *,
                 checkpoint: Checkpoint | None = None, watch: Callable[[Progress], None] = lambda progress: None,
                 finished: Callable[[dict], None] = lambda row: None, warn: Callable[[str], None] = lambda line: None,
                 request: StopRequest | None = None):
        data.check(options.layers)
        self.accelerator, self.data, self.options, self.folder = accelerator, data, options, folder
        self.watch, self.finished = watch, finished
        self.request = request or StopRequest()
        self.state = RunState() if checkpoint is None else RunState(**checkpoint.facts["state"])
        self._session_seconds, self._session_samples, self._session_cycles = 0.0, 0, 0
        self._diagnosis = Diagnosis(options, self.state.warnings, warn)
        self._wall = self._saved = time.monotonic()
        accelerator.configure(options.settings(self.state.epoch, self.state.position))
        fresh = None
        if checkpoint is None:
            fresh = initial_memories(accelerator, options.seed, options.initial_scale, options.initial_mean)
        write_memories(accelerator, fresh or checkpoint.memories)

    @property
    def batches(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return -(-len(self.data.train) // self.options.batch_size)

    def run(self) -> dict:
        """Trains to the end and returns the summary, which is also written to the folder.

        Raises
        ------
        Interrupted : a stop was requested; the state was saved first.
        """
        state, options = self.state, self.options
        report.write_config(self.folder, options)
        while state.epoch < options.epochs:
            self.accelerator.configure(options.settings(state.epoch, state.position))
            self.accelerator.clear_counters()  # starting takes cycles, and a run that continues starts once more
            self._train_epoch()
            self._finish_epoch(*self._test())
            self.save()
        memories = read_memories(self.accelerator)
        return report.write_summary(self.folder, options, self.accelerator.device, state, memories)

    def _train_epoch(self) -> None:
        state, train = self.state, self.data.train
        batches = shuffled(len(train), self.options.batch_size, self.options.seed, state.epoch)
        together = max(1, EXCHANGE_SAMPLES // self.options.batch_size)
        while state.batch < len(batches):
            chosen = batches[state.batch:state.batch + together]
            self._train_batches(train.take(np.concatenate(chosen)), train.labels[np.concatenate(chosen)], len(chosen))
            self._notify()
            if self.request.signal is not None:
                self._interrupt()
            if time.monotonic() - self._saved >= self.options.checkpoint_seconds:
                self.save()

    def _train_batches(self, samples: Samples, labels: np.ndarray, batches: int) -> None:
        """Batches of one exchange, and what is known of them."""
        state, begin, cycles = self.state, time.monotonic(), self._clock()
        results = self.accelerator.train(samples, labels, batch_size=self.options.batch_size)
        seconds, cycles = time.monotonic() - begin, self._clock() - cycles
        self._diagnosis.batches(state.epoch + 1, state.batch + 1, results)
        state.batch += batches
        state.samples += len(labels)
        state.loss_sum += measures.cross_entropy(results.logits, labels)
        state.correct += int((results.predictions == labels).sum())
        state.epoch_seconds += seconds
        state.clock_cycles += cycles
        self._session_seconds += seconds
        self._session_samples += len(labels)
        self._session_cycles += cycles

    def _clock(self) -> int:
        return getattr(self.accelerator.device, "cycles", 0)

    def _notify(self) -> None:
        state, seconds = self.state, max(self._session_seconds, 1e-9)
        try:
            self.watch(Progress(
                epoch=state.epoch + 1, epochs=self.options.epochs, batch=state.batch, batches=self.batches,
                loss=state.loss_sum / state.samples, accuracy=state.correct / state.samples,
                samples_per_second=self._session_samples / seconds,
                cycles_per_second=self._session_cycles / seconds if self._session_cycles else None))
        except KeyboardInterrupt:
            self.request.signal = 2

    def _interrupt(self) -> None:
        path = self.save()
        raise Interrupted(f"stopped after batch {self.state.batch} of {self.batches} in epoch {self.state.epoch + 1}",
                          f"coldspike train --resume {path.parent}", self.request.signal)

    def _test(self) -> tuple[float, int]:
        """Accuracy on the test samples, and how many of them found no room on the tape; they leave no trace in the counters."""
        self._collect()
        test, correct, lost = self.data.test, 0, 0
        for results in self.accelerator.infer(test.take(np.arange(len(test))), test.labels):
            correct += int((results.predictions == results.labels).sum())
            lost += int(results.overflowed.sum())
            if self.request.signal is not None:
                break
        self.accelerator.clear_counters()
        if self.request.signal is not None:
            self._interrupt()  # the test is repeated when the run continues
        return correct / len(test), lost

    def _collect(self) -> None:
        """Moves the device's counters into the epoch's, so that other traffic stays out of them."""
        self.state.epoch_counters = measures.add(self.state.epoch_counters, self.accelerator.counters())
        self.state.position = self.accelerator.read("INTERVAL_POSITION")
        self.accelerator.clear_counters()

    def _finish_epoch(self, test_accuracy: float, lost_in_test: int) -> None:
        state = self.state
        state.rows.append(report.row(state, self.options, self.accelerator.config, test_accuracy))
        self._diagnosis.epoch(state.epoch + 1, state.epoch_counters, lost_in_test, len(self.data.test))
        state.run_counters = measures.add(state.run_counters, state.epoch_counters)
        state.train_seconds += state.epoch_seconds
        state.epoch, state.batch = state.epoch + 1, 0
        state.loss_sum, state.correct, state.samples = 0.0, 0, 0
        state.epoch_counters, state.epoch_seconds = {}, 0.0
        report.write_metrics(self.folder, state.rows)
        self.finished(state.rows[-1])

    def save(self) -> Path:
        """Writes a checkpoint; returns its path."""
        if self.state.batch:  # between epochs everything was collected already
            self._collect()
        now = time.monotonic()
        self.state.wall_seconds += now - self._wall
        self._wall = self._saved = now
        memories = read_memories(self.accelerator)
        self.accelerator.clear_counters()
        return save_checkpoint(self.folder, Checkpoint(memories=memories, facts={
            "options": self.options.plain(), "core": self.accelerator.config.as_dict(), "state": self.state.plain()}))
