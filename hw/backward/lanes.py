"""Backward lanes: for each job, one pass over the presynaptic neurons, P a cycle, that makes the gradient
contributions g t - (h << tau) and adds B g to the presynaptic errors. Golden model: model/exact/backward.py."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule, bits_for
from ...spec.lif import LifFormats
from ..arithmetic.delay import delay, delays
from ..arithmetic.lane_products import LaneProducts
from ..arithmetic.spread import spread
from ..lane_parts import Parts, part
from ..layouts import block_count_bits, shape_of, spike_layout
from ..memory.lane_ram import LaneRam
from .feed import JobLayout

__all__ = ["BackwardLanes", "GradientWordLayout", "contribution_shape"]


def contribution_shape(config: CoreConfig):
    """A gradient contribution of one sample, the widest of the build's rules: g t - (h << tau), or c r of rule sparse-bptt."""
    bits = {Rule.TTFS: config.time_bits + 2, Rule.RATE: config.time_bits + 2, Rule.SPARSE_BPTT: LifFormats(config).trace.bits}
    return signed(config.error.bits + max(bits[rule] for rule in config.rules))


class GradientWordLayout(data.StructLayout):
    """A column block of one layer: its word in the gradient memory, its tile and column in the forward weights, the
    layer as l - 1, and the postsynaptic neuron (block_base P + j)."""

    def __init__(self, config: CoreConfig):
        super().__init__({
            "address": bits_for(config.gradient_words), "tile": bits_for(config.weight_tiles),
            "column": bits_for(config.lanes), "layer": bits_for(config.max_layers),
            "neuron": bits_for(config.neuron_blocks) + bits_for(config.lanes),
        })


