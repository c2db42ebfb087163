import gzip
import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.host import data, download
from coldspike.host.encode import encode, encode_steps
from coldspike.host.events import EventSet, EventSplit, with_levels
from coldspike.host.idx import read_idx
from coldspike.host.problems import DataError, OptionError


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (7, 28, 28), dtype=np.uint8)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=9), st.integers(4, 10))
def test_values_are_rounded_to_ticks_and_clamped(values, bits):
    expected = [round(min(max(x, 0.0), 1.0) * (1 << bits)) for x in values]
    assert encode(np.array([values]), bits).tolist() == [expected]


@pytest.mark.parametrize("bad, text", [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_value_that_is_no_number_names_its_sample(bad, text):
    values = np.zeros((4, 3))
    values[2, 1] = bad
    with pytest.raises(DataError, match=rf"^sample 2: input 1 is {text}; inputs must be finite numbers \(1 values are not\)$"):
        encode(values, 8)


def test_an_idx_file_is_read(tmp_path, images):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx_bytes(images)))
    assert np.array_equal(read_idx(path), images)


@pytest.mark.parametrize("spoil, message", [
    (lambda raw: gzip.compress(raw)[:-20], r"is truncated or damaged"),
    (lambda raw: raw, r"is truncated or damaged"),
    (lambda raw: gzip.compress(b"\0\0\x0d" + raw[3:]), r"is no idx file of unsigned bytes: it begins with 00000d03; "),
    (lambda raw: gzip.compress(b"PK" + raw), r"is no idx file"),
    (lambda raw: gzip.compress(b""), r"is no idx file"),
    (lambda raw: gzip.compress(raw[:9]), r"ends within its header; "),
    (lambda raw: gzip.compress(raw[:-1]), r"holds 5487 elements, its header announces shape \(7, 28, 28\); "),
    (lambda raw: gzip.compress(raw + b"\0"), r"holds 5489 elements, its header announces"),
])
def test_a_damaged_idx_file_is_refused(tmp_path, images, spoil, message):
    path = tmp_path / "images.gz"
    path.write_bytes(spoil(idx_bytes(images)))
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.gz does not exist; fetch the file again from its publisher$"):
        read_idx(tmp_path / "none.gz")


def test_digits_are_split_by_class(digits):
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.train.times.shape == (1437, 64) and digits.train.times.max() == 256
    assert set(np.bincount(digits.test.labels)) <= {34, 35, 36, 37}
    both = np.concatenate([digits.train.times, digits.test.times]).astype(int)
    from sklearn.datasets import load_digits
    images = load_digits().data
    assert sorted(map(tuple, both)) == sorted(map(tuple, (images * 16).astype(int)))


def test_fewer_samples_are_the_first_ones(digits):
    part = data.load("digits", 8, samples=10, test_samples=3)
    assert np.array_equal(part.train.times, digits.train.times[:10]) and len(part.test) == 3


@pytest.mark.parametrize("call, message", [
    (lambda: data.load("mnist", 8), r"^data set 'mnist' is unknown; choose one of: digits, fashion-mnist, nmnist, fsdd, "),
    (lambda: data.load("nmnist", 8), r"^data set nmnist has recordings over time: use --rule sparse-bptt, or --rule rate "
                                     r"--coding spikes$"),
    (lambda: data.load("digits", 8, samples=2000), r"^samples = 2000: this data set has 1 to 1437$"),
    (lambda: data.load("digits", 8, samples=0), r"^samples = 0: "),
    (lambda: data.load("digits", 8).check((784, 10)), r"^layers 784-10: digits needs 64 inputs and 10 outputs"),
])
def test_what_a_data_set_does_not_have_is_refused(call, message):
    with pytest.raises(OptionError, match=message):
        call()


