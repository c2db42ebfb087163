"""Pipelined normalised reciprocal: the one divider design of the accelerator. Golden model: model/exact/arithmetic.py."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .priority import bit_length

__all__ = ["BITS", "DIVIDE_LATENCY", "MantissaDivider", "Reciprocal"]

BITS = 18
"""Bits of mantissa and quotient: the width of an FPGA's multiplier operand."""

DIVIDE_LATENCY = BITS


class MantissaDivider(wiring.Component):
    """q = min(2**35 // m, 2**18 - 1) for a mantissa 2**17 <= m < 2**18, by restoring division, a bit a stage.

    Latency 18 cycles, one division a cycle.

    Members
    -------
    mantissa : In(18).
    quotient : Out(18). Of the mantissa 18 cycles before.
    """

    def __init__(self):
        super().__init__({"mantissa": In(BITS), "quotient": Out(BITS)})

    def elaborate(self, platform):
        m = Module()
        mantissa, quotient, remainder = self.mantissa, Signal(BITS), Signal(BITS)
        m.d.comb += remainder.eq(1 << (BITS - 1))  # 2**35 >> 18; m = 2**17 then gives all ones, the saturated quotient
        for stage in range(BITS):
            doubled = Signal(BITS + 1, name=f"doubled_{stage}")
            fits = Signal(name=f"fits_{stage}")
            next_mantissa = Signal(BITS, name=f"mantissa_{stage}")
            next_quotient = Signal(BITS, name=f"quotient_{stage}")
            next_remainder = Signal(BITS, name=f"remainder_{stage}")
            m.d.comb += [doubled.eq(remainder << 1), fits.eq(doubled >= mantissa)]
            m.d.sync += [
                next_remainder.eq(Mux(fits, doubled - mantissa, doubled)),
                next_quotient.eq((quotient << 1) | fits),
                next_mantissa.eq(mantissa),
            ]
            mantissa, quotient, remainder = next_mantissa, next_quotient, next_remainder
        m.d.comb += self.quotient.eq(quotient)
        return m


class Reciprocal(wiring.Component):
    """Normalised reciprocal of a positive integer: b = bit length, q = min(2**35 // ((value << 18) >> b), 2**18 - 1),
    so that 1 / value is about q / 2**(17 + b). Latency 20 cycles, one a cycle.

    Parameters
    ----------
    width : bits of ``value``.

    Members
    -------
    value : In(width). A zero gives a meaningless quotient.
    length : Out. b of the value 1 cycle before.
    quotient : Out(18). q of the value 20 cycles before.
    length_late : Out. b of the value 20 cycles before.
    """

    LATENCY = 2 + DIVIDE_LATENCY

    def __init__(self, width: int):
        self._width = width
        b = width.bit_length()
        super().__init__({"value": In(width), "length": Out(b), "quotient": Out(BITS), "length_late": Out(b)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.divider = divider = MantissaDivider()
        padded = max(self._width, BITS)
        value = Signal(padded)
        m.d.sync += [value.eq(self.value), self.length.eq(bit_length(self.value))]
        normal = Signal(padded)
        m.d.comb += normal.eq(value << (padded - self.length).as_unsigned()[:padded.bit_length()])
        m.d.sync += divider.mantissa.eq(normal[padded - BITS:])
        m.d.comb += self.quotient.eq(divider.quotient)
        late = self.length
        for stage in range(1 + DIVIDE_LATENCY):
            delayed = Signal.like(self.length, name=f"length_{stage}")
            m.d.sync += delayed.eq(late)
            late = delayed
        m.d.comb += self.length_late.eq(late)
        return m
