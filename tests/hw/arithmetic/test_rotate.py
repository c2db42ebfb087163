"""Lane rotation, every amount of every lane count."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.rotate import rotate_lanes
from coldspike.spec.config import bits_for

from ..cycles import play


class Rotator(wiring.Component):
    """The function with ports."""

    def __init__(self, lanes):
        super().__init__({"lanes": In(8).array(lanes), "amount": In(bits_for(lanes)), "enable": In(1), "out": Out(8).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        for out, lane in zip(self.out, rotate_lanes(m, list(self.lanes), self.amount, self.enable, "rotate"), strict=True):
            m.d.comb += out.eq(lane)
        return m


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_every_amount(lanes):
    values = [100 + lane for lane in range(lanes)]
    trace = play(Rotator(lanes), [{"lanes": values, "amount": amount, "enable": 1} for amount in range(lanes)], ["out"])
    assert [t["out"] for t in trace] == [values[amount:] + values[:amount] for amount in range(lanes)]
