import json
import os
from pathlib import Path

import numpy as np
import pytest

from coldspike.host import data, download
from coldspike.host.cli import main
from coldspike.host.datasets.nmnist import nmnist, read_events
from coldspike.host.problems import DataError, OptionError

REAL = Path(os.environ.get(download.DATA_VARIABLE, "nowhere")) / "nmnist-small"


def record(x: int, y: int, time: int, polarity: int = 0) -> bytes:
    return bytes([x, y]) + (polarity << 23 | time).to_bytes(3, "big")


def silent(text: str) -> None:
    pass


def load(steps: int, counts=(None, None), progress=silent):
    return nmnist(steps, counts, progress)


def spikes(split) -> list[list[tuple[int, int]]]:
    """(step, input) of each sample, in the order of the events."""
    return [[(int(word) >> 16, int(word) & 0xFFFF) for word in sample] for sample in split.take(np.arange(len(split)))]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(download.DATA_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def small(root):
    """Three training and two test recordings in the layout of nmnist-small."""
    folder = root / "nmnist-small"
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in (1, 2, 10, 60001, 60002):
        events = zip(random.integers(0, 34, 50), random.integers(0, 34, 50), np.sort(random.integers(0, 320_000, 50)),
                     random.integers(0, 2, 50), strict=True)
        (folder / f"{number}.bs2").write_bytes(b"".join(record(*map(int, e)) for e in events))
    (folder / "train1K.txt").write_bytes(b"#sample #class\r\n1\t5\r\n10\t0\r\n2\t9\r\n\r\n")
    (folder / "test100.txt").write_text("#sample #class\n60001\t7\n60002\t2\n")
    return folder


@pytest.fixture
def whole(root):
    """The publisher's layout; numbers go through all digits in MNIST's order."""
    for part, names in (("Train", {3: ("00001", "00004"), 0: ("00002",)}), ("Test", {9: ("00001",)})):
        for digit in range(10):
            folder = root / "nmnist" / part / str(digit)
            folder.mkdir(parents=True)
            for name in names.get(digit, ()):
                (folder / f"{name}.bin").write_bytes(record(digit, 1, int(name)))
    return root / "nmnist"


def slow_spikes(content: bytes, steps: int) -> list[tuple[int, int]]:
    """Of a recording, event by event."""
    out = set()
    for n in range(0, len(content), 5):
        x, y, time = content[n], content[n + 1], int.from_bytes(content[n + 2:n + 5], "big") % 2**23
        if time < 300_000:
            out.add((time * steps // 300_000, 34 * y + x))
    return sorted(out)


@pytest.mark.parametrize("steps", [1, 7, 300, 4096])
def test_recordings_become_the_spikes_that_a_plain_loop_finds(small, steps):
    train, test = load(steps)
    assert train.labels.tolist() == [5, 0, 9] and test.labels.tolist() == [7, 2]
    assert spikes(train) == [slow_spikes((small / f"{n}.bs2").read_bytes(), steps) for n in (1, 10, 2)]
    assert spikes(test) == [slow_spikes((small / f"{n}.bs2").read_bytes(), steps) for n in (60001, 60002)]
    assert train.events.dtype == np.uint32


def test_events_of_one_pixel_in_one_step_are_one_spike_of_either_polarity(small):
    (small / "1.bs2").write_bytes(record(3, 2, 10, 1) + record(3, 2, 999) + record(3, 2, 1000) + record(33, 33, 299_999) +
                                  record(0, 0, 300_000))
    assert spikes(load(300)[0])[0] == [(0, 71), (1, 71), (299, 1155)]


def test_times_beyond_23_bits_go_on_after_an_overflow_record(tmp_path):
    path = tmp_path / "1.bin"
    path.write_bytes(record(1, 1, 5) + record(0, 240, 0) + record(2, 0, 6) + record(0, 240, 0) + record(3, 0, 7))
    time, pixel = read_events(path)
    assert time.tolist() == [5, 6 + 8192, 7 + 2 * 8192] and pixel.tolist() == [35, 2, 3]


def test_the_publishers_folders_come_in_mnists_order_and_before_the_small_ones(whole, small):
    train, test = load(10)
    assert train.labels.tolist() == [3, 0, 3] and test.labels.tolist() == [9]
    assert [e[0][1] for e in spikes(train)] == [34 + 3, 34, 34 + 3]
    assert load(10, (1, None))[0].labels.tolist() == [3]


def test_only_the_recordings_asked_for_are_read_and_progress_is_told(small):
    (small / "2.bs2").unlink()
    told = []
    train, test = load(20, (2, 1), told.append)
    assert (len(train), len(test)) == (2, 1) and told == ["nmnist: 0 of 2 samples read", "nmnist: 0 of 1 test samples read"]


@pytest.mark.parametrize("spoil, message", [
    (lambda f: (f / "2.bs2").unlink(), r"2\.bs2 cannot be read: No such file or directory; fetch the recordings again"),
    (lambda f: (f / "2.bs2").write_bytes(b"1234567"), r"2\.bs2 is truncated: it holds 7 bytes, 5 for each event are needed; fetch"),
    (lambda f: (f / "2.bs2").write_bytes(b""), r"2\.bs2 is truncated: it holds 0 bytes"),
    (lambda f: (f / "2.bs2").write_bytes(record(1, 2, 3) + record(34, 33, 4)), r"2\.bs2: event 1 at x = 34, y = 33 is outside"),
    (lambda f: (f / "2.bs2").write_bytes(record(0, 34, 0)), r"event 0 at x = 0, y = 34 is outside the sensor of 34 x 34 pixels"),
    (lambda f: (f / "test100.txt").unlink(), r"test100\.txt cannot be read \(.*No such file"),
    (lambda f: (f / "test100.txt").write_text("#sample #class\n60001 17\n"), r"test100\.txt, line 2: '60001 17' is no recording's"),
    (lambda f: (f / "test100.txt").write_bytes(b"\xff\xfe"), r"test100\.txt cannot be read \("),
    (lambda f: (f / "train1K.txt").write_text("#sample #class\n"), r"nmnist-small: train1K\.txt has no recordings; fetch"),
])
def test_damaged_recordings_are_refused_by_name(small, spoil, message):
    spoil(small)
    with pytest.raises(DataError, match=message) as error:
        load(10)
    assert "\n" not in str(error.value)


def test_a_missing_folder_says_what_goes_there(root):
    with pytest.raises(DataError, match=r"/nmnist does not exist: put the folders Train and Test from www\.garrick\S+ there"):
        load(10)
    (root / "nmnist" / "Train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"/nmnist: Train has no recordings; "):
        load(10)


def test_more_samples_than_there_are_is_refused(small):
    with pytest.raises(OptionError, match=r"^test samples = 3: this data set has 1 to 2$"):
        load(10, (None, 3))


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{download.DATA_VARIABLE} has no nmnist-small")
def test_real_recordings(monkeypatch):
    found = data.load("nmnist", 8, samples=25, test_samples=5, steps=300)
    assert found.train.labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]  # as MNIST begins
    assert spikes(found.train) == [slow_spikes((REAL / f"{n}.bs2").read_bytes(), 300) for n in range(1, 26)]
    assert 2000 < len(found.train.events) / 25 < 7000


def test_recordings_are_trained_on(small, tmp_path, capsys):
    arguments = "train --rule sparse-bptt --data nmnist --device golden --layers 1156-5-10 --timesteps 20 --epochs 1 --lanes 4 " \
                "--batch-size 2 --no-plot --json --out"
    assert main([*arguments.split(), str(tmp_path / "run")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["samples_trained"] == 3
    assert summary["events_per_sample"][0] == pytest.approx(len(load(20)[0].events) / 3)
