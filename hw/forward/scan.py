"""Serialises accumulated neurons: of each block only those that fired (of the output layer, all)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..layouts import block_count_bits, shape_of
from .lane_scan import LaneScan
from .rule import NeuronLayout, classify

__all__ = ["NeuronScan"]


class NeuronScan(wiring.Component):
    """Walks the blocks of a layer's accumulators; a block takes max(1, neurons sent) cycles.

    First slot 6 cycles after ``start``. Silent neurons cost nothing.

    Members
    -------
    start : In(1). Begin; ``count``, ``blocks``, ``base``, ``output``, ``potential`` are taken in this cycle.
    count, blocks, base : In. Neurons and blocks of the layer, address of its first block.
    output, potential : In(1). Send every neuron; mark them for readout POTENTIAL.
    r_en, r_addr (of each lane both) : Out; slopes, levels : In, arrays of P. Read port of the accumulators (latency 1).
    idle, idle_addr : In. While idle, r_addr is what idle_addr was a cycle before.
    neuron : Out(NeuronLayout), a register. One slot a cycle, empty when neither ``item`` nor ``block_last`` is set.
    busy : Out(1). More slots will come.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({
            "start": In(1), "count": In(16), "blocks": In(block_count_bits(config)),
            "base": In(bits_for(config.neuron_blocks)), "output": In(1), "potential": In(1),
            "r_en": Out(1).array(config.lanes), "r_addr": Out(bits_for(config.neuron_blocks)).array(config.lanes),
            "idle": In(1), "idle_addr": In(bits_for(config.neuron_blocks)),
            "slopes": In(shape_of(config.slope)).array(config.lanes),
            "levels": In(shape_of(config.level)).array(config.lanes),
            "neuron": Out(NeuronLayout(config)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, lanes = self._config, self._config.lanes
        sums = data.StructLayout({"slope": shape_of(c.slope), "level": shape_of(c.level)})
        m.submodules.walk = walk = LaneScan(lanes, sums, depth=c.neuron_blocks, blocks=-(-c.max_neurons // lanes), tag=1)

        output, potential, count = Signal(), Signal(), Signal(16)
        with m.If(self.start):
            m.d.sync += [count.eq(self.count), output.eq(self.output), potential.eq(self.potential)]
        m.d.comb += [
            walk.start.eq(self.start), walk.blocks.eq(self.blocks), walk.base.eq(self.base), walk.tag.eq(potential),
            walk.idle.eq(self.idle), walk.idle_addr.eq(self.idle_addr), self.busy.eq(walk.busy),
        ]

        block, low = walk.number, bits_for(lanes)
        for k in range(lanes):
            fires = classify(c, self.slopes[k], self.levels[k])[2]
            m.d.comb += [
                self.r_en[k].eq(walk.r_en[k]), self.r_addr[k].eq(walk.r_addr[k]),
                walk.values[k].slope.eq(self.slopes[k]), walk.values[k].level.eq(self.levels[k]),
                walk.wanted[k].eq((fires | output) & (((block << low) | k) < count)),
            ]

        slot = walk.slot
        m.d.comb += [
            self.neuron.potential.eq(slot.tag), self.neuron.slope.eq(slot.value.slope), self.neuron.level.eq(slot.value.level),
            *(self.neuron[name].eq(slot[name]) for name in ("item", "index", "block_last", "layer_last")),
        ]
        return m
