"""Data sets by name: images (digits, embedded in scikit-learn, and Fashion-MNIST) as spike times, levels or spikes over time, and
recordings over time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .datasets.braille import BRAILLE
from .datasets.fsdd import FSDD
from .datasets.nmnist import NMNIST
from .datasets.shd import SHD
from .download import fetch
from .encode import encode, encode_steps
from .events import CodedSplit, EventSplit, checked_count
from .idx import read_idx
from .problems import DataError, OptionError

__all__ = ["DATA_SETS", "EVENT_SETS", "DataSet", "Split", "load", "shuffled"]

FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_FILES = {  # MD5 as published at github.com/zalandoresearch/fashion-mnist
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
DIGITS_TEST = 360  # of 1,797: every fifth image, as its users usually split it
IMAGE_BITS = 12   # of a pixel, on its way to a time step
DIGITS_SEED = 0    # the split is a fact of the data set here, not of a run
CODING = 2          # joins a run's seed: its data order and feedback weights are drawn with others
DRAWN_AT_ONCE = 1000  # images: bounds memory


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples of one kind.

    Members
    -------
    times : (samples, inputs) uint16, ticks before the window's end, or of rule rate levels in ticks; 0 is silent.
    labels : (samples,) int64.
    """

    times: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None, what: str) -> "Split":
        """The first ``count`` samples (None: all). Raises OptionError where there are fewer."""
        count = checked_count(len(self), count, what)
        return Split(times=self.times[:count], labels=self.labels[:count])

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """Times of some samples."""
        return self.times[chosen]

    def too_long(self, entries: int) -> None:
        """As of ``EventSplit``: these have no spikes over time."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A classification task.

    Members
    -------
    name : as on the command line.
    inputs, classes : neurons that a network for it has at both ends.
    train, test : the samples.
    """

    name: str
    inputs: int
    classes: int
    train: Split | EventSplit | CodedSplit
    test: Split | EventSplit | CodedSplit

    def check(self, layers: tuple[int, ...]) -> None:
        """Raises OptionError unless a network with ``layers`` has this data set's inputs and classes."""
        if (layers[0], layers[-1]) != (self.inputs, self.classes):
            text = "-".join(map(str, layers))
            raise OptionError(f"layers {text}: {self.name} needs {self.inputs} inputs and {self.classes} outputs, "
                              f"such as {self.inputs}-128-{self.classes}")

    def check_room(self, entries: int) -> None:
        """Raises OptionError for a sample over time that a build with so many ``spike_entries`` cannot take in."""
        for what, split in (("training", self.train), ("test", self.test)):
            if found := split.too_long(entries):
                number, words = found
                raise OptionError(f"--spike-entries {entries}: {what} sample {number} of {self.name} alone has {words}; use more")


