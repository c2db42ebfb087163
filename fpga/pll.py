"""Settings of an ECP5's PLL (EHXPLLL) for one core clock."""

from collections.abc import Iterator
from dataclasses import dataclass

from .tools import ToolError

__all__ = ["Pll", "pll"]

# FPGA-DS-02012, "sysCLOCK PLL Timing", Hz.
INPUT, COMPARED, OSCILLATED, OUTPUT = (8e6, 400e6), (10e6, 400e6), (400e6, 800e6), (3.125e6, 400e6)
MOST = 128
"""Largest divider."""


@dataclass(frozen=True, kw_only=True)
class Pll:
    """The oscillator divided by ``reference`` is compared with the PLL's own oscillation divided by ``multiple``; that divided by
    ``divider`` is the core's clock."""

    reference: int
    multiple: int
    divider: int

    def clock(self, oscillator: int) -> float:
        """Hz of the core's clock."""
        return oscillator * self.multiple / (self.reference * self.divider)


def pll(oscillator: int, clock: int) -> Pll:
    """Settings that make ``clock`` from ``oscillator`` (both Hz) exactly, compared as often as can be: so it jitters least.

    Raises
    ------
    ToolError : there are none; names the nearest clock that has some.
    """
    settings = list(allowed(oscillator))
    if exact := [s for s in settings if oscillator * s.multiple == clock * s.reference * s.divider]:
        return exact[0]
    if not settings:
        raise ToolError(f"an oscillator of {oscillator:,} Hz: the PLL takes {INPUT[0]:,.0f} to {INPUT[1]:,.0f} Hz")
    nearest = min((s.clock(oscillator) for s in settings), key=lambda hertz: abs(hertz - clock))
    raise ToolError(f"a clock of {clock:,} Hz: the PLL cannot make it from {oscillator:,} Hz; the nearest is {nearest:,.0f} Hz")


def allowed(oscillator: int) -> Iterator[Pll]:
    """All settings within the datasheet's limits."""
    if not within(oscillator, INPUT):
        return
    for reference in range(1, MOST + 1):
        if within(compared := oscillator / reference, COMPARED):
            for multiple in range(1, MOST + 1):
                if within(oscillated := compared * multiple, OSCILLATED):
                    yield from (Pll(reference=reference, multiple=multiple, divider=divider) for divider in range(1, MOST + 1)
                                if within(oscillated / divider, OUTPUT))


def within(value: float, limits: tuple[float, float]) -> bool:
    """Whether a value lies between its limits, both included."""
    return limits[0] <= value <= limits[1]
