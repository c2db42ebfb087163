import builtins
import gzip
import io
import math

import numpy as np
import pytest

from coldspike.host import download
from coldspike.host.datasets.shd import shd
from coldspike.host.problems import DataError, OptionError

h5py = pytest.importorskip("h5py")


def shd_bytes(times, units, labels, leave=(), group=False) -> bytes:
    """A file as the publishers': spikes of differing number as HDF5's variable-length arrays of half and 16-bit numbers."""
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        for name, values, kind in (("spikes/times", times, np.float16), ("spikes/units", units, np.uint16)):
            if name not in leave:
                held = h5.create_dataset(name, (len(values),), h5py.vlen_dtype(kind))
                for n, value in enumerate(values):
                    held[n] = np.asarray(value, kind)
        if "labels" not in leave:
            h5["labels"] = np.asarray(labels, np.uint16)
        if group:
            del h5["spikes/times"]
            h5["spikes/times/0"] = 1.0
        h5["extra/keys"] = np.array([b"zero", b"one"])
    return file.getvalue()


@pytest.fixture
def recordings():
    random = np.random.default_rng(2)
    counts = (40, 0, 7)
    return ([np.sort(random.uniform(0, 1.37, n)).astype(np.float16) for n in counts], [random.integers(0, 700, n) for n in counts],
            [19, 0, 4])


@pytest.fixture
def folder(tmp_path, monkeypatch, recordings):
    folder = tmp_path / "shd"
    folder.mkdir()
    (folder / "shd_train.h5.gz").write_bytes(gzip.compress(shd_bytes(*recordings)))
    (folder / "shd_test.h5").write_bytes(shd_bytes(*(part[:2] for part in recordings)))
    monkeypatch.setenv(download.DATA_VARIABLE, str(tmp_path))
    return folder


def load(steps, counts=(None, None)):
    return shd(steps, counts, lambda text: None)


@pytest.mark.parametrize("steps", [1, 9, 500])
def test_files_become_the_spikes_that_a_plain_loop_finds(folder, recordings, steps):
    train, test = load(steps)
    assert train.labels.tolist() == [19, 0, 4] and test.labels.tolist() == [19, 0]
    for time, unit, found in zip(*recordings[:2], train.take(np.arange(3)), strict=True):
        expected = {math.floor(float(t) * steps) << 16 | int(u) for t, u in zip(time, unit, strict=True) if float(t) < 1}
        assert found.tolist() == sorted(expected)
    assert load(steps, (1, 2))[0].labels.tolist() == [19]


def test_more_samples_than_there_are_is_refused(folder):
    with pytest.raises(OptionError, match=r"^samples = 4: this data set has 1 to 3$"):
        load(10, (4, None))


@pytest.mark.parametrize("content, message", [
    (lambda raw, f: raw[:len(raw) // 2], r"shd_test\.h5 is truncated, damaged or no file of SHD \(.+\); fetch"),
    (lambda raw, f: b"", r"shd_test\.h5 is truncated, damaged or no file of SHD"),
    (lambda raw, f: shd_bytes([[0.5]], [[1]], [1], leave=["spikes/units"]), r"shd_test\.h5 is .* no file of SHD \(.*units"),
    (lambda raw, f: shd_bytes([[0.5]], [[1]], [1], group=True), r"shd_test\.h5 is .* no file of SHD \("),
    (lambda raw, f: shd_bytes([[0.5]], [[1]], [1], leave=["labels"]), r"shd_test\.h5 is .* no file of SHD \(.*labels"),
    (lambda raw, f: shd_bytes([[0.5], [0.6]], [[1]], [1, 2]), r"shd_test\.h5: times of 2 samples, units of 1 and 2 labels; fetch"),
    (lambda raw, f: shd_bytes([[0.5]], [[1]], [20]), r"shd_test\.h5: sample 0 has label 20, 0 to 19 is possible; fetch"),
    (lambda raw, f: shd_bytes([[], [0.5, 0.25]], [[], [1, 700]], [1, 1]), r"sample 1, spike 1 is of unit 700 at 0\.25 s, units"),
    (lambda raw, f: shd_bytes([[-0.5]], [[1]], [1]), r"sample 0, spike 0 is of unit 1 at -0\.5 s, .* times from 0 are possible"),
    (lambda raw, f: shd_bytes([[np.nan]], [[1]], [1]), r"sample 0, spike 0 is of unit 1 at nan s"),
    (lambda raw, f: shd_bytes([[0.5, 0.6]], [[1]], [1]), r"sample 0 has 2 times and 1 units; fetch"),
])
def test_damaged_files_are_refused_by_name(folder, content, message):
    path = folder / "shd_test.h5"
    path.write_bytes(content(path.read_bytes(), folder))
    with pytest.raises(DataError, match=message) as error:
        load(10)
    assert "\n" not in str(error.value)


def test_a_damaged_packed_file_is_refused_by_name(folder):
    path = folder / "shd_train.h5.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"shd_train\.h5\.gz is truncated or damaged \(.+\); fetch the file again"):
        load(10)


def test_a_missing_file_says_what_goes_there(folder):
    (folder / "shd_test.h5").unlink()
    with pytest.raises(DataError, match=r"/shd/shd_test\.h5\.gz does not exist: put the file from zenkelab\.org/datasets there$"):
        load(10)


def test_a_missing_library_is_one_line_with_the_remedy(folder, monkeypatch):
    usual = builtins.__import__

    def without(name, *more):
        if name == "h5py":
            raise ImportError(name)
        return usual(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"^--data shd: its files need h5py; pip install 'coldspike\[events\]'$"):
        load(10)
