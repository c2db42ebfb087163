"""How long a bit on the wire lasts, for both halves of the UART."""

from fractions import Fraction

__all__ = ["PARTS", "bit_time"]

PARTS = 256
"""Parts of a clock cycle that bits are timed in: a clock need not be a multiple of the baud."""

LEAST_CYCLES = 4
"""Cycles of a bit from which on its middle can be found."""


def bit_time(clock: int, baud: int) -> int:
    """Length of a bit in 1/256 of a clock cycle; ``clock`` in Hz.

    Raises
    ------
    ValueError : a bit would take fewer than 4 cycles.
    """
    cycles = Fraction(clock, baud)
    if cycles < LEAST_CYCLES:
        raise ValueError(f"{baud} baud at a clock of {clock} Hz: a bit needs {LEAST_CYCLES} cycles; use {clock // LEAST_CYCLES} "
                         "baud at most")
    return round(cycles * PARTS)
