"""WeightChoice against docs/numerics.md, "Transport": bins, ties, random and change-weighted choice, generators."""

import random

import pytest

from coldspike.hw.transport.choice import WeightChoice
from coldspike.spec.config import CoreConfig
from coldspike.spec.random import xorshift_step
from coldspike.spec.transport import CHANGE_BITS, Values

from ...model.oracle_transport import TransportOracle
from ..cycles import play
from .test_histogram import found

LATENCY = WeightChoice.LATENCY
LARGEST = (1 << CHANGE_BITS) - 1
BIN, NEGLOG = TransportOracle.bin, TransportOracle.neglog


def play_words(dut, lanes, words, rng, *, gap, **stable):
    """Offers words (changes by lane, lanes present, counting or not), with gaps. A dict in place of a word: all are through,
    and a pass begins with this ``limit`` and ``remaining``.

    Returns for each word (chosen, (bin_en, bin_present, bins), generators' states that it sees), and the states at the end.
    """
    cycles, places, held = [], [], {}
    for word in words:
        while rng.random() < gap:
            change = [rng.getrandbits(CHANGE_BITS) for _ in range(lanes)]
            cycles.append(held | {"present": rng.getrandbits(lanes), "change": change})
        if isinstance(word, dict):
            cycles += [held] * LATENCY
            held = {"limit": word["limit"]}
            cycles.append(word | {"start": 1})
        else:
            places.append(len(cycles))
            cycles.append(held | {"en": 1, "change": word[0], "present": word[1], "counting": word[2]})
    outputs = ["chosen", "bin_en", "bin_present", "bin", "random_state"]
    trace = play(dut, cycles + [held] * LATENCY, outputs, stable=stable, rest=1)
    assert [n - 1 for n, t in enumerate(trace) if t["bin_en"]] == [n for n in places if cycles[n]["counting"]]
    return [(trace[n + LATENCY]["chosen"], tuple(trace[n + 1][name] for name in outputs[1:4]), trace[n]["random_state"])
            for n in places], trace[-1]["random_state"]


def mask(flags):
    return sum(flag << k for k, flag in enumerate(flags))


def words_of(rng, lanes, count, changes):
    """Words whose changes are drawn from ``changes``; some lanes are not there."""
    return [([rng.choice(changes) for _ in range(lanes)], (1 << rng.choice([lanes] * 2 + [rng.randint(1, lanes)])) - 1, 0)
            for _ in range(count)]


def test_every_bin():
    """Changes on both sides of every bin's border, and the largest."""
    changes = sorted({LARGEST, *range(64), *(n for c in range(8, 16) for p in range(15) for n in ((c << p) - 1, c << p))})
    changes += [0] * (-len(changes) % 4)
    words = [(changes[n:n + 4], 15, 1) for n in range(0, len(changes), 4)]
    shown, _ = play_words(WeightChoice(CoreConfig(lanes=4)), 4, words, random.Random(0), gap=0)
    assert [bins for _, bins, _ in shown] == [(1, 15, [BIN(c) for c in word[0]]) for word in words]


@pytest.mark.parametrize("lanes, changes, gap", [
    (2, [5, 6, 7], 0), (4, [900, 901], 0), (4, [0, 3, LARGEST], 0.3), (8, range(40), 0), (8, [1 << n for n in range(18)], 0.3)])
def test_largest(lanes, changes, gap):
    """Of ties the first ones, over the borders of words; exactly K are chosen, or all."""
    rng = random.Random(lanes)
    words = words_of(rng, lanes, 11, changes)
    values = [(BIN(c), n, k) for n, (word, present, _) in enumerate(words) for k, c in enumerate(word) if present >> k & 1]
    order = sorted(values, key=lambda value: (-value[0], *value[1:]))
    bins, counts = [bin for bin, *_ in values], [0, 1, 2, lanes, lanes + 1, len(values) - 1, len(values), len(values) + 7]
    passes = [[dict(zip(("limit", "remaining"), found(bins, count), strict=True)), *words] for count in (*counts, *counts[::-1])]
    counted = [(word, present, 1) for word, present, _ in words]
    shown, _ = play_words(WeightChoice(CoreConfig(lanes=lanes)), lanes, [*counted, *sum(passes, [])], rng, gap=gap,
                          mode=Values.TOP_K)
    assert [bins[1:] for _, bins, _ in shown[:len(words)]] == [(present, [BIN(c) for c in word]) for word, present, _ in words]
    for n, count in enumerate((*counts, *counts[::-1]), start=1):
        chosen = {(word, k) for _, word, k in order[:count]}
        assert len(chosen) == min(count, len(values))
        expected = [mask((word, k) in chosen for k in range(lanes)) for word in range(len(words))]
        assert [now for now, *_ in shown[n * len(words):(n + 1) * len(words)]] == expected, count