@pytest.fixture
def fashion(tmp_path, monkeypatch, images):
    """A tiny data set in Fashion-MNIST's files, with its own checksums."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    checksums = {}
    for name in data.FASHION_FILES:
        array = images if "images" in name else np.arange(7, dtype=np.uint8)
        (folder / name).write_bytes(gzip.compress(idx_bytes(array), mtime=0))
        checksums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(data, "FASHION_FILES", checksums)
    monkeypatch.setenv(download.DATA_VARIABLE, str(tmp_path))
    return folder


def test_fashion_mnist_files_become_spike_times(fashion, images):
    found = data.load("fashion-mnist", 8)
    assert np.array_equal(found.train.times, np.rint(images.reshape(7, 784) / 255 * 256))
    assert found.test.labels.tolist() == list(range(7))


def test_an_altered_file_is_refused(fashion):
    path = fashion / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is not the publisher's file \(MD5 \w+, expected \w+\): "):
        data.load("fashion-mnist", 8)


def test_a_missing_file_in_the_named_folder_is_not_downloaded(fashion):
    (fashion / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"does not exist: put the file from http\S+ there, or unset COLDSPIKE_DATA"):
        data.load("fashion-mnist", 8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv(download.DATA_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source.gz"
    source.write_bytes(b"content")
    return source, tmp_path / "cache" / "coldspike" / "data"


def test_a_download_is_kept_when_its_checksum_is_right(cache):
    source, folder = cache
    path = download.fetch("set/file.gz", source.as_uri(), hashlib.md5(b"content").hexdigest())
    assert path == folder / "set" / "file.gz" and path.read_bytes() == b"content"
    source.unlink()
    assert download.fetch("set/file.gz", source.as_uri(), hashlib.md5(b"content").hexdigest()) == path


@pytest.mark.parametrize("spoil, message", [
    (lambda source: source.write_bytes(b"other"), r"^the download from file:\S+ is damaged \(MD5 \w+, expected \w+\): try again$"),
    (lambda source: source.unlink(), r"^file:\S+ cannot be downloaded \(.+\): fetch it by other means"),
])
def test_a_bad_download_leaves_nothing(cache, spoil, message):
    source, folder = cache
    spoil(source)
    with pytest.raises(DataError, match=message):
        download.fetch("set/file.gz", source.as_uri(), hashlib.md5(b"content").hexdigest())
    assert not list((folder / "set").iterdir())


def test_images_over_time_are_one_spike_of_each_bright_pixel_the_brighter_the_earlier():
    split = data.load("digits", 8, samples=5, test_samples=2, steps=100).train
    levels = data.load("digits", 4, samples=5, test_samples=2).train.times / 16
    assert len(split) == 5 and split.starts[-1] == len(split.events)
    for number, events in enumerate(split.take(np.arange(5))):
        step, index = events >> 16, events & 0xFFFF
        assert (np.diff(events.astype(np.int64)) > 0).all() and len(set(index.tolist())) == len(index)
        expected = {i: math.floor(20 * math.log(x / (x - 0.2))) for i, x in enumerate(levels[number]) if x > 0.2}
        assert dict(zip(index.tolist(), step.tolist(), strict=True)) == {i: t for i, t in expected.items() if t < 100}
    assert np.array_equal(split.first(2, "samples").events, split.events[:split.starts[2]])


def test_steps_of_extreme_values():
    assert encode_steps(np.array([0, 0.2, 0.2000001, 1.0, 0.5]), 100).tolist() == [100, 100, 100, 4, 10]
    assert encode_steps(np.array([0.9]), 5).tolist() == [0]


def test_levels_of_spikes_are_their_rates():
    """In ticks of which 16 are a spike in each of 5 steps: 9.6, 3.2 and 16; those of no spike are not sent."""
    spikes = np.array([0, 2, 7, *(t << 16 | i for t, i in ((1, 7), (2, 7), (3, 0), (3, 7), (4, 0), (4, 7)))], np.uint32)
    spike = 1 << 31
    assert with_levels(spikes, 5, 16).tolist() == [10 << 16, 2 | 3 << 16, 7 | 16 << 16, *(int(word) | spike for word in spikes)]
    assert with_levels(np.zeros(0, np.uint32), 5, 16).tolist() == []
    assert with_levels(np.array([0], np.uint32), 32, 16).tolist() == [0, spike], "a rate too small to be more than 0 is sent"


@pytest.fixture
def drawn():
    def load(seed=3, **more):
        return data.load("digits", 8, **{"samples": 1200, "test_samples": 300, "steps": 7, "drawn": seed} | more)
    return load


def test_images_are_drawn_as_spikes_with_their_pixels_as_probabilities(drawn, digits):
    for split, images in ((drawn().train, digits.train.times[:1200]), (drawn().test, digits.test.times[:300])):
        fired = split.raster(np.arange(len(split)), 7, 64)
        chance = images[:, None] / 256
        assert np.array_equal(split.labels, (digits.train if len(split) == 1200 else digits.test).labels[:len(split)])
        assert not fired[(images == 0)[:, None].repeat(7, 1)].any() and fired[(images == 256)[:, None].repeat(7, 1)].all()
        for level in np.unique(images):
            here = fired[(chance == level / 256).repeat(7, 1)]
            assert abs(here.mean() - level / 256) < 4 * np.sqrt(level / 256 * (1 - level / 256) / here.size) + 1e-9
        steps = fired.reshape(-1, 7, 64).mean((0, 2))
        assert steps.max() - steps.min() < 0.02, "each step alike"


def test_drawn_spikes_depend_on_seed_and_split_and_not_on_how_many_are_drawn(drawn, monkeypatch):
    whole, chosen = drawn(), np.arange(40)
    monkeypatch.setattr(data, "DRAWN_AT_ONCE", 7)
    part = drawn(samples=40, test_samples=40)
    for one, other in ((whole.train, part.train), (whole.test, part.test)):
        assert all(np.array_equal(a, b) for a, b in zip(one.take(chosen), other.take(chosen), strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(one.take(chosen), drawn(4).train.take(chosen), strict=True))
    images = data.Split(times=np.full((40, 64), 128, np.uint16), labels=np.zeros(40, int))
    monkeypatch.setitem(data.IMAGE_SETS, "digits",
                        lambda bits: data.DataSet(name="digits", inputs=64, classes=10, train=images, test=images))
    alike = drawn(samples=40, test_samples=40)
    assert not np.array_equal(alike.train.spikes.events, alike.test.spikes.events)


def test_drawn_samples_are_sent_with_their_levels(drawn):
    split = drawn().train
    for words, fired in zip(split.take(np.array([5, 1199])), split.raster(np.array([5, 1199]), 7, 64), strict=True):
        spikes = words[words >> 31 == 1] & 0x7FFFFFFF
        step, index = fired.nonzero()
        assert np.array_equal(spikes, step << 16 | index) and np.array_equal(words, with_levels(spikes, 7, 256))


def test_recordings_of_rule_rate_are_sent_with_their_levels(monkeypatch):
    spikes = EventSplit.of_raster(np.ones((2, 3, 4), bool), np.array([1, 0]))
    monkeypatch.setitem(data.EVENT_SETS, "fsdd", EventSet(4, 2, lambda steps, counts, progress: (spikes, spikes)))
    coded = data.load("fsdd", 8, steps=3, drawn=1)
    assert coded.train.take(np.array([1]))[0].tolist() == [i | 256 << 16 for i in range(4)] + [
        i | t << 16 | 1 << 31 for t in range(3) for i in range(4)]
    assert data.load("fsdd", 8, steps=3).train is spikes
