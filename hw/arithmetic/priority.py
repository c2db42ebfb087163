"""Highest and lowest set bit as trees of multiplexers, of a depth that grows with the logarithm of the width."""

from amaranth.hdl import Mux, Value

__all__ = ["bit_length", "lowest_bit"]


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