@pytest.mark.parametrize("mode, chosen", [(Values.NONE, 0), (Values.ALL, 255), (5, 0), (6, 0), (7, 0)])
def test_all_or_nothing(mode, chosen):
    rng = random.Random(mode)
    words = words_of(rng, 8, 20, range(LARGEST))
    shown, states = play_words(WeightChoice(CoreConfig(lanes=8)), 8, words, rng, gap=0.2, mode=mode, select=1 << 24)
    assert [now for now, *_ in shown] == [chosen & present for _, present, _ in words]
    assert all(before == states for _, _, before in shown)  # nothing was drawn


def likely(config, change, state, select):
    """Change-weighted choice."""
    return change << (22 - config.weight_fraction) > select * NEGLOG(state)


def generators(shown, states, words):
    """Asserts that the states step once for each word that is not counted."""
    for (_, _, now), (_, _, after), (_, _, counting) in zip(shown, [*shown[1:], (0, 0, states)], words, strict=True):
        assert after == (now if counting else [xorshift_step(state) for state in now])


@pytest.mark.parametrize("select, lanes, gap", [
    (0, 2, 0), (1 << 20, 4, 0), (1 << 23, 8, 0), (1 << 23, 2, 0.4), ((1 << 24) - 1, 4, 0.2), (1 << 24, 2, 0),
    ((1 << 32) - 1, 4, 0)])
def test_random(select, lanes, gap):
    rng = random.Random(select)
    words = [(changes, present, rng.random() < 0.2) for changes, present, _ in words_of(rng, lanes, 40, [0, LARGEST])]
    dut = WeightChoice(CoreConfig(lanes=lanes))
    shown, states = play_words(dut, lanes, words, rng, gap=gap, mode=Values.RANDOM, select=select)
    generators(shown, states, words)
    for (now, _, seen), (_, present, counting) in zip(shown, words, strict=True):
        assert counting or now == present & mask(state >> 8 < select for state in seen)


@pytest.mark.parametrize("bits, fraction", [(8, 4), (16, 12), (18, 17), (6, 2)])
@pytest.mark.parametrize("select", [0, 32, 11357, (1 << 18) - 1])
def test_change_weighted(bits, fraction, select):
    """Changes of all sizes that the format allows."""
    rng = random.Random(select)
    config = CoreConfig(lanes=4, weight_bits=bits, weight_fraction=fraction)
    changes = [0, 1, (1 << bits) - 1, *(rng.getrandbits(rng.randint(1, bits)) for _ in range(20))]
    words = [(word, present, rng.random() < 0.2) for word, present, _ in words_of(rng, 4, 30, changes)]
    shown, states = play_words(WeightChoice(config), 4, words, rng, gap=0.2, mode=Values.CHANGE, select=select)
    generators(shown, states, words)
    for (now, _, seen), (word, present, counting) in zip(shown, words, strict=True):
        expected = mask(likely(config, c, state, select) for c, state in zip(word, seen, strict=True))
        assert counting or now == present & expected
    assert select or any(now != present for (now, *_), (_, present, _) in zip(shown, words))  # a change of 0 is never copied


@pytest.mark.parametrize("mode", [Values.RANDOM, Values.CHANGE])
def test_borders_of_the_random_modes(mode):
    """Generators loaded with states at the ends and around powers of two; the least change, or probability, and one unit less."""
    config = CoreConfig(lanes=8, weight_bits=18, weight_fraction=17)
    rng, states = random.Random(1), [1, 2, 3, (1 << 32) - 1, 1 << 31, (1 << 31) - 1, *(1 << n for n in range(8, 31)),
                                     *((1 << n) - 1 for n in range(8, 31))]
    states += [rng.getrandbits(rng.randint(6, 32)) | 1 << 5 for _ in range(-len(states) % 8 + 40)]
    cycles, expected = [], []
    for n in range(0, len(states), 8):
        part = states[n:n + 8]
        if mode is Values.RANDOM:
            select, change = (part[0] >> 8) + n // 8 % 2, [0] * 8
            chosen = [state >> 8 < select for state in part]
        else:
            select = 32 * (1 + n // 8 % 3)  # change << 5 equals select * N(x): not chosen
            change = [min(LARGEST, (select * NEGLOG(state) >> 5) + rng.randint(0, 1)) for state in part]
            chosen = [likely(config, c, state, select) for c, state in zip(change, part, strict=True)]
        expected.append((part, [xorshift_step(state) for state in part], mask(chosen)))
        cycles += [inputs | {"select": select} for inputs in (
            {"random_load": 1}, {"random_in": part}, {"en": 1, "present": 255, "change": change}, *[{}] * LATENCY)]
    trace = play(WeightChoice(config), cycles, ["chosen", "random_state"], stable={"mode": mode})
    shown = [(trace[n + 2]["random_state"], trace[n + 3]["random_state"], trace[n + 2 + LATENCY]["chosen"])
             for n in range(0, len(cycles), 3 + LATENCY)]
    assert shown == expected
