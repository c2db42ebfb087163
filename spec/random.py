"""Random streams for stochastic rounding: one 32-bit xorshift generator per lane.

The recurrence (shifts 13, 17, 5; period 2**32 - 1) is Marsaglia's xorshift32. A lane uses the upper
``ROUNDING_BITS`` bits of its state, then steps once, for every word that the update unit processes.
"""

__all__ = ["ROUNDING_BITS", "XORSHIFT", "lane_seeds", "xorshift_step"]

XORSHIFT = (13, 17, 5)  # left, right, left
ROUNDING_BITS = 16
_MASK = 0xFFFFFFFF


def xorshift_step(state: int) -> int:
    """The state that follows ``state`` (32 bits, never zero)."""
    left, right, again = XORSHIFT
    state ^= (state << left) & _MASK
    state ^= state >> right
    return state ^ (state << again) & _MASK


def lane_seeds(seed: int, lanes: int) -> list[int]:
    """Initial generator states of ``lanes`` lanes: SplitMix64 of ``seed``, never zero."""
    mask = (1 << 64) - 1
    state, out = seed & mask, []
    while len(out) < lanes:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        value = (z ^ (z >> 31)) >> 32
        if value:
            out.append(value)
    return out
