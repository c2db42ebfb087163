"""Product of a wide with a narrow operand in two cycles. Golden model: Python's product."""

from amaranth.hdl import Module, Signal, Value, ValueLike

__all__ = ["wide_product"]

PART = 17
"""Bits of a part of the wide operand: with a sign, what a multiplier of 18 bits takes."""


def wide_product(m: Module, wide: Value, narrow: ValueLike, enables: list[Value], name: str) -> Value:
    """``wide * narrow``, two cycles later: each part's product, then their sum; a multiplier and an adder are too much for one.

    Parameters
    ----------
    enables : of the two registers; a product whose enable is low stays.
    """
    narrow, total = Value.cast(narrow), 0
    with m.If(enables[0]):
        for first in range(0, len(wide), PART):
            part = wide[first:first + PART]
            if first + PART >= len(wide) and wide.shape().signed:
                part = part.as_signed()
            product = Signal((part * narrow).shape(), name=f"{name}_{first}", reset_less=True)  # fpga/absorb.py
            m.d.sync += product.eq(part * narrow)
            total = total + (product << first)
    out = Signal((wide * narrow).shape(), name=name)
    with m.If(enables[1]):
        m.d.sync += out.eq(total)
    return out
