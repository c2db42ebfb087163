"""Gradient memory: accumulates contributions over a batch, saturating. Golden model: model/exact/backward.py."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay
from ..arithmetic.rounding import overflows, saturate
from ..arithmetic.spread import spread
from ..layouts import shape_of
from ..memory.lane_ram import LaneRam
from .lanes import BackwardLanes, GradientWordLayout, contribution_shape

__all__ = ["GradientMemory"]


class GradientMemory(wiring.Component):
    """P gradients a word, by columns. One accumulation a cycle, written 6 cycles after its word; words in flight must
    differ in address (they do: a column block comes once a sample).

    Members
    -------
    add_en, add_word, contribution : In. Accumulate; the contributions stand ADD_LATENCY cycles after the word.
    saturated : Out. How many lanes of the accumulation before saturated.
    r_en, r_word, r_data : read port (latency READ_LATENCY), for update and host; not while an accumulation is in flight.
    w_en, w_word, w_data : write port, for update and host; not while an accumulation is in flight. It takes effect for reads issued
        2 cycles later.
    """

    ADD_LATENCY = BackwardLanes.CONTRIBUTION_LATENCY
    READ_LATENCY = 2
    """Memory and a register: a block memory is too slow for a sum in the same cycle."""

    def __init__(self, config: CoreConfig):
        self._config = config
        word = GradientWordLayout(config)
        gradient, lanes = shape_of(config.gradient), config.lanes
        super().__init__({
            "add_en": In(1), "add_word": In(word), "contribution": In(contribution_shape(config)).array(lanes),
            "saturated": Out(bits_for(config.lanes + 1)),
            "r_en": In(1), "r_word": In(word), "r_data": Out(gradient).array(lanes),
            "w_en": In(1), "w_word": In(word), "w_data": In(gradient).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.words = words = LaneRam(shape_of(c.gradient), c.lanes, c.gradient_words, block=True)
        # The sum, its saturation and the write each have a cycle of their own.
        ahead = self.ADD_LATENCY - self.READ_LATENCY
        asking, asked = delay(m, self.add_en, ahead, "asking"), delay(m, self.add_word.address, ahead, "asked")
        fetched, adding = delay(m, words.r_en, 1, "fetched"), delay(m, asking, self.READ_LATENCY, "adding")
        added, storing = delay(m, adding, 1, "added"), delay(m, adding, 2, "storing")
        address, over = delay(m, asked, 1 + self.READ_LATENCY, "address"), Signal(c.lanes)
        m.d.comb += [words.r_en.eq(self.r_en | asking), words.r_addr.eq(self.r_word.address)]
        with m.If(asking):
            m.d.comb += words.r_addr.eq(asked)
        m.d.sync += [words.w_en.eq(self.w_en | added), words.w_addr.eq(Mux(added, address, self.w_word.address))]
        added_here = spread(m, adding, c.lanes, "added_here")
        for k in range(c.lanes):
            total = Signal(signed(max(c.gradient.bits, self.contribution[k].shape().width) + 1), name=f"total_{k}")
            m.d.sync += words.w_data[k].eq(Mux(added_here[k], saturate(total, c.gradient), self.w_data[k]))
            with m.If(fetched):
                m.d.sync += self.r_data[k].eq(words.r_data[k])
            with m.If(adding):
                m.d.sync += total.eq(self.r_data[k] + self.contribution[k])
            with m.If(added):
                m.d.sync += over[k].eq(overflows(total, c.gradient))
        m.d.sync += self.saturated.eq(0)
        with m.If(storing & over.any()):
            m.d.sync += self.saturated.eq(sum(over[k] for k in range(c.lanes)))
        return m
