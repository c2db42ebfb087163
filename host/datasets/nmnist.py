"""N-MNIST: written digits before a moving event camera (Orchard et al. 2015, garrickorchard.com/datasets/n-mnist, CC BY-SA 4.0)."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..download import data_folder
from ..events import EventSet, EventSplit, checked_count, words
from ..problems import DataError

__all__ = ["MICROSECONDS", "NMNIST", "SIDE", "nmnist", "read_events"]

SOURCE = "www.garrickorchard.com/datasets/n-mnist"
REMEDY = f"fetch the recordings again from {SOURCE}"
SIDE, CLASSES = 34, 10
MICROSECONDS = 300_000
"""Three eye movements of 100 ms each; what the camera sent later (2 % of its events) is left out, as by Perez-Nieves & Goodman."""
OVERFLOW_Y, OVERFLOW = 240, 1 << 13  # a record with this y is no event: from it on times are that much later
LISTS = ("train1K.txt", "test100.txt")


def read_events(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in microseconds and pixels 34 y + x of a recording, in its order; both polarities alike.

    The format: 5 bytes an event, x, y, then big-endian 1 bit of polarity and 23 bits of time.

    Raises
    ------
    DataError : the file is missing, truncated, or has an event outside the sensor.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {REMEDY}") from error
    if len(content) % 5 or not len(content):
        raise DataError(f"{path} is truncated: it holds {len(content)} bytes, 5 for each event are needed; {REMEDY}")
    x, y, *time = content.reshape(-1, 5).T.astype(np.int64)
    time = (time[0] & 127) << 16 | time[1] << 8 | time[2]
    late = y == OVERFLOW_Y
    if late.any():
        time += late.cumsum() * OVERFLOW
        x, y, time = x[~late], y[~late], time[~late]
    if (wrong := np.flatnonzero((x >= SIDE) | (y >= SIDE))).size:
        raise DataError(f"{path}: event {wrong[0]} at x = {x[wrong[0]]}, y = {y[wrong[0]]} is outside the sensor of "
                        f"{SIDE} x {SIDE} pixels; {REMEDY}")
    return time, SIDE * y + x


def listed(path: Path) -> list[tuple[Path, int]]:
    """Recordings and labels of a list: a line of titles, then lines of a recording's number and its digit."""
    try:
        lines = path.read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); {REMEDY}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if not (parts := re.fullmatch(r"\s*(\d+)\s+(\d)\s*", line)):
            raise DataError(f"{path}, line {number}: {line.strip()[:40]!r} is no recording's number and digit; {REMEDY}")
        found.append((path.parent / f"{parts[1]}.bs2", int(parts[2])))
    return found


def published(folder: Path) -> list[tuple[Path, int]]:
    """Recordings and labels of the publisher's folder Train or Test: 0/ to 9/ with files NUMBER.bin, in the order of the numbers,
    which is MNIST's."""
    found = [(path, digit) for digit in range(CLASSES) for path in (folder / str(digit)).glob("*.bin")]
    return sorted(found, key=lambda each: each[0].name)


def recordings() -> list[list[tuple[Path, int]]]:
    """Of both splits. Raises DataError where neither folder is there, or a split is empty."""
    whole, small = data_folder() / "nmnist", data_folder() / "nmnist-small"
    if whole.is_dir():
        splits = [published(whole / part) for part in ("Train", "Test")]
    elif small.is_dir():
        splits = [listed(small / name) for name in LISTS]
    else:
        raise DataError(f"{whole} does not exist: put the folders Train and Test from {SOURCE} there, unpacked")
    for name, split in zip(("Train", "Test") if whole.is_dir() else LISTS, splits):
        if not split:
            raise DataError(f"{whole if whole.is_dir() else small}: {name} has no recordings; {REMEDY}")
    return splits


def nmnist(steps: int, counts: tuple[int | None, int | None],
           progress: Callable[[str], None]) -> tuple[EventSplit, EventSplit]:
    """Training and test samples over ``steps`` time steps, as many of each as ``counts`` says (None: all); ``progress`` is told how
    far it has come.

    60,000 and 10,000 of the publisher's folder ``nmnist``, else 1,000 and 100 of ``nmnist-small``; in MNIST's order. Time t of the
    recording's 300 ms falls into step floor(t T / 300 ms).

    Raises
    ------
    DataError : files are missing or damaged. OptionError : there are not that many samples.
    """
    splits = []
    for files, count, what in zip(recordings(), counts, ("samples", "test samples")):
        files = files[:checked_count(len(files), count, what)]
        samples = []
        for number, (path, _) in enumerate(files):
            if number % 500 == 0:
                progress(f"nmnist: {number:,} of {len(files):,} {what} read")
            time, pixel = read_events(path)
            kept = time < MICROSECONDS
            samples.append(words(time[kept] * steps // MICROSECONDS, pixel[kept]))
        splits.append(EventSplit.joined(samples, np.array([digit for _, digit in files])))
    return splits[0], splits[1]


NMNIST = EventSet(SIDE * SIDE, CLASSES, nmnist)
