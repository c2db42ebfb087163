"""Free Spoken Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0): speech as spikes of a simple ear."""

import functools
import re
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..download import data_folder
from ..events import EventSet, EventSplit, checked_count
from ..problems import DataError, reason

__all__ = ["BANDS", "FSDD", "INPUTS", "RATE", "SECONDS", "ear", "filter_bank", "fsdd", "levels"]

SOURCE = "github.com/Jakobovski/free-spoken-digit-dataset"
REMEDY = f"fetch the recordings again from {SOURCE}"
NAME = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
TEST_INDICES = 5  # the publisher's split: of each speaker and digit, recordings 0 to 4 are for the test

RATE = 8000          # samples a second
SECONDS = 0.8        # what of a recording is heard: 97 % of them end before; shorter ones end in silence
WINDOW = 256         # samples whose spectrum is taken at each step, 32 ms
BANDS = 64
LOWEST = 100.0       # Hz, where the bands begin; they end at half the rate
RANGE = 50.0         # dB below the loudest band of the recording that still count
LEVEL_BITS = 8
THRESHOLDS = (300, 900)  # of a band's two neurons: a sensitive one, and one that only loud sounds drive
LEAK = 3                 # a neuron loses 2^-LEAK of its potential in a step
INPUTS = BANDS * len(THRESHOLDS)
CHUNK = 300  # recordings in memory at once


@functools.cache
def filter_bank() -> np.ndarray:
    """(BANDS, WINDOW / 2 + 1) triangular filters of a power spectrum, evenly spaced in mel (2595 log10(1 + f / 700)), each with its
    neighbours' centres as its ends, which lie one line of the spectrum away at least."""
    mel = 2595 * np.log10(1 + np.array([LOWEST, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(*mel, BANDS + 2) / 2595) - 1)
    lines = np.arange(WINDOW // 2 + 1) * (RATE / WINDOW)
    centre, wide = edges[1:-1, None], RATE / WINDOW
    low, high = np.minimum(edges[:-2, None], centre - wide), np.maximum(edges[2:, None], centre + wide)
    return np.clip(np.minimum((lines - low) / (centre - low), (high - lines) / (high - centre)), 0, None)


def levels(sound: np.ndarray, steps: int) -> np.ndarray:
    """Loudness of each band at each step.

    Step t looks at the WINDOW samples (Hann) around the middle of its T-th part of SECONDS; a band's power in dB counts from RANGE
    below the loudest of the recording. Rounded to integers, so that all that follows is exact.

    Parameters
    ----------
    sound : (samples,) 16-bit values at RATE.

    Returns
    -------
    (T, BANDS) int64, 0 to 2^LEVEL_BITS - 1.
    """
    length = round(RATE * SECONDS)
    heard = np.zeros(length + 2 * WINDOW)
    kept = sound[:length]
    heard[WINDOW:WINDOW + len(kept)] = kept
    begin = WINDOW - WINDOW // 2 + (2 * np.arange(steps) + 1) * length // (2 * steps)
    frames = heard[begin[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2 @ filter_bank().T
    most = power.max()
    if most == 0:
        return np.zeros(power.shape, np.int64)
    loud = 10 * np.log10(np.maximum(power / most, 1e-12))
    return np.rint(np.clip(1 + loud / RANGE, 0, 1) * ((1 << LEVEL_BITS) - 1)).astype(np.int64)


def ear(level: np.ndarray) -> np.ndarray:
    """Spikes of leaky integrate-and-fire neurons, for each band one of each threshold, driven by its levels; a spike takes
    the threshold off the potential.

    Parameters
    ----------
    level : (samples, T, BANDS) integers.

    Returns
    -------
    bool (samples, T, INPUTS); input d BANDS + b is band b with THRESHOLDS[d].
    """
    samples, steps, bands = level.shape
    threshold = np.array(THRESHOLDS)[:, None]
    potential = np.zeros((samples, len(THRESHOLDS), bands), np.int64)
    fired = np.zeros((samples, steps, len(THRESHOLDS), bands), bool)
    for t in range(steps):
        potential += level[:, t, None] - (potential >> LEAK)
        fired[:, t] = potential >= threshold
        potential -= fired[:, t] * threshold
    return fired.reshape(samples, steps, -1)


def sound(path: Path) -> np.ndarray:
    """A recording as int16. Raises DataError unless it is a whole WAV file of one channel, 8 kHz and 16 bits."""
    try:
        with wave.open(str(path)) as file:
            form = file.getnchannels(), file.getframerate(), 8 * file.getsampwidth()
            announced, content = file.getnframes(), file.readframes(file.getnframes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (wave.Error, EOFError) as error:
        raise DataError(f"{path} is truncated or no WAV file ({reason(error)}); {REMEDY}") from error
    if form != (1, RATE, 16):
        raise DataError(f"{path} has {form[0]} channels of {form[1]} Hz and {form[2]} bits, 1 of {RATE} Hz and 16 bits is needed; "
                        f"{REMEDY}")
    if not announced or len(content) != 2 * announced:
        raise DataError(f"{path} is truncated: it announces {announced} samples and holds {len(content) // 2}; {REMEDY}")
    return np.frombuffer(content, "<i2")


def recordings() -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
    """Files and digits of both splits, by index, then digit, then speaker. Raises DataError where there are none."""
    folder = data_folder() / "fsdd" / "recordings"
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist: put the folder recordings from {SOURCE} there")
    found = []
    for path in folder.glob("*.wav"):
        if not (parts := NAME.fullmatch(path.name)):
            raise DataError(f"{path}: files are named DIGIT_SPEAKER_INDEX.wav; take this one away, or {REMEDY}")
        found.append((int(parts[3]), int(parts[1]), parts[2], path))
    found.sort()
    test = [(path, digit) for index, digit, _, path in found if index < TEST_INDICES]
    train = [(path, digit) for index, digit, _, path in found if index >= TEST_INDICES]
    for split, which in ((train, f"{TEST_INDICES} or more"), (test, f"0 to {TEST_INDICES - 1}")):
        if not split:
            raise DataError(f"{folder} has no recording of index {which}: put all recordings from {SOURCE} there")
    return train, test


def fsdd(steps: int, counts: tuple[int | None, int | None],
         progress: Callable[[str], None]) -> tuple[EventSplit, EventSplit]:
    """Training and test samples over ``steps`` time steps, as many of each as ``counts`` says (None: all of 2,700 and 300);
    ``progress`` is told how far it has come.

    Test samples are recordings 0 to 4 of each speaker and digit, as the publisher says. Samples are ordered by index, then digit,
    then speaker, so that the first ones are of all digits.

    Raises
    ------
    DataError : files are missing or damaged. OptionError : there are not that many samples.
    """
    splits = []
    for files, count, what in zip(recordings(), counts, ("samples", "test samples")):
        files = files[:checked_count(len(files), count, what)]
        parts = []
        for begin in range(0, len(files), CHUNK):
            progress(f"fsdd: {begin:,} of {len(files):,} {what} heard")
            level = np.stack([levels(sound(path), steps) for path, _ in files[begin:begin + CHUNK]])
            parts += EventSplit.of_raster(ear(level), np.zeros(len(level))).take(np.arange(len(level)))
        splits.append(EventSplit.joined(parts, np.array([digit for _, digit in files])))
    return splits[0], splits[1]


FSDD = EventSet(INPUTS, 10, fsdd)
