"""A multiplier for each lane. Golden model: Python integers (tests/hw/arithmetic)."""

from amaranth.hdl import Module, Shape, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LaneProducts"]


class LaneProducts(wiring.Component):
    """P products, each with a register behind it. Latency 1, throughput 1.

    Parameters
    ----------
    a, b : shapes of the factors, one of them signed.

    Members
    -------
    en, a, b : In, arrays of P. Multiply; each lane has an enable, so that neighbours may have a register of their own.
    product : Out, array of P. a b, a cycle after ``en``; it stays until the next one, over a reset, too.
    """

    def __init__(self, a: Shape, b: Shape, lanes: int):
        self._lanes = lanes
        super().__init__({"en": In(1).array(lanes), "a": In(a).array(lanes), "b": In(b).array(lanes),
                          "product": Out(signed(a.width + b.width)).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        for k in range(self._lanes):
            # Without a reset it fits into a multiplier (fpga/absorb.py).
            product = Signal.like(self.product[k], name=f"product_{k}", reset_less=True)
            with m.If(self.en[k]):
                m.d.sync += product.eq(self.a[k] * self.b[k])
            m.d.comb += self.product[k].eq(product)
        return m
