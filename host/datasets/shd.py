"""Spiking Heidelberg Digits: spoken digits as spikes of a cochlea model (Cramer et al. 2020, zenkelab.org/datasets, CC BY 4.0)."""

import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..download import data_folder
from ..events import EventSet, EventSplit, checked_count, words
from ..problems import DataError, OptionError, reason

__all__ = ["CHANNELS", "CLASSES", "SECONDS", "SHD", "shd"]

SOURCE = "zenkelab.org/datasets"
REMEDY = f"fetch the file again from {SOURCE}"
CHANNELS, CLASSES = 700, 20
SECONDS = 1.0
"""What of a recording is heard (500 steps of 2 ms, as by Perez-Nieves & Goodman); the longest last 1.37 s."""
CHUNK = 500  # samples read at once


def find(part: str) -> Path:
    """The file of a split, as published (.h5.gz) or unpacked."""
    folder = data_folder() / "shd"
    for name in (f"shd_{part}.h5", f"shd_{part}.h5.gz"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder / f'shd_{part}.h5.gz'} does not exist: put the file from {SOURCE} there")


def content(path: Path) -> Path | io.BytesIO:
    """What h5py opens. Raises DataError where it does not unpack."""
    if path.suffix != ".gz":
        return path
    try:
        return io.BytesIO(gzip.decompress(path.read_bytes()))
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); {REMEDY}") from error


def read(part: str, steps: int, count: int | None, what: str, progress: Callable[[str], None]) -> EventSplit:
    """One split, as of ``shd``."""
    try:
        import h5py  # HDF5 for this data set alone: an optional package
    except ImportError:
        raise OptionError("--data shd: its files need h5py; pip install 'coldspike[events]'") from None
    path, samples = find(part), []
    try:
        with h5py.File(content(path), "r") as file:
            times, units, labels = file["spikes/times"], file["spikes/units"], file["labels"][:].astype(np.int64)
            if not len(times) == len(units) == len(labels):
                raise DataError(f"{path}: times of {len(times)} samples, units of {len(units)} and {len(labels)} labels; {REMEDY}")
            number = checked_count(len(labels), count, what)
            for begin in range(0, number, CHUNK):
                progress(f"shd: {begin:,} of {number:,} {what} read")
                end = min(begin + CHUNK, number)
                for sample, (time, unit) in enumerate(zip(times[begin:end], units[begin:end]), start=begin):
                    samples.append(spikes(path, sample, time.astype(np.float64), unit.astype(np.int64), steps))
    except (KeyError, OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is truncated, damaged or no file of SHD ({reason(error)}); {REMEDY}") from error
    if (wrong := np.flatnonzero((labels < 0) | (labels >= CLASSES))).size:
        raise DataError(f"{path}: sample {wrong[0]} has label {labels[wrong[0]]}, 0 to {CLASSES - 1} is possible; {REMEDY}")
    return EventSplit.joined(samples, labels[:number])


def spikes(path: Path, sample: int, time: np.ndarray, unit: np.ndarray, steps: int) -> np.ndarray:
    """Words of one sample. Raises DataError for a spike that no channel sends, or at no time."""
    if len(time) != len(unit):
        raise DataError(f"{path}: sample {sample} has {len(time)} times and {len(unit)} units; {REMEDY}")
    good = (unit >= 0) & (unit < CHANNELS) & (time >= 0) & np.isfinite(time)
    if not good.all():
        wrong = int(np.argmin(good))
        raise DataError(f"{path}: sample {sample}, spike {wrong} is of unit {unit[wrong]} at {time[wrong]} s, "
                        f"units 0 to {CHANNELS - 1} and times from 0 are possible; {REMEDY}")
    kept = time < SECONDS
    return words(np.floor(time[kept] * (steps / SECONDS)).astype(np.int64), unit[kept])


def shd(steps: int, counts: tuple[int | None, int | None],
        progress: Callable[[str], None]) -> tuple[EventSplit, EventSplit]:
    """Training and test samples over ``steps`` time steps, as many of each as ``counts`` says (None: all of 8,156 and 2,264), in
    the publisher's order; ``progress`` is told how far it has come. A spike at time t falls into step floor(t T / 1 s); later ones
    are left out.

    Raises
    ------
    DataError : a file is missing or damaged. OptionError : h5py is missing, or there are not that many samples.
    """
    return (read("train", steps, counts[0], "samples", progress), read("test", steps, counts[1], "test samples", progress))


SHD = EventSet(CHANNELS, CLASSES, shd)
