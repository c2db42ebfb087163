"""ChangeHistogram against a sorted list: limit and remaining, words in a row, lanes that are not there, clearing, cycles."""

import random
from collections import Counter
from math import log2

import pytest

from coldspike.hw.transport.histogram import ChangeHistogram
from coldspike.spec.config import CoreConfig
from coldspike.spec.transport import BINS

from ..cycles import set_all
from ..support import simulate

SETTLED = 2
"""A word is counted this many cycles after it was offered."""
SEARCH_FIXED = 4
"""Cycles from a search to the first that is not busy, besides one for each bin and each level of the tree of lanes."""


def words_of(rng, lanes, count, bins):
    """Words (bins by lane, lanes that are present), None for a cycle without one; ``bins`` are drawn from."""
    out = []
    for _ in range(count):
        present = rng.choice([(1 << lanes) - 1] * 2 + [rng.getrandbits(lanes), (1 << rng.randint(1, lanes)) - 1])
        out += [([rng.choice(bins) for _ in range(lanes)], present), *[None] * (rng.random() < 0.3)]
    return out


def found(values, count):
    """(limit, remaining) of ``count`` among ``values``: the bin of the last one needed from the top, and how many of that bin."""
    if count > len(values):
        return 0, count
    if count == 0:
        return BINS - 1, 0
    limit = sorted(values, reverse=True)[count - 1]
    return limit, count - sum(value > limit for value in values)


def run(lanes, rounds, feedback_words=300):
    """Each round: clears if told to, counts words, searches for several K, which leaves the counts as they are."""
    dut, values = ChangeHistogram(CoreConfig(lanes=lanes, feedback_words=feedback_words)), []

    async def pulse(ctx, name):
        ctx.set(getattr(dut, name), 1)
        await ctx.tick()
        ctx.set(getattr(dut, name), 0)
        cycles = 1
        while ctx.get(dut.busy):
            await ctx.tick()
            cycles += 1
        return cycles

    async def bench(ctx):
        for clear, words in rounds:
            if clear:
                values.clear()
                assert await pulse(ctx, "clear") == BINS + 1
            for word in words:
                bins, present = word or ([0] * lanes, (1 << lanes) - 1)
                set_all(ctx, dut, {"en": word is not None, "bin": bins, "present": present})
                values.extend(bins[k] for k in range(lanes) if word and present >> k & 1)
                await ctx.tick()
                assert not ctx.get(dut.busy)
            ctx.set(dut.en, 0)
            await ctx.tick().repeat(SETTLED - 1)
            sizes = [count for _, count in sorted(Counter(values).items(), reverse=True)]
            borders = [sum(sizes[:n]) for n in range(len(sizes) + 1)]  # K at which the search goes on to the next bin
            some = borders if len(borders) < 5 else [*borders[:2], borders[len(borders) // 2], *borders[-2:]]
            for count in {0, 1, *some, *(n + 1 for n in some), len(values) + 9, (1 << 32) - 1}:
                ctx.set(dut.count, count)
                assert await pulse(ctx, "search") == BINS + log2(lanes) + SEARCH_FIXED
                assert (ctx.get(dut.limit), ctx.get(dut.remaining)) == found(values, count), count

    simulate(dut, bench)
    return len(values)


@pytest.mark.parametrize("lanes", [2, 8])
def test_random_bins(lanes):
    rng = random.Random(lanes)
    everywhere, few = range(BINS), (0, 5, 6, BINS - 2, BINS - 1)
    run(lanes, [(True, words_of(rng, lanes, 60, everywhere)), (False, words_of(rng, lanes, 20, few)),
                (True, []), (True, words_of(rng, lanes, 25, few)), (True, words_of(rng, lanes, 3, everywhere))])


@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("bin", [0, 77, BINS - 1])
def test_one_bin_in_words_in_a_row(bin, lanes):
    """Each word reads the count that the word before it is about to write; in the second round another one may come between."""
    every, one = (1 << lanes) - 1, [bin] * lanes
    same, other, first = (one, every), ([bin ^ 1, *one[1:]], every), (one, 1)
    run(lanes, [(True, [same] * 40), (True, [same, other, same, first, None, same] * 5)])


def test_counts_up_to_a_full_feedback_memory():
    words = 70
    assert run(2, [(True, [([9, 9], 3)] * words)], feedback_words=words) == 2 * words


def test_power_up_is_empty():
    run(4, [(False, words_of(random.Random(4), 4, 10, range(BINS)))])
