import cmath
import math
import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from coldspike.host import data, download
from coldspike.host.datasets import fsdd as module
from coldspike.host.datasets.fsdd import BANDS, INPUTS, THRESHOLDS, ear, filter_bank, fsdd, levels
from coldspike.host.problems import DataError, OptionError

REAL = Path(os.environ.get(download.DATA_VARIABLE, "nowhere")) / "fsdd" / "recordings"


def load(steps, counts=(None, None), progress=lambda text: None):
    return fsdd(steps, counts, progress)


def write_wav(path: Path, samples, channels=1, rate=8000, width=2) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setframerate(rate)
        file.setsampwidth(width)
        file.writeframes(b"".join(struct.pack("<h", int(s)) for s in samples))


def tone(frequency: float, count: int, loud: float = 8000) -> np.ndarray:
    return np.rint(loud * np.sin(2 * np.pi * frequency / 8000 * np.arange(count))).astype(np.int16)


def slow_levels(sound, steps: int) -> list[list[int]]:
    """By the definition of a discrete Fourier transform, line by line."""
    lowest, highest = (2595 * math.log10(1 + f / 700) for f in (100, 4000))
    edges = [700 * (10 ** ((lowest + (highest - lowest) * n / (BANDS + 1)) / 2595) - 1) for n in range(BANDS + 2)]
    power = []
    for t in range(steps):
        first = (2 * t + 1) * 6400 // (2 * steps) - 128
        frame = [float(sound[n]) if 0 <= n < min(len(sound), 6400) else 0.0 for n in range(first, first + 256)]
        frame = [x * (0.5 - 0.5 * math.cos(2 * math.pi * n / 255)) for n, x in enumerate(frame)]
        lines = [abs(sum(x * cmath.exp(-2j * math.pi * k * n / 256) for n, x in enumerate(frame))) ** 2 for k in range(129)]
        row = []
        for b in range(BANDS):
            low, centre, high = min(edges[b], edges[b + 1] - 31.25), edges[b + 1], max(edges[b + 2], edges[b + 1] + 31.25)
            row.append(sum(p * max(0.0, min((k * 31.25 - low) / (centre - low), (high - k * 31.25) / (high - centre)))
                           for k, p in enumerate(lines)))
        power.append(row)
    most = max(map(max, power))
    return [[round(255 * min(1.0, max(0.0, 1 + 10 * math.log10(max(p / most, 1e-12)) / 50))) for p in row] for row in power]


def slow_ear(level) -> list[tuple[int, int]]:
    """Neuron by neuron."""
    out = []
    for d, threshold in enumerate(THRESHOLDS):
        for b in range(len(level[0])):
            potential = 0
            for t, row in enumerate(level):
                potential += int(row[b]) - potential // 8
                if potential >= threshold:
                    potential -= threshold
                    out.append((t, d * len(level[0]) + b))
    return sorted(out)


@pytest.mark.parametrize("count, steps", [(700, 6), (6400, 2), (9000, 3), (3300, 1)])
def test_levels_are_those_of_a_plain_loop(count, steps):
    sound = np.random.default_rng(count).integers(-9000, 9000, count).astype(np.int16)
    assert levels(sound, steps).tolist() == slow_levels(sound, steps)


def test_a_tone_is_loudest_in_its_band_while_it_lasts():
    found = levels(tone(1000, 3200), 40)
    centre = filter_bank()[:, 32].argmax()  # 1000 Hz is line 32
    assert (found[2:18].argmax(1) == centre).all() and found[2:18].max() == 255 and not found[22:].any()
    quiet = levels(tone(1000, 3200, loud=500), 40)
    assert np.abs(quiet - found)[found > 150].max() < 3  # how loud a recording is does not matter
    assert not levels(np.zeros(99, np.int16), 7).any()


def test_every_band_hears_something():
    bank = filter_bank()
    assert bank.shape == (BANDS, 129) and (bank.max(1) > 0.3).all() and (bank[:, 4:] > 0).any(0)[:-1].all()


