"""Bulk random streams against the generator's definition, step by step."""

import numpy as np
import pytest

from coldspike.model.exact.random import CHUNK, jump, stream
from coldspike.spec.random import lane_seeds, xorshift_step


def steps(states, words):
    shown = []
    for _ in range(words):
        shown.append(list(states))
        states = [xorshift_step(s) for s in states]
    return shown, list(states)


@pytest.mark.parametrize("words", [0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7, 1000])
@pytest.mark.parametrize("lanes", [2, 8])
def test_stream_equals_single_steps(words, lanes):
    seeds = lane_seeds(words, lanes)
    shown, after = stream(np.array(seeds, np.uint32), words)
    expected, expected_after = steps(seeds, words)
    assert shown.shape == (words, lanes) and shown.dtype == after.dtype == np.uint32
    assert shown.tolist() == expected and after.tolist() == expected_after


def test_streams_join():
    start = np.array(lane_seeds(3, 4), np.uint32)
    whole, end = stream(start, 400)
    first, middle = stream(start, 130)
    second, last = stream(middle, 270)
    assert np.array_equal(whole, np.concatenate([first, second])) and np.array_equal(end, last)


@pytest.mark.parametrize("count", [0, 1, 5, 64, 333, 4096 + 17])
def test_jump(count):
    seeds = lane_seeds(9, 3)
    assert jump(np.array(seeds, np.uint32), count).tolist() == steps(seeds, count)[1]


def test_period_is_all_nonzero_states():
    seeds = np.array([1, 0xFFFFFFFF, 12345], np.uint32)
    assert jump(seeds, (1 << 32) - 1).tolist() == seeds.tolist()
    for prime in (3, 5, 17, 257, 65537):
        assert jump(seeds, ((1 << 32) - 1) // prime).tolist() != seeds.tolist()
