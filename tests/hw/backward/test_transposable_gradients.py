"""TransposableGradients against clamped Python sums: rows and columns as close as they may be, counts, columns read and written."""

import random

import pytest

from coldspike.hw.backward.transposable_gradients import TransposableGradients
from coldspike.spec.config import CoreConfig

from ..cycles import play

ADD, READ = TransposableGradients.ADD_LATENCY, TransposableGradients.READ_LATENCY
AGAIN = 5
"""Cycles from a word to the next one with an element of it."""

WRITTEN = 7
"""Cycles from a word to its sum in the memory, and to its count of saturated lanes."""

EFFECT = 3
"""Cycles from a write to a read of it."""


class Stimulus:
    """Inputs of each cycle, and what is to be seen of a memory whose elements are ``sums`` [tile][row][column].

    Members
    -------
    contributions, counts, reads : by cycle. when : for each element its last accumulation, (cycle, whether in a row). kinds : such
        pairs of successive accumulations of an element as close as they may be.
    """

    def __init__(self, config, rng):
        self.config, self.rng, self.lanes, self.tiles = config, rng, config.lanes, config.weight_tiles
        self.sums = [[[0] * self.lanes for _ in range(self.lanes)] for _ in range(self.tiles)]
        self.cycles, self.contributions, self.counts, self.reads, self.when, self.kinds = [], {}, {}, {}, {}, set()

    def elements(self, tile, index, row):
        return [(tile, index, k) if row else (tile, k, index) for k in range(self.lanes)]

    def word(self):
        return self.rng.randrange(self.tiles), self.rng.randrange(self.lanes), self.rng.randrange(2)

    def cycle(self, **inputs):
        """What no enable belongs to is noise."""
        q, noise = self.config.gradient, {}
        for port in ("add", "r", "w"):
            tile, index, row = self.word()
            noise[f"{port}_word"] = {"tile": tile} | ({"index": index, "row": row} if port == "add" else {"column": index})
        noise["w_data"] = [self.rng.choice((q.min, q.max)) for _ in range(self.lanes)]
        self.cycles.append(noise | inputs)

    def idle(self, cycles):
        for _ in range(cycles):
            self.cycle()

    def may_add(self, word):
        return all(len(self.cycles) >= self.when[element][0] + AGAIN for element in self.elements(*word) if element in self.when)

    def add(self, word, change):
        n, q, places = len(self.cycles), self.config.gradient, self.elements(*word)
        self.contributions[n + ADD], self.counts[n + WRITTEN] = change, 0
        for place, amount in zip(places, change, strict=True):
            tile, row, column = place
            if self.when.get(place, [n])[0] == n - AGAIN:
                self.kinds.add((self.when[place][1], word[2]))
            total = self.sums[tile][row][column] + amount
            self.sums[tile][row][column] = q.clamp(total)
            self.counts[n + WRITTEN] += q.clamp(total) != total
        self.when |= dict.fromkeys(places, (n, word[2]))
        self.cycle(add_en=1, add_word={"tile": word[0], "index": word[1], "row": word[2]})

    def read(self, tile, column):
        """Inputs of a read of what is in the memory."""
        self.reads[len(self.cycles) + READ] = [row[column] for row in self.sums[tile]]
        return {"r_en": 1, "r_word": {"tile": tile, "column": column}}

    def write(self, tile, column, data):
        for row, element in zip(self.sums[tile], data, strict=True):
            row[column] = element
        return {"w_en": 1, "w_word": {"tile": tile, "column": column}, "w_data": data}

    def run(self):
        """Sums that are read, until the next accumulation, and counts in every cycle."""
        reach = 1 << self.config.error_bits + 16
        for n, inputs in enumerate(self.cycles):
            inputs["contribution"] = self.contributions.get(n, [self.rng.choice((-reach, reach - 1)) for _ in range(self.lanes)])
        trace = play(TransposableGradients(self.config), self.cycles, ["saturated", "r_data"], rest=WRITTEN)
        shown = None
        for n, seen in enumerate(trace):
            assert seen["saturated"] == self.counts.get(n, 0), n
            shown = self.reads.get(n, None if n < len(self.cycles) and "add_en" in self.cycles[n] else shown)
            assert shown is None or seen["r_data"] == shown, n


def build(lanes, tiles, **options):
    return CoreConfig(lanes=lanes, weight_tiles=tiles, gradient_words=tiles * lanes, rules="sparse-bptt", max_neurons=4, **options)


