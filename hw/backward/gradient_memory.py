"""Gradient memory: accumulates contributions over a batch, saturating. Golden model: model/exact/backward.py."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay
from ..arithmetic.rounding import overflows, saturate
from ..layouts import gradient_layout
from ..memory.ram import Ram
from .lanes import contribution_layout

__all__ = ["GradientMemory"]


class GradientMemory(wiring.Component):
    """P gradients a word, by columns. One accumulation a cycle, written 2 cycles after its address; words in flight must
    differ in address (they do: a column block comes once a sample).

    Members
    -------
    add_en, add_addr, contribution : In. Accumulate; the contributions stand one cycle after the address.
    saturated : Out. How many lanes of the accumulation before saturated.
    r_en, r_addr, r_data : read port (latency 1), for update and host; not in a cycle of ``add_en``.
    w_en, w_addr, w_data : write port, for update and host; not while an accumulation is in flight.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        address = bits_for(config.gradient_words)
        self._word = gradient_layout(config)
        super().__init__({
            "add_en": In(1), "add_addr": In(address), "contribution": In(contribution_layout(config)),
            "saturated": Out(bits_for(config.lanes + 1)),
            "r_en": In(1), "r_addr": In(address), "r_data": Out(self._word),
            "w_en": In(1), "w_addr": In(address), "w_data": In(self._word),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.words = words = Ram(self._word, c.gradient_words)
        adding, address = delay(m, self.add_en, 1, "adding"), delay(m, self.add_addr, 1, "address")
        over = Signal(c.lanes)
        m.d.comb += [
            words.r_en.eq(self.r_en | self.add_en), words.r_addr.eq(self.r_addr), self.r_data.eq(words.r_data),
            words.w_en.eq(self.w_en | adding), words.w_addr.eq(self.w_addr), words.w_data.eq(self.w_data),
        ]
        with m.If(self.add_en):
            m.d.comb += words.r_addr.eq(self.add_addr)
        with m.If(adding):
            m.d.comb += words.w_addr.eq(address)
        for k in range(c.lanes):
            total = Signal(signed(max(c.gradient.bits, self.contribution[k].shape().width) + 1), name=f"total_{k}")
            m.d.comb += total.eq(words.r_data[k] + self.contribution[k])
            m.d.comb += over[k].eq(adding & overflows(total, c.gradient))
            with m.If(adding):
                m.d.comb += words.w_data[k].eq(saturate(total, c.gradient))
        m.d.sync += self.saturated.eq(sum(over[k] for k in range(c.lanes)))
        return m
