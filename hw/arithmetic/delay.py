"""Delay lines that keep side data in step with a pipeline."""

from amaranth.hdl import Module, Signal

__all__ = ["delay", "delays"]


def delays(m: Module, value, cycles: int, name: str) -> list:
    """``value`` (a signal or view) now, and as it was 1, 2, ... ``cycles`` cycles before."""
    line = [value]
    for stage in range(cycles):
        line.append(Signal(value.shape(), name=f"{name}_{stage + 1}"))
        m.d.sync += line[-1].eq(line[-2])
    return line


def delay(m: Module, value, cycles: int, name: str):
    """``value`` (a signal or view) as it was ``cycles`` cycles before."""
    return delays(m, value, cycles, name)[-1]
