"""Serialises a leaky layer's potentials: of each block only neurons that fired or are active (of the output layer, all)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import LifFormats
from ..arithmetic.spread import spread
from ..layouts import block_count_bits, shape_of
from .lane_scan import LaneScan
from .lif_rule import LeakyNeuronLayout, window_shape

__all__ = ["StepScan"]


class StepScan(wiring.Component):
    """Walks the blocks of a layer's potentials; a block takes max(1, neurons sent) cycles.

    With S the sum over the blocks: first slot 6 cycles after ``start``, ``done`` in cycle 3 + S after it, the last slot two cycles
    after ``done``. The next ``start`` may come from the cycle after ``done`` on.

    Members
    -------
    start : In(1). Begin; ``step`` is taken in this cycle.
    step : In. Of the potentials. blocks, base, size : In. Blocks, address of the first one, and neurons of the layer.
    output : In(1). Send every neuron. listing : In(1). Send active neurons, too. window : In(19). w. All but ``step`` are
        stable from the cycle before ``start`` on, until ``done``.
    r_en, r_addr (of each lane both) : Out; potentials : In, array of P. Read port of the potentials (latency 1).
    neuron : Out(LeakyNeuronLayout), a register. One slot a cycle; a block without neurons makes one that is empty.
    done : Out(1). The last slot is chosen, all potentials have been read. busy : Out(1). More slots will come.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        block = bits_for(config.neuron_blocks)
        super().__init__({
            "start": In(1), "step": In(bits_for(config.max_steps + 1)), "blocks": In(block_count_bits(config)), "base": In(block),
            "size": In(16), "output": In(1), "listing": In(1), "window": In(window_shape(config)),
            "r_en": Out(1).array(config.lanes), "r_addr": Out(block).array(config.lanes),
            "potentials": In(shape_of(LifFormats(config).membrane)).array(config.lanes),
            "neuron": Out(LeakyNeuronLayout(config)), "done": Out(1), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, lanes, membrane = self._config, self._config.lanes, LifFormats(self._config).membrane
        m.submodules.walk = walk = LaneScan(lanes, shape_of(membrane), depth=c.neuron_blocks, blocks=-(-c.max_neurons // lanes),
                                            tag=self.step.shape())

        step = Signal.like(self.step)
        with m.If(self.start):
            m.d.sync += step.eq(self.step)
        m.d.comb += [
            walk.start.eq(self.start), walk.blocks.eq(self.blocks), walk.base.eq(self.base), walk.tag.eq(step),
            self.done.eq(walk.done), self.busy.eq(walk.busy),
        ]

        # Whoever is above the window has fired, so that one bound says who is wanted.
        bound = spread(m, Mux(self.listing, membrane.one - self.window, membrane.one), lanes, "bound")
        output = spread(m, self.output, lanes, "output_here")
        final = Signal(bits_for(lanes))
        m.d.sync += final.eq(self.size - 1)
        for k, value in enumerate(self.potentials):
            m.d.comb += [
                self.r_en[k].eq(walk.r_en[k]), self.r_addr[k].eq(walk.r_addr[k]), walk.values[k].eq(value),
                walk.wanted[k].eq((output[k] | (value > bound[k])) & (~walk.last | (k <= final))),
            ]

        slot = walk.slot
        m.d.comb += [self.neuron.item.eq(slot.item), self.neuron.step.eq(slot.tag), self.neuron.index.eq(slot.index),
                     self.neuron.potential.eq(slot.value), self.neuron.last.eq(slot.layer_last)]
        return m
