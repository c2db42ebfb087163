"""TransportPath against docs/numerics.md, "Transport": what is written where and when, in every format and way of choosing."""

import random

import pytest

from coldspike.hw.transport.path import TransportPath
from coldspike.spec.config import CoreConfig
from coldspike.spec.random import xorshift_step
from coldspike.spec.transport import LayerTransport, Precision, Values

from ...model.oracle_transport import TransportOracle
from ..cycles import play, read_port
from .test_histogram import found

LATENCY, CHOICE_LATENCY = 4, 9
"""Cycles from a word to its write; where single weights are chosen."""
BIN_LATENCY = 6
OFFSET = 5
OUTPUTS = ["feedback_en", "feedback_addr", "feedback_data", "read", "moved", "signed", "busy", "w_en"]


class Path:
    """A path with its memories; ``run`` sends words through and says what each of them gave."""

    def __init__(self, rng, gap=0.0, scale=0, **build):
        self.config = CoreConfig(max_layers=2, gradient_words=1024, feedback_words=1024, weight_tiles=1024, **build)
        self.rng, self.gap, self.lanes, self.partial = rng, gap, self.config.lanes, self.config.partial_transport
        self.oracle = TransportOracle()
        self.oracle.c, self.oracle.schemes, self.scale = self.config, {2: LayerTransport(scale=scale)}, scale
        self.states = [rng.getrandbits(32) | 1 for _ in range(self.lanes)]

    def words(self, count):
        """Weights of all sizes and stored feedback weights, often close to each other; the last block of a column is not full."""
        weight, stored, rng = self.config.weight, self.config.feedback, self.rng
        out = []
        for n in range(count):
            w = [rng.choice((weight.min, weight.max, -1, 0, 1, rng.randint(weight.min, weight.max))) for _ in range(self.lanes)]
            near = [min(stored.max, max(stored.min, self.oracle.code(x) + rng.randint(-1, 1))) for x in w]
            b = [rng.choice((stored.min, stored.max, 0, x, rng.randint(stored.min, stored.max))) for x in near]
            out.append((w, b, rng.randint(1, self.lanes) if n % 3 == 2 else self.lanes))
        return out

    def change(self, w, b):
        return abs(w - self.oracle.decode(2, b))

    def bins(self, words):
        return [[self.oracle.bin(self.change(*pair)) for pair in zip(w, b)] for w, b, _ in words]

    def chosen(self, words, mode, select):
        """For each word the lanes that are chosen; the generators' states go on."""
        present = [range(count) for *_, count in words]
        if mode is Values.ALL:
            return [set(lanes) for lanes in present]
        if mode is Values.TOP_K:
            order = sorted((-bin, n, k) for n, row in enumerate(self.bins(words)) for k, bin in enumerate(row) if k in present[n])
            return [{k for _, m, k in order[:select] if m == n} for n in range(len(words))]
        out = []
        for w, b, count in words:
            take = [x >> 8 < select if mode is Values.RANDOM else
                    self.change(*pair) << (22 - self.config.weight_fraction) > select * self.oracle.neglog(x)
                    for x, *pair in zip(self.states, w, b)]
            out.append({k for k in range(count) if take[k]})
            self.states = [xorshift_step(x) for x in self.states]
        return out

    def run(self, words, values, signs, mode=Values.ALL, select=0):
        """Asserts what is written and counted; top-K goes through the words twice, as the controller does."""
        stable = {"values": values, "signs": signs, "scale": self.scale, "offset": OFFSET}
        late, cycles, place, held = CHOICE_LATENCY if self.partial else LATENCY, [], {}, {}
        if self.partial:
            stable |= {"mode": mode, "select": select}
            cycles = [{"random_load": 1}, {"random_in": self.states}]
        top_k = bool(values) and mode is Values.TOP_K
        for counting in (1, 0) if top_k else (0,):
            if not counting and top_k:
                bins = [bin for row, (*_, count) in zip(self.bins(words), words) for bin in row[:count]]
                held = dict(zip(("limit", "remaining"), found(bins, select), strict=True))
                cycles += [{"counting": 1}] * late + [held | {"start": 1}]
            for n, (*_, lanes) in enumerate(words):
                idle = held | ({"counting": counting} if self.partial else {}) | {"lanes": self.rng.randint(0, self.lanes)}
                while self.rng.random() < self.gap:
                    cycles.append(dict(idle))
                place[len(cycles)] = n
                word = {"address": OFFSET + n, "tile": n, "column": n % self.lanes, "layer": 1}
                cycles.append(idle | {"en": 1, "word": word, "lanes": lanes})
        cycles += [held] * late
        dut = TransportPath(self.config)
        outputs = OUTPUTS + (["bin_en", "bin_present", "bin", "random_state"] if self.partial else [])

        def weights(tile, index):
            assert index == tile % self.lanes
            return words[tile][0]
        trace = play(dut, cycles, outputs, stable=stable, rest=1, background=[
            read_port(dut.w_en, [dut.w_tile, dut.w_index], dut.w_data, weights, latency=3),
            read_port(dut.back_en, dut.back_addr, dut.back_data, lambda address: words[address][1])])

        chosen = self.chosen(words, mode, select) if values else [set()] * len(words)
        for n, (seen, inputs) in enumerate(zip(trace, cycles)):
            assert (seen["w_en"], seen["read"]) == ((1, inputs["lanes"]) if n in place else (0, 0))
            assert seen["busy"] == any(m in place for m in range(n - late, n + 1))
            if self.partial:
                counted = n - BIN_LATENCY in place and cycles[n - BIN_LATENCY]["counting"]
                assert seen["bin_en"] == counted
                if counted:
                    _, _, lanes = words[word := place[n - BIN_LATENCY]]
                    assert (seen["bin"], seen["bin_present"]) == (self.bins(words)[word], (1 << lanes) - 1)
            due = (0, 0, 0)
            if n - late in place and not cycles[n - late].get("counting"):
                w, b, lanes = words[word := place[n - late]]
                mine = chosen[word]
                due = (bool(signs or mine), len(mine), lanes - len(mine) if signs else 0)
                if due[0]:
                    rest = [self.oracle.signed(y, x) if signs else y for x, y in zip(w, b)]
                    expected = [self.oracle.code(x) if k in mine else rest[k] for k, x in enumerate(w)]
                    assert seen["feedback_addr"] == word
                    assert [int(x) for x in seen["feedback_data"][:lanes]] == expected[:lanes]
            assert (seen["feedback_en"], seen["moved"], seen["signed"]) == due
        if self.partial:
            assert trace[-1]["random_state"] == self.states


