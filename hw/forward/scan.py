"""Serialises accumulated neurons: of each block only those that fired (of the output layer, all)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.priority import lowest_bit
from ..layouts import block_count_bits, shape_of
from .rule import NeuronLayout, classify

__all__ = ["NeuronScan"]


class NeuronScan(wiring.Component):
    """Walks the blocks of a layer's accumulators; a block takes max(1, neurons sent) cycles.

    First slot 4 cycles after ``start``. Silent neurons cost nothing.

    Members
    -------
    start : In(1). Begin; ``count``, ``blocks``, ``base``, ``output``, ``potential`` are taken in this cycle.
    count, blocks, base : In. Neurons and blocks of the layer, address of its first block.
    output, potential : In(1). Send every neuron; mark them for readout POTENTIAL.
    r_en, r_addr : Out; slopes, levels : In, arrays of P. Read port of the accumulators (latency 1).
    neuron : Out(NeuronLayout), a register. One slot a cycle, empty when neither ``item`` nor ``block_last`` is set.
    busy : Out(1). More slots will come.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({
            "start": In(1), "count": In(16), "blocks": In(block_count_bits(config)),
            "base": In(bits_for(config.neuron_blocks)), "output": In(1), "potential": In(1),
            "r_en": Out(1), "r_addr": Out(bits_for(config.neuron_blocks)),
            "slopes": In(shape_of(config.slope)).array(config.lanes),
            "levels": In(shape_of(config.level)).array(config.lanes),
            "neuron": Out(NeuronLayout(config)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, lanes = self._config, self._config.lanes
        low = bits_for(lanes)

        # Fetch: the accumulators' read register always holds the next block.
        address, left = Signal.like(self.r_addr), Signal.like(self.blocks)
        fetched, take = Signal(), Signal()
        output, potential, count = Signal(), Signal(), Signal(16)
        m.d.comb += [self.r_en.eq((left != 0) & (~fetched | take)), self.r_addr.eq(address)]
        with m.If(self.r_en):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1), fetched.eq(1)]
        with m.Elif(take):
            m.d.sync += fetched.eq(0)

        # Hold: one block, its remaining neurons as a mask.
        held, last, mask = Signal(), Signal(), Signal(lanes)
        slopes = [Signal.like(slope, name=f"slope_{k}") for k, slope in enumerate(self.slopes)]
        levels = [Signal.like(level, name=f"level_{k}") for k, level in enumerate(self.levels)]
        block = Signal(range(-(-c.max_neurons // lanes) + 1))
        wanted = Signal(lanes)
        for k in range(lanes):
            fires = classify(c, self.slopes[k], self.levels[k])[2]
            m.d.comb += wanted[k].eq((fires | output) & (((block << low) | k) < count))
        rest, lane = Signal(lanes), Signal(low)
        m.d.comb += [rest.eq(mask & (mask - 1)), take.eq(fetched & (~held | (rest == 0)))]
        with m.If(take):
            m.d.sync += [held_value.eq(value) for held_value, value in zip(slopes + levels, self.slopes + self.levels)]
            m.d.sync += [mask.eq(wanted), held.eq(1), last.eq(left == 0), block.eq(block + 1)]
        with m.Elif(held):
            m.d.sync += mask.eq(rest)
            with m.If(rest == 0):
                m.d.sync += held.eq(0)
        with m.If(self.start):
            m.d.sync += [address.eq(self.base), left.eq(self.blocks), count.eq(self.count), block.eq(0),
                         output.eq(self.output), potential.eq(self.potential)]

        with m.If(held):
            with m.Switch(lane):
                for k in range(lanes):
                    with m.Case(k):
                        m.d.sync += [self.neuron.slope.eq(slopes[k]), self.neuron.level.eq(levels[k])]

        # Send: the lowest remaining lane, and the markers with the block's last slot.
        m.d.comb += lane.eq(lowest_bit(mask))
        m.d.sync += [
            self.neuron.item.eq(held & (mask != 0)),
            self.neuron.index.eq(((block - 1) << low) | lane),
            self.neuron.potential.eq(potential),
            self.neuron.block_last.eq(held & (rest == 0)),
            self.neuron.layer_last.eq(held & (rest == 0) & last),
        ]
        m.d.comb += self.busy.eq(held | fetched | (left != 0))
        return m
