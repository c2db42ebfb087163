import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from coldspike.host import data, download
from coldspike.host.datasets.braille import DELTAS, FILE, INPUTS, braille, crossings
from coldspike.host.problems import DataError, OptionError

REAL = Path(os.environ.get(download.DATA_VARIABLE, "nowhere")) / FILE


def load(steps, counts=(None, None)):
    return braille(steps, counts, lambda text: None)


def slow_crossings(readings, steps: int, deltas) -> list[tuple[int, int]]:
    """Of one recording [R][taxels], with exact fractions: (step, input) ascending."""
    out, taxels = [], len(readings[0])
    for d, delta in enumerate(deltas):
        for i in range(taxels):
            level = Fraction(int(readings[0][i]))
            for t in range(steps):
                place = Fraction(t * (len(readings) - 1), max(steps - 1, 1))
                before, after = int(readings[int(place)][i]), int(readings[min(int(place) + 1, len(readings) - 1)][i])
                signal = before + (after - before) * (place - int(place))
                for side, sign in enumerate((1, -1)):
                    if sign * (signal - level) >= delta:
                        out.append((t, (2 * d + side) * taxels + i))
                        level += sign * delta
                        break
    return sorted(out)


@pytest.mark.parametrize("steps", [1, 2, 13, 40])
def test_crossings_are_those_of_a_plain_loop(steps):
    random = np.random.default_rng(3)
    readings = random.integers(0, 256, (3, 9, 5), dtype=np.uint8)
    readings[1] = np.clip(128 + random.integers(-3, 4, (9, 5)).cumsum(0), 0, 255)
    fired = crossings(readings, steps, (1, 4, 50))
    assert fired.shape == (3, steps, 30)
    for sample in range(3):
        found = list(map(tuple, np.argwhere(fired[sample]).tolist()))
        assert found == slow_crossings(readings[sample], steps, (1, 4, 50))


def test_a_ramp_sends_one_event_a_delta_and_a_jump_a_burst():
    ramp = np.arange(10, dtype=np.uint8)[None, :, None]
    assert crossings(ramp, 10, (3,))[0].nonzero()[0].tolist() == [3, 6, 9] and not crossings(ramp, 10, (3,))[..., 1].any()
    jump = np.array([9, 0, 0, 0, 0], np.uint8)[None, :, None]
    assert crossings(jump, 5, (3,))[0].nonzero() == (pytest.approx([1, 2, 3]), pytest.approx([1, 1, 1]))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Three letters with ten repetitions, mixed, in the file's form; ``write`` may change arrays."""
    monkeypatch.setenv(download.DATA_VARIABLE, str(tmp_path))
    random = np.random.default_rng(4)
    y = random.permutation(np.repeat([0, 4, 26], 10))
    arrays = {"x": random.integers(0, 256, (30, 8, 12), dtype=np.uint8), "n_steps": random.integers(5, 9, 30), "y": y}
    path = tmp_path / FILE
    path.parent.mkdir()

    def write(leave=(), **changed):
        np.savez_compressed(path, **{name: array for name, array in (arrays | changed).items() if name not in leave})
        return path, arrays
    write()
    return write


def test_every_fifth_repetition_of_a_letter_is_for_the_test(file):
    x, n_steps, y = file()[1].values()
    train, test = load(11)
    assert train.labels.tolist() == [0, 4, 26] * 8 and test.labels.tolist() == [0, 4, 26] * 2
    expected = {label: [slow_crossings(x[n][:n_steps[n]], 11, DELTAS) for n in np.flatnonzero(y == label)] for label in (0, 4, 26)}
    for split, chosen in ((train, [0, 1, 2, 3, 5, 6, 7, 8]), (test, [4, 9])):
        found = [[(int(w) >> 16, int(w) & 0xFFFF) for w in words] for words in split.take(np.arange(len(split)))]
        assert found == [expected[label][n] for n in chosen for label in (0, 4, 26)]


def test_the_first_samples_can_be_asked_for(file):
    train, test = load(5, (4, 2))
    assert train.labels.tolist() == [0, 4, 26, 0] and len(test) == 2
    assert np.array_equal(train.events, load(5)[0].first(4, "").events)
    with pytest.raises(OptionError, match=r"^samples = 25: this data set has 1 to 24$"):
        load(5, (25, None))


@pytest.mark.parametrize("changed, message", [
    ({"leave": ["n_steps"]}, r"taxel_u8\.npz lacks an array \(.*n_steps.*\); put the whole file there"),
    ({"x": np.zeros((30, 8, 11), np.uint8)}, r"x of shape \(30, 8, 11\) and type uint8: readings of zenodo\.org/\S+ .* needed"),
    ({"x": np.zeros((30, 8, 12))}, r"x of shape \(30, 8, 12\) and type float64"),
    ({"y": np.zeros(29, int)}, r"30 samples with 30 lengths and 29 labels"),
    ({"y": np.full(30, 27)}, r"sample 0 has y = 27, 0 to 26 is possible"),
    ({"n_steps": np.array([9] + [8] * 29)}, r"sample 0 has n_steps = 9, 1 to 8 is possible"),
    ({"n_steps": np.zeros(30, int)}, r"sample 0 has n_steps = 0"),
    ({"y": np.arange(30) % 27}, r"no letter has 5 repetitions or more"),
    ({"y": np.array([{}] * 30)}, r"is truncated or damaged \(Object arrays cannot be loaded"),
])
def test_files_of_another_form_are_refused_by_name(file, changed, message):
    file(**changed)
    with pytest.raises(DataError, match=message) as error:
        load(5)
    assert "\n" not in str(error.value) and "zenodo.org/records/6556273" in str(error.value)


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-50], lambda raw: b"", lambda raw: b"text",
                                   lambda raw: raw[:200] + b"\0" * 40 + raw[240:]])
def test_damaged_files_are_refused_by_name(file, spoil):
    path = file()[0]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=r"taxel_u8\.npz is truncated or damaged \(.*\); put the whole file there"):
        load(5)


def test_a_missing_file_says_what_goes_there(file):
    file()[0].unlink()
    with pytest.raises(DataError, match=r"taxel_u8\.npz does not exist: put it there \(readings of zenodo\.org/\S+ as arrays x"):
        load(5)


@pytest.mark.skipif(not REAL.is_file(), reason=f"{download.DATA_VARIABLE} has no {FILE}")
def test_real_readings():
    found = data.load("braille", 8, steps=60)
    assert (len(found.train), len(found.test), found.inputs, found.classes) == (1080, 270, INPUTS, 27)
    assert set(np.bincount(found.train.labels)) == {40} and set(np.bincount(found.test.labels)) == {10}
    assert (np.diff(found.train.starts) > 0).all()
    again = data.load("braille", 8, steps=60, test_samples=30)
    assert np.array_equal(again.test.events, found.test.events[:found.test.starts[30]])