FORMATS = [(Precision.FULL, 16, 12), (Precision.FULL, 18, 17), (Precision.EIGHT, 16, 12), (Precision.EIGHT, 9, 6),
           (Precision.FOUR, 16, 12), (Precision.FOUR, 18, 17), (Precision.FOUR, 5, 4)]
SIGN = [(Precision.SIGN, 16, 12), (Precision.SIGN, 4, 2)]


def build(precision, bits, fraction, **options):
    return {"feedback_precision": precision, "weight_bits": bits, "weight_fraction": fraction, **options}


@pytest.mark.parametrize("values, signs", [(1, 0), (1, 1), (0, 1)])
@pytest.mark.parametrize("precision, bits, fraction", FORMATS + SIGN)
def test_whole_layers(precision, bits, fraction, values, signs):
    rng = random.Random(bits)
    path = Path(rng, gap=rng.choice((0, 0.3)), scale=7, lanes=rng.choice((2, 4)), **build(precision, bits, fraction))
    path.run(path.words(25), values, signs)


@pytest.mark.parametrize("values", [0, 1])
@pytest.mark.parametrize("precision, bits, fraction", [(Precision.FOUR, 7, 5), (Precision.FULL, 5, 3), (Precision.SIGN, 6, 2)])
def test_every_pair_of_weights(precision, bits, fraction, values):
    path = Path(random.Random(bits), lanes=8, **build(precision, bits, fraction))
    weight, stored = path.config.weight, path.config.feedback
    pairs = [(w, b) for w in range(weight.min, weight.max + 1) for b in range(stored.min, stored.max + 1)]
    words = [(*map(list, zip(*pairs[n:n + 8])), 8) for n in range(0, len(pairs), 8)]
    path.run(words, values, not values)


SCHEMES = [(Values.ALL, 0), (Values.TOP_K, 0), (Values.TOP_K, 1), (Values.TOP_K, 29), (Values.TOP_K, 10**6),
           (Values.RANDOM, 1 << 23), (Values.RANDOM, 0), (Values.CHANGE, 2000), (Values.CHANGE, 0)]


@pytest.mark.parametrize("values, signs", [(1, 0), (1, 1)])
@pytest.mark.parametrize("mode, select", SCHEMES)
def test_chosen_weights(mode, select, values, signs):
    rng = random.Random(select)
    path = Path(rng, gap=rng.choice((0, 0.3)), lanes=rng.choice((2, 4, 8)), partial_transport=True, **build(*rng.choice(FORMATS)))
    path.run(path.words(14), values, signs, mode, select)


@pytest.mark.parametrize("precision, bits, fraction", FORMATS)
def test_changes_of_every_format(precision, bits, fraction):
    """The K largest and the likely ones, of |W - B| in the weight format."""
    path = Path(random.Random(fraction), lanes=4, partial_transport=True, **build(precision, bits, fraction))
    path.run(path.words(20), 1, 0, Values.TOP_K, 33)
    path.run(path.words(20), 1, 1, Values.CHANGE, 300)


@pytest.mark.parametrize("mode", [Values.NONE, Values.ALL, Values.TOP_K, Values.RANDOM, Values.CHANGE])
def test_signs_alone_leave_the_generators_as_they_are(mode):
    path = Path(random.Random(mode), gap=0.2, lanes=4, partial_transport=True, **build(*FORMATS[0]))
    path.run(path.words(12), 0, 1, mode, 1 << 24)
