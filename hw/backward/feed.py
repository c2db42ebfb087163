"""Error of each listed neuron and its backward factors g and h. Golden model: model/exact/backward.py."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.rounding import overflows, round_shift, saturate
from ..arithmetic.spread import spread
from ..layouts import SLOT_BITS, ActiveLayout, block_count_bits, shape_of

__all__ = ["ErrorFeed", "JobLayout"]


class JobLayout(data.StructLayout):
    """One listed neuron j: its factors, the first gradient word of its column, and how many of e, g, h saturated."""

    def __init__(self, config: CoreConfig):
        error = shape_of(config.error)
        super().__init__({"index": bits_for(config.max_neurons), "g": error, "h": error,
                          "column": bits_for(config.gradient_words), "saturated": 2})


class ErrorFeed(wiring.Component):
    """Walks an active list and makes a job of each entry. First job 8 cycles after ``start``, then one a cycle.

    Members
    -------
    start, count, output : In. Begin a list of ``count`` entries; errors come from the output layer when ``output``.
    slot, base, column_base, in_blocks : In. Sample slot, first block and first gradient word of the layer, blocks of
        the layer before; stable until the last job was taken.
    list_en, list_index, list_entry : read port of the active list (latency 1).
    output_en, output_addr, output_data : read port of the output errors, {slot, k} (latency 1).
    sum_en, sum_addr (of each lane), sum_data : read port of the error accumulators (latency 1).
    o_jobs : Out(stream JobLayout).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        count, block, slot = bits_for(config.max_neurons + 1), bits_for(config.neuron_blocks), SLOT_BITS
        super().__init__({
            "start": In(1), "count": In(count), "output": In(1), "slot": In(slot), "base": In(block),
            "column_base": In(bits_for(config.gradient_words)),
            "in_blocks": In(block_count_bits(config)),
            "list_en": Out(1), "list_index": Out(count), "list_entry": In(ActiveLayout(config)),
            "output_en": Out(1), "output_addr": Out(bits_for(config.max_outputs) + slot),
            "output_data": In(shape_of(config.error)),
            "sum_en": Out(1), "sum_addr": Out(block).array(config.lanes),
            "sum_data": In(shape_of(config.error_sum)).array(config.lanes),
            "o_jobs": Out(stream.Signature(JobLayout(config))),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        low, q = bits_for(c.lanes), c.error
        advance, index, left = Signal(), Signal.like(self.list_index), Signal.like(self.count)
        valid = [Signal(name=f"valid_{n}") for n in range(8)]
        m.d.comb += [advance.eq(~valid[7] | self.o_jobs.ready), valid[0].eq(left != 0),
                     self.list_en.eq(advance & valid[0]), self.list_index.eq(index)]
        with m.If(self.start):
            m.d.sync += [index.eq(0), left.eq(self.count)]
        with m.Elif(advance & valid[0]):
            m.d.sync += [index.eq(index + 1), left.eq(left - 1)]

        # Stage 1: list entry. Stage 2: its error is asked for. Stage 3: the error's lane.
        entry = [self.list_entry] + [Signal(ActiveLayout(c), name=f"entry_{n}") for n in range(2, 7)]
        neuron, output = entry[1].index, Signal(bits_for(c.max_outputs))
        m.d.comb += [
            output.eq(neuron), self.output_en.eq(advance & valid[2]), self.output_addr.eq(Cat(output, self.slot)),
            self.sum_en.eq(advance & valid[2]),
        ]
        # The neuron's block, for each lane.
        block = Signal(bits_for(c.neuron_blocks))
        blocks = spread(m, block, c.lanes, "block")
        m.d.comb += [block.eq(Mux(advance, self.list_entry.index >> low, blocks[0])),
                     *(address.eq(self.base + here) for address, here in zip(self.sum_addr, blocks, strict=True))]
        summed, direct = Signal(shape_of(c.error_sum)), Signal(shape_of(q))

        # Stages 4 to 6: rounded error, products with the derivatives, factors.
        rounded, error = round_shift(summed, c.weight.fraction), Signal(shape_of(q))
        error_saturated, error_saturated_late = Signal(), Signal()
        g_product, h_product = (Signal(signed(q.bits + c.factor.bits + 1), name=name, reset_less=True)  # fpga/absorb.py
                                for name in ("g_product", "h_product"))
        g_round, h_round = (round_shift(product, c.factor.fraction) for product in (g_product, h_product))
        job = self.o_jobs.payload
        offset = Signal(bits_for(c.gradient_words), reset_less=True)
        with m.If(advance):
            m.d.sync += [late.eq(early) for early, late in zip(valid, valid[1:])]
            m.d.sync += [late.eq(early) for early, late in zip(entry, entry[1:])]
            m.d.sync += [
                direct.eq(self.output_data),
                error.eq(Mux(self.output, direct, saturate(rounded, q))),
                error_saturated.eq(~self.output & overflows(rounded, q)),
                g_product.eq(error * entry[4].level_factor), h_product.eq(error * entry[4].slope_factor),
                offset.eq(entry[4].index * self.in_blocks), error_saturated_late.eq(error_saturated),
                job.index.eq(entry[5].index), job.column.eq(self.column_base + offset),
                job.g.eq(saturate(g_round, q)), job.h.eq(saturate(h_round, q)),
                job.saturated.eq(error_saturated_late + overflows(g_round, q) + overflows(h_round, q)),
            ]
        with m.If(advance & valid[3] & ~self.output):
            with m.Switch(entry[2].index[:low]):
                for k in range(c.lanes):
                    with m.Case(k):
                        m.d.sync += summed.eq(self.sum_data[k])
        m.d.comb += self.o_jobs.valid.eq(valid[7])
        return m
