"""draining_enable: high while something is on its way through the pipeline behind it."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.draining import draining_enable

from ..cycles import play


class Enable(wiring.Component):
    """The enable alone."""

    feeding: In(1)
    moving: Out(1)

    def __init__(self, latency):
        self._latency = latency
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.moving.eq(draining_enable(m, self.feeding, self._latency))
        return m


@pytest.mark.parametrize("latency", [1, 4])
@pytest.mark.parametrize("fed", [{0}, {0, 1, 2}, {0, 3}, {2, 11}])
def test_moves_until_what_was_fed_has_left(latency, fed):
    trace = play(Enable(latency), [{"feeding": int(n in fed)} for n in range(24)], ("moving",))
    expected = {cycle for start in fed for cycle in range(start + 1, start + latency + 4)}
    assert {n for n, seen in enumerate(trace) if seen["moving"]} == expected
