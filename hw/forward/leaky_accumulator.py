"""Membranes of a leaky integrate-and-fire layer: decay, reset and saturation once a step, the weight rows of the step's events
in between. Golden model: model/exact/lif.py (integrate, currents).
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.formats import Q
from ...spec.lif import DECAY, LifFormats
from ..arithmetic.delay import delay
from ..arithmetic.lane_products import LaneProducts
from ..arithmetic.rounding import overflows, saturate
from ..arithmetic.spread import spread
from ..io.stream_buffer import StreamBuffer
from ..io.stream_register import StreamRegister
from ..lane_parts import Parts, part
from ..layouts import block_count_bits, shape_of
from ..memory.lane_ram import LaneRam
from ..memory.transposable import TransposableMemory

__all__ = ["LeakyAccumulator", "StepEventLayout", "membrane_sum"]


def membrane_sum(config: CoreConfig) -> Q:
    """X = decay(V) - reset + I, unsaturated; the width excludes overflow: decay(V) - reset lies in the range of V, because only
    what is above 1.0, and so not negative after its decay, loses 1.0; every partial sum of I lies in that of ``slope``."""
    membrane = LifFormats(config).membrane
    return Q(bits=max(membrane.bits, config.slope.bits) + 1, fraction=membrane.fraction)


class StepEventLayout(data.StructLayout):
    """A spike on its way to the next layer, or the end of its layer's spikes (``end``; step and index meaningless)."""

    def __init__(self, config: CoreConfig):
        super().__init__({"step": bits_for(config.max_steps), "index": bits_for(config.max_neurons), "end": 1})


class _PlacedLayout(data.StructLayout):
    """An event and where its presynaptic neuron's block of weight tiles begins in the layer."""

    def __init__(self, config: CoreConfig):
        super().__init__({"event": StepEventLayout(config), "offset": bits_for(config.weight_tiles)})


class _StageLayout(data.StructLayout):
    """What a cycle of the walk does: ``add`` a block of a weight row, or the ``leak`` of a block of neurons (``write`` back)."""

    def __init__(self, config: CoreConfig):
        super().__init__({"add": 1, "leak": 1, "write": 1, "first": 1, "opens": 1, "last": 1,
                          "address": bits_for(config.neuron_blocks)})