def test_spikes_are_those_of_a_plain_loop():
    level = np.random.default_rng(5).integers(0, 256, (3, 30, BANDS))
    fired = ear(level)
    assert fired.shape == (3, 30, INPUTS)
    for sample in range(3):
        assert list(map(tuple, np.argwhere(fired[sample]).tolist())) == slow_ear(level[sample])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two digits, two speakers, indices 3, 4, 5 and 10."""
    monkeypatch.setenv(download.DATA_VARIABLE, str(tmp_path))
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for n, (digit, speaker, index) in enumerate((d, s, i) for d in (9, 1) for s in ("zoe", "adam") for i in (10, 5, 4, 3)):
        write_wav(folder / f"{digit}_{speaker}_{index}.wav", tone(200 + 100 * n, 1000 + 300 * n))
    return folder


def test_recordings_0_to_4_are_for_the_test(folder, monkeypatch):
    train, test = load(20)
    assert train.labels.tolist() == test.labels.tolist() == [1, 1, 9, 9, 1, 1, 9, 9]
    for split, indices in ((train, (5, 10)), (test, (3, 4))):
        names = [f"{digit}_{speaker}_{index}.wav" for index in indices for digit in (1, 9) for speaker in ("adam", "zoe")]
        for name, words in zip(names, split.take(np.arange(8)), strict=True):
            with wave.open(str(folder / name)) as file:
                sound = np.frombuffer(file.readframes(99999), np.int16)
            assert [(int(w) >> 16, int(w) & 0xFFFF) for w in words] == slow_ear(levels(sound, 20).tolist())
    monkeypatch.setattr(module, "CHUNK", 3)  # does not change what is heard
    again, told = load(20), []
    assert np.array_equal(again[0].events, train.events) and np.array_equal(again[0].starts, train.starts)
    assert len(load(20, (4, 1), told.append)[0]) == 4
    assert told == ["fsdd: 0 of 4 samples heard", "fsdd: 3 of 4 samples heard", "fsdd: 0 of 1 test samples heard"]


def test_more_samples_than_there_are_is_refused(folder):
    with pytest.raises(OptionError, match=r"^samples = 9: this data set has 1 to 8$"):
        load(5, (9, None))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("spoil, message", [
    (truncated, r"1_zoe_5\.wav is truncated: it announces \d+ samples and holds \d+; fetch the recordings again from github"),
    (lambda p: p.write_bytes(b""), r"1_zoe_5\.wav is truncated or no WAV file \(EOFError\)"),
    (lambda p: p.write_bytes(b"text" * 20), r"1_zoe_5\.wav is truncated or no WAV file \(file does not start with RIFF id\)"),
    (lambda p: write_wav(p, [1, 2, 3, 4], channels=2), r"1_zoe_5\.wav has 2 channels of 8000 Hz and 16 bits, 1 of 8000 Hz and"),
    (lambda p: write_wav(p, [1, 2], rate=16000), r"1_zoe_5\.wav has 1 channels of 16000 Hz and 16 bits"),
    (lambda p: write_wav(p, [1, 2], width=1), r"1_zoe_5\.wav has 1 channels of 8000 Hz and 8 bits"),
    (lambda p: write_wav(p, []), r"1_zoe_5\.wav is truncated: it announces 0 samples"),
    (lambda p: p.rename(p.with_name("one.wav")), r"one\.wav: files are named DIGIT_SPEAKER_INDEX\.wav; take this one away, or "),
    (lambda p: [q.unlink() for q in p.parent.glob("*_[34].wav")], r"recordings has no recording of index 0 to 4: put all"),
    (lambda p: [q.unlink() for q in p.parent.glob("*_*[50].wav")], r"recordings has no recording of index 5 or more"),
    (lambda p: [*(q.unlink() for q in p.parent.glob("*")), p.parent.rmdir()], r"/recordings does not exist: put the folder"),
])
def test_damaged_recordings_are_refused_by_name(folder, spoil, message):
    spoil(folder / "1_zoe_5.wav")
    with pytest.raises(DataError, match=message) as error:
        load(5)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{download.DATA_VARIABLE} has no fsdd")
def test_real_recordings():
    found = data.load("fsdd", 8, samples=120, test_samples=60, steps=50)
    assert found.train.labels.tolist() == [*np.repeat(np.arange(10), 6)] * 2 and set(np.bincount(found.test.labels)) == {6}
    assert (np.diff(found.train.starts) > 50).all() and 100 < len(found.train.events) / 120 < 1000
