"""Questions about set bits as trees, of a depth that grows with the logarithm of the width."""

from amaranth.hdl import Const, Mux, Value

__all__ = ["at_least", "bit_length", "lowest_bit"]


def at_least(value: Value, count: int) -> Value:
    """Whether at least ``count`` bits of ``value`` are set."""
    return _reached(value, count)[count]


def _reached(value: Value, most: int) -> list[Value]:
    """Whether at least 0, 1, ... ``most`` bits are set."""
    if len(value) == 1:
        return [Const(1, 1), value, *[Const(0, 1)] * (most - 1)]
    half = 1 << (len(value) - 1).bit_length() - 1
    low, high = _reached(value[:half], most), _reached(value[half:], most)
    reached = [Const(1, 1)]
    for count in range(1, most + 1):
        either = low[count] | high[count]
        for part in range(1, count):
            either |= low[part] & high[count - part]
        reached.append(either)
    return reached


def bit_length(value: Value) -> Value:
    """Number of bits of ``value``, 0 for 0: one more than the index of the highest set bit."""
    if len(value) == 1:
        return value
    half = 1 << (len(value) - 1).bit_length() - 1
    return Mux(value[half:].any(), half + bit_length(value[half:]), bit_length(value[:half]))


def lowest_bit(value: Value) -> Value:
    """Index of the lowest set bit; the highest index when none is set."""
    if len(value) == 1:
        return value[:0]
    half = 1 << (len(value) - 1).bit_length() - 1
    return Mux(value[:half].any(), lowest_bit(value[:half]), half + lowest_bit(value[half:]))
