"""When a pipeline that a scan feeds has to move."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["draining_enable"]


def draining_enable(m: Module, feeding: Value, latency: int) -> Signal:
    """High from the cycle after ``feeding`` until what was fed, through one register, has left a pipeline of ``latency`` stages.

    A register, because the net reaches two thousand flip-flops.
    """
    draining, moving = Signal(range(latency + 3), name="draining"), Signal(name="moving")
    m.d.sync += moving.eq(feeding | (draining != 0))
    with m.If(feeding):
        m.d.sync += draining.eq(latency + 2)
    with m.Elif(draining != 0):
        m.d.sync += draining.eq(draining - 1)
    return moving
