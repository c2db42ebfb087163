"""Event-driven synaptic accumulation: each event adds its weight row to the layer's accumulators, P lanes a cycle.

Golden model: model/exact/forward.py (sums), model/timing.py (cycles).
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay
from ..arithmetic.lane_products import LaneProducts
from ..arithmetic.spread import spread
from ..io.stream_buffer import StreamBuffer
from ..io.stream_register import StreamRegister
from ..lane_parts import Parts, part
from ..layouts import EventLayout, block_count_bits, shape_of
from ..memory.lane_ram import LaneRam
from ..memory.transposable import TransposableMemory

__all__ = ["SynapseAccumulator"]


class _PlacedLayout(data.StructLayout):
    """An event and where its presynaptic neuron's block of weight tiles begins in the layer."""

    def __init__(self, config: CoreConfig):
        super().__init__({"event": EventLayout(config), "offset": bits_for(config.weight_tiles)})


class SynapseAccumulator(wiring.Component):
    """Adds w to the slope and w a to the level of every postsynaptic neuron, for each event of a layer.

    An event takes ``blocks`` cycles, events follow each other without a gap. The layer's first event overwrites
    the accumulators; a layer without events takes one null event, so that they read zero. ``done`` comes
    ACCUMULATOR_DRAIN + 1 cycles after the end token's turn (blocks + ACCUMULATOR_DRAIN for a layer without events).

    Parameters
    ----------
    lent : of ``slope_sums``, ``level_sums`` and ``event_products`` those that are not its own.

    Members
    -------
    tile_base, blocks, base : In. First weight tile, output blocks and first accumulator block of the layer; stable
        from the layer's first event to ``done`` (they pass a register while the event passes its buffer).
    i_events : In(stream EventLayout). The layer's spikes, then one end token.
    w_en, w_tile, w_row, w_data : read port of the weight memory, rows (latency
        TransposableMemory.READ_LATENCY).
    r_en, r_addr (of each lane both), slopes, levels : second read port of the accumulators (latency 1).
    done : Out(1). One cycle; all sums are readable from the next cycle on.
    """

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent or {}
        block, lanes = bits_for(config.neuron_blocks), config.lanes
        super().__init__({
            "tile_base": In(bits_for(config.weight_tiles)),
            "blocks": In(block_count_bits(config)), "base": In(block),
            "i_events": In(stream.Signature(EventLayout(config))),
            "w_en": Out(1), "w_tile": Out(bits_for(config.weight_tiles)), "w_row": Out(bits_for(config.lanes)),
            "w_data": In(shape_of(config.weight)).array(lanes),
            "r_en": In(1).array(lanes), "r_addr": In(block).array(lanes),
            "slopes": Out(shape_of(config.slope)).array(lanes), "levels": Out(shape_of(config.level)).array(lanes),
            "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, low = self._config, bits_for(self._config.lanes)
        # The first read port adds, the second serves the scan of the previous layer. What is lent asks for its requests a cycle
        # ahead, because the other rule cannot give them earlier.
        arrived = TransposableMemory.READ_LATENCY
        ahead = 1 if self._lent else arrived
        slope_sums, level_sums = sums = [
            part(m, self._lent, name, lambda q=q: LaneRam(shape_of(q), c.lanes, c.neuron_blocks, transparent=True, second=True,
                                                          ahead=ahead))
            for name, q in (("slope_sums", c.slope), ("level_sums", c.level))]
        products = part(m, self._lent, "event_products", lambda: LaneProducts(shape_of(c.weight), shape_of(c.time), c.lanes))

        tile_base, blocks, base = (delay(m, signal, 1, name) for signal, name in (
            (self.tile_base, "tile_base_here"), (self.blocks, "blocks_here"), (self.base, "base_here")))

        # The events pass two registers, because a queue's memory, the product that places a row and its sum with the layer's
        # first tile need a cycle each; the first one also keeps the walk's end from reaching back to the queue.
        m.submodules.events = events = StreamBuffer(EventLayout(c))
        m.submodules.placed = placed = StreamRegister(_PlacedLayout(c))
        wiring.connect(m, wiring.flipped(self.i_events), events.i)
        m.d.comb += [
            placed.i.valid.eq(events.o.valid), events.o.ready.eq(placed.i.ready), placed.i.payload.event.eq(events.o.payload),
            placed.i.payload.offset.eq((events.o.payload.index >> low) * blocks),
        ]

        # Event register and its walk over the output blocks.
        event, valid, tile = Signal(EventLayout(c)), Signal(), Signal(bits_for(c.weight_tiles))
        block, last, first = Signal.like(self.blocks), Signal(), Signal(init=1)
        null = event.end & first
        issue = valid & (~event.end | first)
        finish = Signal()
        m.d.comb += [
            finish.eq(valid & (~issue | last)),
            placed.o.ready.eq(~valid | (finish & ~event.end)),
        ]
        with m.If(finish):
            m.d.sync += [valid.eq(0), block.eq(0), first.eq(event.end)]
        with m.Elif(issue):
            m.d.sync += [block.eq(block + 1), last.eq(block + 2 == blocks), tile.eq(tile + 1)]
        with m.If(placed.o.valid & placed.o.ready):
            m.d.sync += [valid.eq(1), event.eq(placed.o.payload.event), last.eq(blocks == 1),
                         tile.eq(tile_base + placed.o.payload.offset)]
        m.d.comb += [self.w_en.eq(issue), self.w_tile.eq(tile), self.w_row.eq(event.index[:low])]

        # Stages behind the issue: those of the weight memory, product, sum.
        stage = data.StructLayout({"issue": 1, "end": 1, "first": 1, "null": 1, "address": len(self.base), "time": c.time.bits})
        pipe = [Signal(stage, name=f"stage_{n}") for n in range(arrived + 1)]
        m.d.comb += [
            pipe[0].issue.eq(issue), pipe[0].end.eq(finish & event.end), pipe[0].first.eq(first), pipe[0].null.eq(null),
            pipe[0].address.eq(base + block), pipe[0].time.eq(Mux(null, 0, event.time)),
        ]
        m.d.sync += [late.eq(early) for early, late in zip(pipe, pipe[1:])]
        multiply, null_weight, time = (spread(m, signal, c.lanes, name, arrived) for signal, name in (
            (pipe[0].issue, "multiply"), (pipe[0].null, "null"), (pipe[0].time, "time")))
        fresh = spread(m, pipe[1].first, c.lanes, "fresh", arrived)
        for k in range(c.lanes):
            weight = Signal(shape_of(c.weight), name=f"weight_{k}")
            slope, level = Signal(shape_of(c.slope), name=f"slope_{k}"), Signal(shape_of(c.level), name=f"level_{k}")
            with m.If(multiply[k]):
                m.d.sync += weight.eq(Mux(null_weight[k], 0, self.w_data[k]))
            m.d.comb += [products.en[k].eq(multiply[k]), products.a[k].eq(self.w_data[k]), products.b[k].eq(time[k])]
            m.d.comb += [
                slope.eq(Mux(fresh[k], 0, slope_sums.r_data[k]) + weight),
                level.eq(Mux(fresh[k], 0, level_sums.r_data[k]) + products.product[k]),
                slope_sums.w_data[k].eq(slope), level_sums.w_data[k].eq(level),
                self.slopes[k].eq(slope_sums.s_data[k]), self.levels[k].eq(level_sums.s_data[k]),
            ]
        for memory in sums:
            m.d.comb += [
                memory.r_en.eq(pipe[arrived - ahead].issue), memory.r_addr.eq(pipe[arrived - ahead].address),
                memory.w_en.eq(pipe[arrived - ahead + 1].issue), memory.w_addr.eq(pipe[arrived - ahead + 1].address),
                *(memory.s_en[k].eq(self.r_en[k]) for k in range(c.lanes)),
                *(memory.s_addr[k].eq(self.r_addr[k]) for k in range(c.lanes)),
            ]
        m.d.comb += self.done.eq(delay(m, pipe[arrived].end, 2, "end"))
        return m
