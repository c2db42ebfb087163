"""A board's description of itself, in memory. Golden model: the list of its words (tests/hw/link/test_serial_link.py)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for

__all__ = ["Description"]


class Description(wiring.Component):
    """Words that are read only. Latency: one cycle. Throughput: one word in every cycle.

    Parameters
    ----------
    words : 32 bits each. address_bits : bits of a word address, those that no word belongs to included.

    Members
    -------
    address : In(address_bits). data : Out(32) of the address a cycle ago, 0 behind the last word.
    """

    def __init__(self, words: list[int], address_bits: int):
        self._words = words
        super().__init__({"address": In(address_bits), "data": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = rom = memory.Memory(shape=32, depth=len(self._words), init=self._words, attrs={"ram_style": "block"})
        port = rom.read_port()
        inside = Signal()
        m.d.sync += inside.eq(self.address < len(self._words))
        m.d.comb += port.addr.eq(self.address[:bits_for(len(self._words))])
        with m.If(inside):
            m.d.comb += self.data.eq(port.data)
        return m
