"""Serialises accumulated neurons: of each block only those that fired (of the output layer, all)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.priority import at_least, lowest_bit
from ..arithmetic.spread import spread
from ..layouts import block_count_bits, shape_of
from .rule import NeuronLayout, classify

__all__ = ["NeuronScan"]

GROUP = 4
"""Lanes among which the first of two multiplexers chooses."""


class NeuronScan(wiring.Component):
    """Walks the blocks of a layer's accumulators; a block takes max(1, neurons sent) cycles.

    First slot 6 cycles after ``start``. Silent neurons cost nothing.

    Members
    -------
    start : In(1). Begin; ``count``, ``blocks``, ``base``, ``output``, ``potential`` are taken in this cycle.
    count, blocks, base : In. Neurons and blocks of the layer, address of its first block.
    output, potential : In(1). Send every neuron; mark them for readout POTENTIAL.
    r_en, r_addr (of each lane) : Out; slopes, levels : In, arrays of P. Read port of the accumulators (latency 1).
    idle, idle_addr : In. While idle, r_addr is what idle_addr was a cycle before.
    neuron : Out(NeuronLayout), a register. One slot a cycle, empty when neither ``item`` nor ``block_last`` is set.
    busy : Out(1). More slots will come.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({
            "start": In(1), "count": In(16), "blocks": In(block_count_bits(config)),
            "base": In(bits_for(config.neuron_blocks)), "output": In(1), "potential": In(1),
            "r_en": Out(1), "r_addr": Out(bits_for(config.neuron_blocks)).array(config.lanes),
            "idle": In(1), "idle_addr": In(bits_for(config.neuron_blocks)),
            "slopes": In(shape_of(config.slope)).array(config.lanes),
            "levels": In(shape_of(config.level)).array(config.lanes),
            "neuron": Out(NeuronLayout(config)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, lanes = self._config, self._config.lanes
        low = bits_for(lanes)

        # Fetch: the accumulators' read register holds a block.
        address, left = Signal.like(self.base), Signal.like(self.blocks)  # of the next cycle
        addresses = spread(m, address, lanes, "r_address")
        more, fetched, ahead, held = (Signal(name=name) for name in ("more", "fetched", "ahead", "held"))
        move, take = Signal(), Signal()
        output, potential, count = Signal(), Signal(), Signal(16)
        m.d.comb += self.r_en.eq(more & (~fetched | move))
        m.d.comb += [own.eq(copy) for own, copy in zip(self.r_addr, addresses, strict=True)]
        with m.If(self.start):
            m.d.comb += address.eq(self.base)
        with m.Elif(self.idle):
            m.d.comb += address.eq(self.idle_addr)
        with m.Else():
            m.d.comb += address.eq(addresses[0] + self.r_en)
        with m.If(self.r_en):
            m.d.sync += [left.eq(left - 1), more.eq(left != 1), fetched.eq(1)]
        with m.Elif(move):
            m.d.sync += fetched.eq(0)

        # Ahead: the next block, which of its neurons are wanted as a mask, its number and whether it is the layer's last.
        values = [*self.slopes, *self.levels]
        next_values = [Signal.like(value, name=f"next_value_{n}") for n, value in enumerate(values)]
        next_mask, next_number, next_last = Signal(lanes), Signal(range(-(-c.max_neurons // lanes) + 1)), Signal()
        block, wanted = Signal.like(next_number), Signal(lanes)
        m.d.comb += move.eq(~ahead | take)
        for k in range(lanes):
            fires = classify(c, self.slopes[k], self.levels[k])[2]
            m.d.comb += wanted[k].eq((fires | output) & (((block << low) | k) < count))
        with m.If(move):
            m.d.sync += ahead.eq(fetched)
            with m.If(fetched):
                m.d.sync += [later.eq(value) for later, value in zip(next_values, values)]
                m.d.sync += [next_mask.eq(wanted), next_number.eq(block), next_last.eq(~more), block.eq(block + 1)]
        with m.If(self.start):
            m.d.sync += [left.eq(self.blocks), more.eq(1), count.eq(self.count), block.eq(0),
                         output.eq(self.output), potential.eq(self.potential)]

        # Held: one block, its remaining neurons as a mask. Whether the next slot is its last is a register, because it
        # moves everything above.
        held_values = [Signal.like(value, name=f"held_value_{n}") for n, value in enumerate(values)]
        mask, number = Signal(lanes), Signal.like(next_number)
        last, single = Signal(), Signal()
        m.d.comb += take.eq(~held | single)
        with m.If(take):
            m.d.sync += held.eq(ahead)
            with m.If(ahead):
                m.d.sync += [later.eq(value) for later, value in zip(held_values, next_values)]
                m.d.sync += [mask.eq(next_mask), number.eq(next_number), last.eq(next_last), single.eq(~at_least(next_mask, 2))]
            with m.Else():
                m.d.sync += mask.eq(0)
        with m.Else():
            m.d.sync += [mask.eq(mask & (mask - 1)), single.eq(~at_least(mask, 3))]
        sending = Signal()
        m.d.sync += sending.eq(held)
        m.d.comb += self.busy.eq(sending | held | ahead | fetched | more)
        self._send(m, held, sending, mask, single, last, number, potential, held_values)
        return m

    def _send(self, m, held, sending, mask, single, last, number, potential, values):
        """The lowest remaining lane, and the markers with the block's last slot: the lowest of each group of lanes, then of
        the groups."""
        lanes = self._config.lanes
        slopes, levels = values[:lanes], values[lanes:]
        groups = [range(first, min(first + GROUP, lanes)) for first in range(0, lanes, GROUP)]
        chosen = Signal(bits_for(len(groups)))
        candidates = []
        for g, group in enumerate(groups):
            slope, level = Signal.like(slopes[0], name=f"slope_{g}"), Signal.like(levels[0], name=f"level_{g}")
            inner, lane = mask[group.start:group.stop], Signal(range(len(group)), name=f"lane_{g}")
            with m.If(inner.any()):
                m.d.sync += lane.eq(lowest_bit(inner))
                with m.Switch(lowest_bit(inner)):
                    for k in range(len(group)):
                        with m.Case(k):
                            m.d.sync += [slope.eq(slopes[group[k]]), level.eq(levels[group[k]])]
            candidates.append((slope, level, lane))
        m.d.sync += chosen.eq(lowest_bit(Cat(mask[group.start:group.stop].any() for group in groups)))
        late = {name: Signal(name=name) for name in ("item", "block_last", "layer_last")}
        late_number = Signal.like(number)
        m.d.sync += [
            late["item"].eq(held & mask.any()), late["block_last"].eq(held & single), late["layer_last"].eq(held & single & last),
            late_number.eq(number), self.neuron.potential.eq(potential), *(self.neuron[name].eq(late[name]) for name in late),
        ]
        with m.If(sending):
            with m.Switch(chosen):
                for g, (slope, level, lane) in enumerate(candidates):
                    with m.Case(g):
                        within = Cat(lane, chosen) if len(groups) > 1 else lane
                        m.d.sync += [self.neuron.slope.eq(slope), self.neuron.level.eq(level),
                                     self.neuron.index.eq(Cat(within, late_number))]
