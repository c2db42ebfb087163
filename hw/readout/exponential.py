"""exp(-d) from two small tables and one product. Golden model: model/exact/readout.py."""

from math import exp

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..arithmetic.rounding import round_shift

__all__ = ["DISTANCE_BITS", "Exponential", "ONE", "VALUE_BITS"]

DISTANCE_BITS = 14
"""d is UQ4.10; larger distances saturate at 16 - 2**-10."""

ONE = 1 << 17
VALUE_BITS = 18
_LOW = 7


class Exponential(wiring.Component):
    """value = round(2**17 exp(-distance / 1024)) to within 2 units. Latency 3 cycles, one a cycle.

    Members
    -------
    distance : In(14), UQ4.10.
    value : Out(18), UQ1.17.
    """

    LATENCY = 3

    def __init__(self):
        super().__init__({"distance": In(DISTANCE_BITS), "value": Out(VALUE_BITS)})

    def elaborate(self, platform):
        m = Module()
        size = 1 << _LOW
        high = Memory(shape=VALUE_BITS, depth=size, init=[round(ONE * exp(-n / 8)) for n in range(size)])
        low = Memory(shape=VALUE_BITS, depth=size, init=[round(ONE * exp(-n / 1024)) for n in range(size)])
        m.submodules.high, m.submodules.low = high, low
        high_port, low_port = high.read_port(), low.read_port()
        factors, product = [Signal(VALUE_BITS, name=name) for name in ("high_factor", "low_factor")], Signal(2 * VALUE_BITS)
        m.d.comb += [high_port.addr.eq(self.distance[_LOW:]), low_port.addr.eq(self.distance[:_LOW]),
                     self.value.eq(round_shift(product, VALUE_BITS - 1))]
        m.d.sync += [factors[0].eq(high_port.data), factors[1].eq(low_port.data), product.eq(factors[0] * factors[1])]
        return m