class BackwardLanes(wiring.Component):
    """Takes ``in_blocks`` cycles a job, jobs follow each other without a gap; the pipeline is 5 stages deep.

    Parameters
    ----------
    lent : of ``error_products`` and ``time_products`` those that are not its own.

    Members
    -------
    layer, first_layer, in_blocks, out_blocks, tile_base, block_base, sum_base, feedback_offset : In. The layer as l - 1,
        whether it is the first (no feedback), its sizes, first tile, first blocks of its post- and presynaptic neurons, and what to
        subtract from a gradient address for the feedback address. Stable until ``idle``.
    restart : In(1). The next job is the layer's first: the presynaptic errors start from zero.
    i_jobs : In(stream JobLayout).
    block : Out; spikes_en : Out. Presynaptic block to read from the tape; ``spikes`` : In, one cycle later.
    feedback_en, feedback_addr, feedback_data : read port of the feedback memory (latency 1).
    word_en, word : Out. Address of the contributions that stand at ``contribution`` CONTRIBUTION_LATENCY cycles later.
    contribution : Out, P contributions.
    sum_en, sum_addr (of each lane), sum_data : read port of the error accumulators (latency 1).
    idle : Out(1). No job in work and the pipeline is empty.
    """

    CONTRIBUTION_LATENCY = 3

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent or {}
        blocks, block = block_count_bits(config), bits_for(config.neuron_blocks)
        feedback = bits_for(config.feedback_words)
        lanes = config.lanes
        super().__init__({
            "layer": In(bits_for(config.max_layers)), "first_layer": In(1), "in_blocks": In(blocks), "out_blocks": In(blocks),
            "tile_base": In(bits_for(config.weight_tiles)), "block_base": In(block), "sum_base": In(block),
            "feedback_offset": In(bits_for(config.gradient_words)),
            "restart": In(1), "i_jobs": In(stream.Signature(JobLayout(config))),
            "spikes_en": Out(1), "block": Out(blocks), "spikes": In(spike_layout(config)),
            "feedback_en": Out(1), "feedback_addr": Out(feedback),
            "feedback_data": In(shape_of(config.weight)).array(lanes),
            "word_en": Out(1), "word": Out(GradientWordLayout(config)),
            "contribution": Out(contribution_shape(config)).array(lanes),
            "sum_en": In(1), "sum_addr": In(block).array(lanes),
            "sum_data": Out(shape_of(config.error_sum)).array(lanes), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, low = self._config, bits_for(self._config.lanes)
        m.submodules.sums = sums = LaneRam(
            shape_of(c.error_sum), c.lanes, c.neuron_blocks, transparent=True, second=True, ahead=2)
        products = part(m, self._lent, "error_products", lambda: LaneProducts(shape_of(c.weight), shape_of(c.error), c.lanes))
        changes = part(m, self._lent, "time_products", lambda: LaneProducts(shape_of(c.error), shape_of(c.time), c.lanes))

        # Job register and its walk over the presynaptic blocks.
        job, valid, block, fresh = Signal(JobLayout(c)), Signal(), Signal.like(self.block), Signal()
        word, final, last, first = Signal(GradientWordLayout(c)), Signal(), Signal(), Signal()
        feedback_address = Signal.like(self.feedback_addr)
        m.d.comb += [last.eq(valid & final), self.i_jobs.ready.eq(~valid | last)]
        with m.If(valid):
            m.d.sync += [block.eq(block + 1), final.eq(block + 2 == self.in_blocks),
                         word.address.eq(word.address + 1), feedback_address.eq(feedback_address + 1),
                         word.tile.eq(word.tile + self.out_blocks)]
        with m.If(last):
            m.d.sync += [valid.eq(0), block.eq(0)]
        with m.If(self.restart):
            m.d.sync += fresh.eq(1)
        with m.If(self.i_jobs.valid & self.i_jobs.ready):
            taken = self.i_jobs.payload
            m.d.sync += [
                valid.eq(1), final.eq(self.in_blocks == 1), job.eq(taken), first.eq(fresh), fresh.eq(0),
                word.address.eq(taken.column), feedback_address.eq(taken.column - self.feedback_offset),
                word.tile.eq(self.tile_base + (taken.index >> low)), word.column.eq(taken.index[:low]),
                word.layer.eq(self.layer), word.neuron.eq((self.block_base << low) + taken.index),
            ]
        m.d.comb += [
            self.spikes_en.eq(valid), self.block.eq(block),
            self.feedback_en.eq(valid & ~self.first_layer), self.feedback_addr.eq(feedback_address),
        ]

        # Stage 1: operands leave their memories. Stage 2: they are here. Stage 3: products. Stage 4: contributions out.
        sum_address = Signal.like(sums.r_addr)
        m.d.comb += sum_address.eq(self.sum_base + block)
        valids = delays(m, valid, 3, "valid")
        summing, address = delay(m, self.feedback_en, 1, "summing"), delay(m, sum_address, 1, "sum_address")
        # What the lanes use in stages 2 and 3. Operands are taken in every cycle: there is no time to tell all lanes when.
        multiply, weigh, g = (spread(m, signal, c.lanes, name, 2) for signal, name in (
            (valid, "multiply"), (self.feedback_en, "weigh"), (job.g, "g")))
        finish, h, fresh_sum = (spread(m, signal, c.lanes, name, 3) for signal, name in (
            (valid, "finish"), (job.h, "h"), (first, "fresh_sum")))
        m.d.comb += [self.word_en.eq(valids[1]), self.word.eq(delay(m, word, 1, "word"))]
        for k in range(c.lanes):
            spike, time, fired = self.spikes[k], Signal(c.time.bits, name=f"time_{k}"), Signal(name=f"fired_{k}")
            weight, fired_late = Signal.like(self.feedback_data[k], name=f"weight_{k}"), Signal(name=f"fired_{k}_late")
            total = Signal(shape_of(c.error_sum), name=f"total_{k}")
            m.d.sync += [time.eq(c.window - spike.time), fired.eq(spike.fired), weight.eq(self.feedback_data[k])]
            with m.If(multiply[k]):
                m.d.sync += fired_late.eq(fired)
            with m.If(finish[k]):
                m.d.sync += self.contribution[k].eq(Mux(fired_late, changes.product[k] - (h[k] << c.time_bits), 0))
            m.d.comb += total.eq(Mux(fresh_sum[k], 0, sums.r_data[k]) + products.product[k])
            m.d.comb += [products.en[k].eq(weigh[k]), products.a[k].eq(weight), products.b[k].eq(g[k]),
                         changes.en[k].eq(multiply[k]), changes.a[k].eq(g[k]), changes.b[k].eq(time)]
            m.d.comb += [sums.w_data[k].eq(total), self.sum_data[k].eq(sums.s_data[k])]
        m.d.comb += [
            sums.r_en.eq(self.feedback_en), sums.r_addr.eq(sum_address), sums.w_en.eq(summing), sums.w_addr.eq(address),
            *(sums.s_en[k].eq(self.sum_en) for k in range(c.lanes)), *(sums.s_addr[k].eq(self.sum_addr[k]) for k in range(c.lanes)),
            self.idle.eq(~(Cat(valids).any() | delay(m, valids[3], 1, "valid_4"))),
        ]
        return m
