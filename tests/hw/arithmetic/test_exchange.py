"""Exchange of lanes, every amount of every lane count."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.arithmetic.exchange import exchange_lanes
from coldspike.spec.config import bits_for

from ..cycles import play


class Exchange(wiring.Component):
    """The function with ports."""

    def __init__(self, lanes):
        super().__init__({"lanes": In(8).array(lanes), "amount": In(bits_for(lanes)), "enable": In(1), "out": Out(8).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        count = len(self.out)
        lanes = exchange_lanes(m, list(self.lanes), [self.amount] * count, [self.enable] * count, "exchange")
        m.d.comb += [out.eq(lane) for out, lane in zip(self.out, lanes, strict=True)]
        return m


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_every_amount(lanes):
    values = [100 + lane for lane in range(lanes)]
    trace = play(Exchange(lanes), [{"lanes": values, "amount": amount, "enable": 1} for amount in range(lanes)], ["out"])
    assert [t["out"] for t in trace] == [[values[lane ^ amount] for lane in range(lanes)] for amount in range(lanes)]
