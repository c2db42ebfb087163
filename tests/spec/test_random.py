"""The generators: known values, invertible steps, seeds that differ and are never zero."""

from hypothesis import given
from hypothesis import strategies as st

from coldspike.spec.random import ROUNDING_BITS, XORSHIFT, lane_seeds, xorshift_step


def undo(state):
    """The state before ``state``: each of the three steps undone in turn."""
    left, right, again = XORSHIFT

    def invert(value, step):
        out = value
        for _ in range(32):
            out = value ^ step(out)
        return out

    state = invert(state, lambda s: s << again & 0xFFFFFFFF)
    state = invert(state, lambda s: s >> right)
    return invert(state, lambda s: s << left & 0xFFFFFFFF)


def test_first_step():
    assert xorshift_step(1) == 270369  # 1 ^ 1 << 13 = 8193; 8193 >> 17 = 0; 8193 ^ 8193 << 5 = 270369
    assert xorshift_step(0) == 0  # a zero would stay


@given(st.integers(1, (1 << 32) - 1))
def test_steps_are_invertible_and_stay_in_range(state):
    after = xorshift_step(state)
    assert 0 < after < 1 << 32 and undo(after) == state


def test_no_short_period():
    state, seen = 1, set()
    for _ in range(20_000):
        seen.add(state)
        state = xorshift_step(state)
    assert len(seen) == 20_000
    upper = [s >> (32 - ROUNDING_BITS) for s in seen]
    assert abs(sum(upper) / len(upper) / (1 << ROUNDING_BITS) - 0.5) < 0.01  # roundings have no bias


@given(st.integers(0, (1 << 64) - 1), st.sampled_from([2, 16, 128]))
def test_seeds(seed, lanes):
    seeds = lane_seeds(seed, lanes)
    assert len(seeds) == lanes and len(set(seeds)) == lanes  # 128 of 2**32 values: equal ones come once in half a million
    assert all(0 < value < 1 << 32 for value in seeds)
    assert lane_seeds(seed, 2) == seeds[:2] and lane_seeds(seed + 1, 2) != seeds[:2]


def test_known_seeds():
    """First outputs of SplitMix64 from 0 (upper halves)."""
    assert lane_seeds(0, 3) == [0xE220A839, 0x6E789E6A, 0x06C45D18]
    assert lane_seeds(1 << 64, 3) == lane_seeds(0, 3)


def test_a_zero_is_left_out(monkeypatch):
    """SplitMix64 from this seed gives a zero upper half first: its finaliser, undone, of 1."""
    assert lane_seeds(zero_seed(), 2) == lane_seeds(zero_seed() + 0x9E3779B97F4A7C15, 2)


def zero_seed():
    mask, z = (1 << 64) - 1, 1
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        out = z
        for _ in range(64 // shift + 1):
            out = z ^ (out >> shift)
        z = out * pow(factor, -1, 1 << 64) & mask
    return (z - 0x9E3779B97F4A7C15) & mask
