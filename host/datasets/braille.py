"""Braille letters under a fingertip of 12 touch sensors (Mueller-Cleve et al. 2022, zenodo.org/records/6556273, CC BY 4.0)."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..download import data_folder
from ..events import EventSet, EventSplit
from ..problems import DataError, reason

__all__ = ["BRAILLE", "CLASSES", "DELTAS", "INPUTS", "TAXELS", "braille", "crossings"]

FILE = "braille/braille_27x50_taxel_u8.npz"
SOURCE = "readings of zenodo.org/records/6556273 as arrays x (samples, steps, 12) uint8, n_steps and y (samples,) 0 to 26"
REMEDY = f"put the whole file there: {SOURCE}"
TAXELS, CLASSES = 12, 27
DELTAS = (1, 2, 4, 8, 16)
"""Changes of an 8-bit reading that make an event, from the readings' noise to a large part of their range."""
INPUTS = 2 * TAXELS * len(DELTAS)
TEST_EVERY = 5  # of a letter's 50 repetitions 10 are for the test


def crossings(readings: np.ndarray, steps: int, deltas: tuple[int, ...] = DELTAS) -> np.ndarray:
    """Send-on-delta events of touch sensors.

    The readings are stretched over T steps with straight lines between them. For each delta a sensor keeps a level, at first
    its first reading; a step in which the signal is delta or more above it (below it) sends one ON (OFF) event and moves the level
    by delta towards the signal, so that a burst tells of a jump. Exact: the signal is counted in units of 1 / (T - 1).

    Parameters
    ----------
    readings : (samples, R, taxels) integers, R at least 1.

    Returns
    -------
    bool (samples, T, 2 len(deltas) taxels): input (2 d + s) taxels + i is sensor i with deltas[d], s = 0 ON, 1 OFF.
    """
    readings = readings.astype(np.int64)
    samples, count, taxels = readings.shape
    unit = max(steps - 1, 1)
    step = np.array(deltas)[:, None] * unit
    level = np.repeat(readings[:, None, 0], len(deltas), 1) * unit
    fired = np.zeros((samples, steps, len(deltas), 2, taxels), bool)
    for t in range(steps):
        place, part = divmod(t * (count - 1), unit)
        signal = readings[:, place] * (unit - part) + readings[:, min(place + 1, count - 1)] * part
        gap = signal[:, None] - level
        fired[:, t, :, 0], fired[:, t, :, 1] = gap >= step, gap <= -step
        level += step * (fired[:, t, :, 0].astype(np.int64) - fired[:, t, :, 1])
    return fired.reshape(samples, steps, -1)


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, n_steps and y of the file. Raises DataError where it is missing, damaged or of another form."""
    if not path.is_file():
        raise DataError(f"{path} does not exist: put it there ({SOURCE})")
    try:
        with np.load(path, allow_pickle=False) as file:
            x, n_steps, y = (file[name] for name in ("x", "n_steps", "y"))
    except KeyError as error:
        raise DataError(f"{path} lacks an array ({error.args[0]}); {REMEDY}") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged ({reason(error)}); {REMEDY}") from error
    kinds = [array.dtype.kind for array in (x, n_steps, y)]
    if x.ndim != 3 or x.shape[2] != TAXELS or x.dtype != np.uint8 or not set(kinds[1:]) <= {"i", "u"}:
        raise DataError(f"{path}: x of shape {x.shape} and type {x.dtype}: {SOURCE} are needed")
    if not len(x) or y.shape != x.shape[:1] or n_steps.shape != x.shape[:1]:
        raise DataError(f"{path}: {len(x)} samples with {n_steps.size} lengths and {y.size} labels; {REMEDY}")
    for name, values, low, high in (("y", y, 0, CLASSES - 1), ("n_steps", n_steps, 1, x.shape[1])):
        if (wrong := np.flatnonzero((values < low) | (values > high))).size:
            raise DataError(f"{path}: sample {wrong[0]} has {name} = {values[wrong[0]]}, {low} to {high} is possible; {REMEDY}")
    return x, n_steps, y.astype(np.int64)


def braille(steps: int, counts: tuple[int | None, int | None],
            progress: Callable[[str], None]) -> tuple[EventSplit, EventSplit]:
    """Training and test samples over ``steps`` time steps, as many of each as ``counts`` says (None: all of 1,080 and 270).

    Every fifth repetition of each letter is a test sample. Samples are ordered by repetition, then letter, so that the first ones
    are of all letters. ``progress`` is told nothing: this takes a second.

    Raises
    ------
    DataError : the file is missing, damaged or of another form. OptionError : there are not that many samples.
    """
    x, n_steps, y = read(data_folder() / FILE)
    by_class = np.argsort(y, kind="stable")
    repetition = np.empty(len(y), np.int64)
    repetition[by_class] = np.arange(len(y)) - np.searchsorted(y[by_class], y[by_class])
    fired = np.zeros((len(y), steps, INPUTS), bool)
    for length in np.unique(n_steps):
        same = n_steps == length
        fired[same] = crossings(x[same, :length], steps)
    splits = []
    for test in (False, True):
        order = np.lexsort((y, repetition))
        chosen = order[(repetition[order] % TEST_EVERY == TEST_EVERY - 1) == test]
        if not len(chosen):
            raise DataError(f"{data_folder() / FILE}: no letter has {TEST_EVERY} repetitions or more; {REMEDY}")
        splits.append(EventSplit.of_raster(fired[chosen], y[chosen]))
    return splits[0].first(counts[0], "samples"), splits[1].first(counts[1], "test samples")


BRAILLE = EventSet(INPUTS, CLASSES, braille)
