"""Saturation and rounding shifts as expressions. Golden model: model/exact/arithmetic.py."""

from amaranth.hdl import Mux, Value

from ...spec.formats import Q

__all__ = ["overflows", "round_shift", "saturate"]


def overflows(value: Value, q: Q) -> Value:
    """1 when ``value`` lies outside format ``q``."""
    return (value > q.max) | (value < q.min)


def saturate(value: Value, q: Q) -> Value:
    """``value`` limited to the range of ``q`` (assign it to a signal of that shape)."""
    return Mux(value > q.max, q.max, Mux(value < q.min, q.min, value))


def round_shift(value: Value, amount: int) -> Value:
    """``value / 2**amount`` rounded to nearest, halves up."""
    return value if amount == 0 else (value + (1 << (amount - 1))) >> amount