def shuffled(count: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Sample indices of each batch of an epoch, counted from 0: the same for every device. The last may be smaller."""
    order = np.random.RandomState([seed, epoch]).permutation(count)
    return [order[begin:begin + batch_size] for begin in range(0, count, batch_size)]


def load(name: str, time_bits: int, samples: int | None = None, test_samples: int | None = None, steps: int | None = None,
         progress: Callable[[str], None] = lambda text: None, *, drawn: int | None = None) -> DataSet:
    """The data set ``name``, encoded for windows of 2**time_bits ticks, or as spikes over ``steps`` time steps; the first samples
    of each split if so asked. ``progress`` is told how far it has come.

    ``drawn`` is for rule rate, whose spikes have levels with them: the seed with which images become spikes, in each step with a
    pixel's probability. Without it an image is one spike of each bright pixel.

    Raises
    ------
    OptionError : no such data set, not that many samples, or recordings over time without ``steps``.
    DataError : its files are missing or damaged.
    """
    if name not in DATA_SETS:
        raise OptionError(f"data set {name!r} is unknown; choose one of: {', '.join(DATA_SETS)}")
    if name in EVENT_SETS:
        if steps is None:
            raise OptionError(f"data set {name} has recordings over time: use --rule sparse-bptt, or --rule rate --coding spikes")
        data = EVENT_SETS[name]
        splits = data.read(steps, (samples, test_samples), progress)
    else:
        data = IMAGE_SETS[name](time_bits if steps is None or drawn is not None else IMAGE_BITS)
        splits = data.train.first(samples, "samples"), data.test.first(test_samples, "test samples")
        if drawn is not None:
            splits = [by_chance(split, steps, 1 << time_bits, [drawn, CODING, part]) for part, split in enumerate(splits)]
        elif steps is not None:
            splits = [over_time(split, steps) for split in splits]
    if drawn is not None:
        splits = [CodedSplit(spikes=split, steps=steps, window=1 << time_bits) for split in splits]
    return DataSet(name=name, inputs=data.inputs, classes=data.classes, train=splits[0], test=splits[1])


def by_chance(split: Split, steps: int, window: int, seed: list[int]) -> EventSplit:
    """Images as spikes in each step, a pixel's level their probability; a sample's are the same however many samples there are."""
    random, parts = np.random.RandomState(seed), []
    for begin in range(0, len(split), DRAWN_AT_ONCE):
        chance = split.times[begin:begin + DRAWN_AT_ONCE, None] / window
        fired = random.random_sample((len(chance), steps, chance.shape[2])) < chance
        parts.append(EventSplit.of_raster(fired, split.labels[begin:begin + DRAWN_AT_ONCE]))
    return EventSplit.joined([events for part in parts for events in part.take(np.arange(len(part)))], split.labels)


def over_time(split: Split, steps: int) -> EventSplit:
    """Images as one spike of each bright pixel."""
    table = encode_steps(np.arange((1 << IMAGE_BITS) + 1) / (1 << IMAGE_BITS), steps)
    sample, index = np.nonzero((table < steps)[split.times])
    # Sorted as numbers, samples follow each other and the lower halves are their events in order.
    ordered = np.sort(sample << 32 | table[split.times[sample, index]] << 16 | index)
    counts = np.bincount(sample, minlength=len(split))
    return EventSplit(events=ordered.astype(np.uint32), starts=np.concatenate([[0], counts.cumsum()]), labels=split.labels)


def encode_levels(levels: np.ndarray, maximum: int, time_bits: int) -> np.ndarray:
    """``encode(levels / maximum)`` for integer levels, by a table: images without a float copy of them."""
    table = encode(np.arange(maximum + 1)[None] / maximum, time_bits)[0]
    return table[levels.reshape(len(levels), -1)]


def digits(time_bits: int) -> DataSet:
    """1,437 + 360 handwritten digits of 8x8 pixels with 17 levels; the test set has each class's share."""
    from sklearn.datasets import load_digits  # takes a second to import: only when used

    images, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(DIGITS_SEED).permutation(len(labels))
    # Stratified without a library's version in it: order by class, then every fifth image (rounded to the count).
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), bool)
    chosen[by_class[np.arange(DIGITS_TEST) * len(labels) // DIGITS_TEST]] = True
    times, labels = encode_levels(images.astype(np.uint8), 16, time_bits), labels.astype(np.int64)
    train, test = order[~chosen[order]], order[chosen[order]]
    return DataSet(name="digits", inputs=64, classes=10, train=Split(times=times[train], labels=labels[train]),
                   test=Split(times=times[test], labels=labels[test]))


def fashion_mnist(time_bits: int) -> DataSet:
    """60,000 + 10,000 images of clothing, 28x28 pixels with 256 levels, in the publisher's order."""
    arrays = {name: read_idx(fetch(f"fashion-mnist/{name}", FASHION_URL + name, checksum))
              for name, checksum in FASHION_FILES.items()}
    splits = {}
    for part in ("train", "t10k"):
        images, labels = arrays[f"{part}-images-idx3-ubyte.gz"], arrays[f"{part}-labels-idx1-ubyte.gz"]
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or (labels.size and labels.max() > 9):
            raise DataError(f"fashion-mnist: images of shape {images.shape} and labels of shape {labels.shape} do not "
                            "belong together; fetch the files again from their publisher")
        splits[part] = Split(times=encode_levels(images, 255, time_bits), labels=labels.astype(np.int64))
    return DataSet(name="fashion-mnist", inputs=784, classes=10, train=splits["train"], test=splits["t10k"])


IMAGE_SETS = {"digits": digits, "fashion-mnist": fashion_mnist}
EVENT_SETS = {"nmnist": NMNIST, "fsdd": FSDD, "braille": BRAILLE, "shd": SHD}
DATA_SETS = (*IMAGE_SETS, *EVENT_SETS)