@pytest.mark.parametrize("lanes, tiles, gradient_bits", [(2, 5, 16), (4, 3, 24), (8, 2, 16), (4, 1, 32), (2, 1, 24)])
def test_random_accumulations(lanes, tiles, gradient_bits):
    """Bursts of rows, of columns or of both, each word as soon as it may come; then reads and writes of columns without a pause."""
    rng = random.Random(lanes * tiles + gradient_bits)
    config = build(lanes, tiles, gradient_bits=gradient_bits, error_bits=9, error_fraction=5, time_bits=4)
    s, q, reach = Stimulus(config, rng), config.gradient, 1 << 25
    for kind in (0, 1, 2, 1, 0, 2):
        recent = []
        for _ in range(30):
            word = rng.choice([*recent[-AGAIN:], s.word()])
            word = (*word[:2], rng.randrange(2) if kind == 2 else kind)
            change = [rng.choice((-reach, reach - 1, rng.randrange(-200, 200), rng.randrange(-(1 << 14), 1 << 14)))
                      for _ in range(lanes)]
            while not s.may_add(word):
                s.cycle()
            s.add(word, change)
            recent.append(word)
        s.idle(WRITTEN - 1)
        columns = [(tile, column) for tile in range(tiles) for column in range(lanes)]
        for place in rng.sample(columns, len(columns)):
            s.cycle(**s.read(*place))
            s.idle(rng.choice((0, 0, 1)))
        written, whole = {}, list(columns)
        rng.shuffle(whole)
        for place in whole:
            data = [rng.choice((q.min, q.max, 0, rng.randint(q.min, q.max))) for _ in range(lanes)]
            old = [each for each in columns if len(s.cycles) >= written.get(each, -EFFECT) + EFFECT and each != place]
            written[place] = len(s.cycles)
            reading = s.read(*rng.choice(old)) if old and rng.random() < 0.8 else {}
            s.cycle(**reading, **s.write(*place, data))
        if kind != 1:  # else accumulations follow a write at once
            s.idle(EFFECT - 1)
            for place in columns:
                s.cycle(**s.read(*place))
    s.run()
    assert s.kinds == {(a, b) for a in (0, 1) for b in (0, 1)}
    assert gradient_bits == 32 or max(s.counts.values()) > lanes // 2


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_each_element_of_rows_and_columns(lanes):
    """Element k of row r is element r of column k."""
    s, tiles = Stimulus(build(lanes, 2), random.Random(lanes)), 2
    for tile in range(tiles):
        for row in range(lanes):
            s.add((tile, row, 1), [1 + k + lanes * row + lanes**2 * tile for k in range(lanes)])
    s.idle(WRITTEN - 1)
    for tile in range(tiles):
        for column in range(lanes):
            s.cycle(**s.read(tile, column))
            assert s.reads[len(s.cycles) - 1 + READ] == [1 + column + lanes * row + lanes**2 * tile for row in range(lanes)]
    for tile in range(tiles):
        for column in range(lanes):
            s.add((tile, column, 0), [-1 - column - lanes * row - lanes**2 * tile for row in range(lanes)])
    s.idle(WRITTEN - 1)
    for tile in range(tiles):
        for column in range(lanes):
            s.cycle(**s.read(tile, column))
            assert not any(s.reads[len(s.cycles) - 1 + READ])
    s.run()


def test_counts_of_saturated_lanes():
    """From none to all of them, at both ends, in successive cycles; the limits themselves do not saturate."""
    lanes = 4
    s = Stimulus(build(lanes, 3, gradient_bits=20, error_bits=8, error_fraction=5), random.Random(1))
    high, low = s.config.gradient.max, s.config.gradient.min
    for row in (0, 1):
        for index in range(lanes):
            s.add((row, index, row), [high if k < index else low for k in range(lanes)])
    s.idle(AGAIN)
    for row in (0, 1):
        for index, change in enumerate(([-1, -1, -1, -1], [1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 1, -1])):
            s.add((row, index, row), change)
    assert [s.counts[n] for n in sorted(s.counts)] == [0] * 2 * lanes + [4, 3, 0, 2] * 2
    s.idle(AGAIN)
    for row in (0, 1):
        s.add((2, 3, row), [high] * lanes)
        s.idle(AGAIN - 1)
    assert s.counts[max(s.counts)] == 1
    s.idle(WRITTEN)
    for tile in range(3):
        for column in range(lanes):
            s.cycle(**s.read(tile, column))
    s.run()


def test_a_write_takes_effect_three_cycles_later():
    s, data = Stimulus(build(4, 2), random.Random(2)), [5, -6, 7, -8]
    before = s.read(1, 2)
    s.cycle(**before)
    s.cycle(**s.write(1, 2, data))
    s.idle(EFFECT - 1)
    s.cycle(**s.read(1, 2))
    assert s.reads == {READ: [0] * 4, 1 + EFFECT + READ: data}
    s.run()
