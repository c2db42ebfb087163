"""Transport controller: copies forward weights into the feedback memory every Phi updates. Golden models:
model/exact/transport.py, model/timing.py. Source: Frozen Backpropagation, section 3."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay, delays
from ..control.column_walker import ColumnWalker
from ..layouts import NetworkLayout, feedback_offset, shape_of
from ..memory.transposable import TransposableMemory

__all__ = ["TransportController"]


class TransportController(wiring.Component):
    """Counts updates; when the interval is full copies W of layers 2 to L, a word a cycle.

    Members
    -------
    network, interval : In. Stable while busy.
    load, position_in : In. Set the position in the interval.
    update_done : In(1). An update was made: advance, and transport when due. Not while ``busy``, and not in the cycle after
        ``load`` or another ``update_done``.
    due : Out(1). Combinational with ``update_done``: it starts a transport.
    position : Out(32). Updates since the last transport.
    w_en, w_tile, w_index, w_data : column read port of the weight memory (latency
        TransposableMemory.READ_LATENCY).
    feedback_en, feedback_addr, feedback_data : write port of the feedback memory.
    moved : Out. Weights written in this cycle.
    busy : Out(1).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({
            "network": In(NetworkLayout(config)), "interval": In(32), "load": In(1), "position_in": In(32),
            "update_done": In(1), "due": Out(1), "position": Out(32),
            "w_en": Out(1), "w_tile": Out(bits_for(config.weight_tiles)), "w_index": Out(bits_for(config.lanes)),
            "w_data": In(shape_of(config.weight)).array(config.lanes),
            "feedback_en": Out(1), "feedback_addr": Out(bits_for(config.feedback_words)),
            "feedback_data": Out(shape_of(config.weight)).array(config.lanes),
            "moved": Out(bits_for(config.lanes + 1)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, latency = self._config, TransposableMemory.READ_LATENCY
        m.submodules.walker = walker = ColumnWalker(c)
        last = Signal()
        m.d.sync += last.eq(self.position + 1 == self.interval)
        m.d.comb += self.due.eq(self.update_done & last)
        with m.If(self.load):
            m.d.sync += self.position.eq(self.position_in)
        with m.Elif(self.update_done):
            m.d.sync += self.position.eq(Mux(self.due, 0, self.position + 1))

        address = Signal.like(self.feedback_addr)
        offset = feedback_offset(c, self.network)
        reading = delays(m, walker.valid, latency, "reading")
        late = reading[-1]
        m.d.comb += [
            walker.network.eq(self.network), walker.start.eq(self.due), walker.first_layer.eq(1),
            self.w_en.eq(walker.valid), self.w_tile.eq(walker.word.tile), self.w_index.eq(walker.word.column),
            address.eq(walker.word.address - offset),
            self.feedback_en.eq(late), self.feedback_addr.eq(delay(m, address, latency, "address")),
            self.moved.eq(Mux(late, delay(m, walker.lanes, latency, "lanes"), 0)),
            self.busy.eq(walker.busy | Cat(reading).any()),
        ]
        m.d.comb += [self.feedback_data[k].eq(self.w_data[k]) for k in range(c.lanes)]
        return m