class LeakyAccumulator(wiring.Component):
    """A step is the leak pass over the layer's blocks, one a cycle, then the step's events, ``blocks`` cycles each, without a gap.

    The leak pass makes of each sum X the potential V = sat(X), keeps V for the scan, and writes the sum that the step's events are
    added to: decay(V) - (1 if fired). Step 0 takes X = 0 instead. With B the blocks, cycle 0 the first of the leak pass (the one
    after ``start``) and E events that wait when their turn comes: the last event ends in cycle B (1 + E) - 1, ``done`` comes
    two cycles later. The next ``start`` may come in that cycle: steps are TURN + B (1 + E) cycles apart.

    Parameters
    ----------
    lent : of ``sums``, ``potentials`` and ``leak_products`` those that are not its own.

    Members
    -------
    tile_base, blocks, base, size : In. First weight tile, output blocks, first block of the sums, neurons of the layer; stable from
        the layer's first event to its last ``done``.
    leak : In(17). B[1], UQ1.16. fires : In(1). A hidden layer: neurons fire. Stable as well.
    start : In(1). Begin a step. step, last : In. Its number; whether it is the layer's last; stable from the cycle after ``start``
        to ``done``. The last one of a layer that does not fire leaves the sums as they are.
    i_events : In(stream StepEventLayout). The layer's events in the order of their steps, then one end token, which the last step
        takes.
    w_en, w_tile, w_row, w_data : read port of the weight memory, rows (latency TransposableMemory.READ_LATENCY).
    readable : Out(1). The first block's V can be read from the next cycle on, each further block a cycle later; cycle 3. Not in
        step 0, where every V is 0.
    r_en, r_addr (of each lane both), potentials : read port of V (latency 1).
    sum_en, sum_addr, sums : read port of X (latency 2), for the host, while no step runs.
    done : Out(1). One cycle.
    saturated : Out. How many neurons' V saturated; of block b in cycle b + 4.
    """

    TURN = 2

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent or {}
        block, lanes = bits_for(config.neuron_blocks), config.lanes
        super().__init__({
            "tile_base": In(bits_for(config.weight_tiles)), "blocks": In(block_count_bits(config)), "base": In(block),
            "size": In(16), "leak": In(DECAY.bits), "fires": In(1),
            "start": In(1), "step": In(bits_for(config.max_steps + 1)), "last": In(1),
            "i_events": In(stream.Signature(StepEventLayout(config))),
            "w_en": Out(1), "w_tile": Out(bits_for(config.weight_tiles)), "w_row": Out(bits_for(lanes)),
            "w_data": In(shape_of(config.weight)).array(lanes),
            "readable": Out(1), "r_en": In(1).array(lanes), "r_addr": In(block).array(lanes),
            "potentials": Out(shape_of(LifFormats(config).membrane)).array(lanes),
            "sum_en": In(1), "sum_addr": In(block), "sums": Out(shape_of(membrane_sum(config))).array(lanes),
            "done": Out(1), "saturated": Out(bits_for(lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        c, low = self._config, bits_for(self._config.lanes)
        tile_base, blocks, base = (delay(m, signal, 1, name) for signal, name in (
            (self.tile_base, "tile_base_here"), (self.blocks, "blocks_here"), (self.base, "base_here")))

        # The events pass two registers, as in SynapseAccumulator.
        m.submodules.events = events = StreamBuffer(StepEventLayout(c))
        m.submodules.placed = placed = StreamRegister(_PlacedLayout(c))
        wiring.connect(m, wiring.flipped(self.i_events), events.i)
        m.d.comb += [
            placed.i.valid.eq(events.o.valid), events.o.ready.eq(placed.i.ready), placed.i.payload.event.eq(events.o.payload),
            placed.i.payload.offset.eq((events.o.payload.index >> low) * blocks),
        ]

        # The walk over the blocks: of the leak pass, then of one event after the other.
        running, leaking, adding = Signal(), Signal(), Signal()
        block, last, tile, row = Signal.like(self.blocks), Signal(), Signal(bits_for(c.weight_tiles)), Signal(low)
        head = placed.o.payload.event
        ours, walking, take, over = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            ours.eq(~head.end & (head.step == self.step)), walking.eq(leaking | adding),
            take.eq(running & placed.o.valid & ours & (~walking | last)),
            over.eq(running & placed.o.valid & ~ours & ~walking),
            placed.o.ready.eq(take | (over & self.last)),
        ]
        with m.If(walking & last):
            m.d.sync += [leaking.eq(0), adding.eq(0), block.eq(0)]
        with m.Elif(walking):
            m.d.sync += [block.eq(block + 1), last.eq(block + 2 == blocks), tile.eq(tile + 1)]
        with m.If(take):
            m.d.sync += [adding.eq(1), last.eq(blocks == 1), tile.eq(tile_base + placed.o.payload.offset), row.eq(head.index[:low])]
        with m.If(self.start):
            m.d.sync += [running.eq(1), leaking.eq(1), last.eq(blocks == 1)]
        with m.Elif(over):
            m.d.sync += running.eq(0)
        m.d.sync += self.done.eq(over)
        m.d.comb += [self.w_en.eq(adding), self.w_tile.eq(tile), self.w_row.eq(row)]

        # Stages behind the walk: those of the weight memory.
        pipe = [Signal(_StageLayout(c), name=f"stage_{n}") for n in range(TransposableMemory.READ_LATENCY + 1)]
        m.d.comb += [
            pipe[0].add.eq(adding), pipe[0].leak.eq(leaking), pipe[0].write.eq(adding | self.fires | ~self.last),
            pipe[0].first.eq(self.step == 0), pipe[0].last.eq(last), pipe[0].opens.eq(leaking & (block == 0) & (self.step != 0)),
            pipe[0].address.eq(base + block), self.readable.eq(pipe[3].opens),
        ]
        m.d.sync += [late.eq(early) for early, late in zip(pipe, pipe[1:])]
        self._lanes(m, pipe)
        return m

    def _lanes(self, m, pipe):
        """Of an event: sum and write in stage 4. Of a leak: saturation in stage 2, product, threshold and write of V in 3, rounding
        and write in 4; both write in the same stage, so that events may follow a leak pass at once."""
        c, lanes, membrane = self._config, self._config.lanes, LifFormats(self._config).membrane
        total = membrane_sum(c)
        # The first read port adds, leaks and serves the host. V has one reader, who knows his addresses a cycle ahead himself.
        sums = part(m, self._lent, "sums",
                    lambda: LaneRam(shape_of(total), lanes, c.neuron_blocks, transparent=True, ahead=1))
        potentials = part(m, self._lent, "potentials",
                          lambda: LaneRam(shape_of(membrane), lanes, c.neuron_blocks, second=True, ahead=1))
        products = part(m, self._lent, "leak_products", lambda: LaneProducts(shape_of(membrane), shape_of(DECAY), lanes))
        m.d.comb += [
            sums.r_en.eq(pipe[0].leak | pipe[2].add | self.sum_en),
            sums.r_addr.eq(Mux(pipe[0].leak, pipe[0].address, Mux(pipe[2].add, pipe[2].address, self.sum_addr))),
            sums.w_en.eq((pipe[3].add | pipe[3].leak) & pipe[3].write), sums.w_addr.eq(pipe[3].address),
            potentials.w_en.eq(pipe[2].leak), potentials.w_addr.eq(pipe[2].address),
        ]
        look, fresh, partly, multiply, arrive, add, leak, fires = (spread(m, signal, lanes, name) for signal, name in (
            (pipe[1].leak, "look"), (pipe[1].first, "fresh"), (pipe[1].last, "partly"), (pipe[2].leak, "multiply"),
            (pipe[2].add, "arrive"), (pipe[3].add, "add"), (self.leak, "leak_here"), (self.fires, "fires_here")))
        final = Signal(bits_for(lanes))  # last lane with a neuron in the last block
        over = Signal(lanes)
        m.d.sync += [final.eq(self.size - 1), self.saturated.eq(sum(over[k] for k in range(lanes)))]
        half = 1 << (DECAY.fraction - 1)
        reset = half - (membrane.one << DECAY.fraction)
        for k in range(lanes):
            weight = Signal(shape_of(c.weight), name=f"weight_{k}")
            sum_now, potential = Signal(shape_of(total), name=f"sum_{k}"), Signal(shape_of(membrane), name=f"potential_{k}")
            fired = Signal(name=f"fired_{k}")
            with m.If(look[k]):
                m.d.comb += sum_now.eq(Mux(fresh[k], 0, sums.r_data[k]))
                m.d.sync += potential.eq(saturate(sum_now, membrane))
            m.d.sync += over[k].eq(overflows(sum_now, membrane) & (~partly[k] | (k <= final)))
            m.d.comb += [products.en[k].eq(multiply[k]), products.a[k].eq(potential), products.b[k].eq(leak[k])]
            with m.If(multiply[k]):
                m.d.sync += fired.eq(fires[k] & (potential > membrane.one))
            with m.If(arrive[k]):
                m.d.sync += weight.eq(self.w_data[k])
            with m.If(add[k]):
                m.d.comb += sums.w_data[k].eq(sums.r_data[k] + weight)
            with m.Else():
                # One addition rounds and resets. B = 1.0 needs no case of its own: half a bit more does not reach the next one.
                m.d.comb += sums.w_data[k].eq((products.product[k] + Mux(fired, reset, half)) >> DECAY.fraction)
            m.d.comb += [
                potentials.w_data[k].eq(potential), potentials.s_en[k].eq(self.r_en[k]), potentials.s_addr[k].eq(self.r_addr[k]),
                self.potentials[k].eq(potentials.s_data[k]), self.sums[k].eq(sums.r_data[k]),
            ]
