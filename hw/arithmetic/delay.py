"""Delay lines that keep side data in step with a pipeline."""

from amaranth.hdl import Module, Signal

__all__ = ["delay"]


def delay(m: Module, value, cycles: int, name: str):
    """``value`` (a signal or view) as it was ``cycles`` cycles before."""
    for stage in range(cycles):
        late = Signal(value.shape(), name=f"{name}_{stage + 1}")
        m.d.sync += late.eq(value)
        value = late
    return value
