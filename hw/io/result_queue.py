"""Results on their way to the output stream. Golden model: a Python list (tests/hw/io/test_result_queue.py)."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig
from ..layouts import ResultLayout

__all__ = ["ResultQueue"]


class ResultQueue(wiring.Component):
    """Buffers result words, so that a slow reader of the output stream stalls the core later.

    Latency: a word written to an empty queue is valid two cycles later. Throughput: one word in every cycle.

    Parameters
    ----------
    config : build configuration; ``result_words`` is the depth in words.

    Members
    -------
    i : In(stream of ResultLayout) result words.
    o : Out(stream of ResultLayout) the same, as AXI4-Stream TDATA and TLAST.
    """

    def __init__(self, config: CoreConfig):
        self.depth = config.result_words
        super().__init__({
            "i": In(stream.Signature(ResultLayout())),
            "o": Out(stream.Signature(ResultLayout())),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=ResultLayout().size, depth=self.depth)
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        return m
