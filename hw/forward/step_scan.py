"""Serialises a leaky layer's potentials: of each block only neurons that fired or are active (of the output layer, all)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import LifFormats
from ..arithmetic.priority import at_least, lowest_bit
from ..arithmetic.spread import spread
from ..layouts import block_count_bits, shape_of
from .lif_rule import LeakyNeuronLayout, window_shape
from .scan import GROUP

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
    r_en, r_addr (of each lane) : Out; potentials : In, array of P. Read port of the potentials (latency 1).
    neuron : Out(LeakyNeuronLayout), a register. One slot a cycle; a block without neurons makes one that is empty.
    done : Out(1). The last slot is chosen, all potentials have been read. busy : Out(1). More slots will come.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        block = bits_for(config.neuron_blocks)
        super().__init__({
            "start": In(1), "step": In(bits_for(config.max_steps + 1)), "blocks": In(block_count_bits(config)), "base": In(block),
            "size": In(16), "output": In(1), "listing": In(1), "window": In(window_shape(config)),
            "r_en": Out(1), "r_addr": Out(block).array(config.lanes),
            "potentials": In(shape_of(LifFormats(config).membrane)).array(config.lanes),
            "neuron": Out(LeakyNeuronLayout(config)), "done": Out(1), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, lanes, one = self._config, self._config.lanes, LifFormats(self._config).membrane.one

        # Fetch: the potentials' read register holds a block.
        address, left = Signal.like(self.base), Signal.like(self.blocks)  # of the next cycle
        addresses = spread(m, address, lanes, "r_address")
        more, fetched, ahead, held = (Signal(name=name) for name in ("more", "fetched", "ahead", "held"))
        move, take = Signal(), Signal()
        m.d.comb += self.r_en.eq(more & (~fetched | move))
        m.d.comb += [own.eq(copy) for own, copy in zip(self.r_addr, addresses, strict=True)]
        with m.If(self.start):
            m.d.comb += address.eq(self.base)
        with m.Else():
            m.d.comb += address.eq(addresses[0] + self.r_en)
        with m.If(self.r_en):
            m.d.sync += [left.eq(left - 1), more.eq(left != 1), fetched.eq(1)]
        with m.Elif(move):
            m.d.sync += fetched.eq(0)

        # Ahead: the next block, which of its neurons are wanted as a mask, its number and whether it is the layer's last. Whoever
        # is above the window has fired, so that one bound says who is wanted.
        values = list(self.potentials)
        next_values = [Signal.like(value, name=f"next_value_{n}") for n, value in enumerate(values)]
        next_mask, next_number, next_last = Signal(lanes), Signal(range(-(-c.max_neurons // lanes) + 1)), Signal()
        block, wanted, final = Signal.like(next_number), Signal(lanes), Signal(bits_for(lanes))
        bound = spread(m, Mux(self.listing, one - self.window, one), lanes, "bound")
        output = spread(m, self.output, lanes, "output_here")
        m.d.comb += move.eq(~ahead | take)
        m.d.sync += final.eq(self.size - 1)
        for k, value in enumerate(values):
            m.d.comb += wanted[k].eq((output[k] | (value > bound[k])) & (more | (k <= final)))
        with m.If(move):
            m.d.sync += ahead.eq(fetched)
            with m.If(fetched):
                m.d.sync += [later.eq(value) for later, value in zip(next_values, values)]
                m.d.sync += [next_mask.eq(wanted), next_number.eq(block), next_last.eq(~more), block.eq(block + 1)]
        step = Signal.like(self.step)
        with m.If(self.start):
            m.d.sync += [left.eq(self.blocks), more.eq(1), block.eq(0), step.eq(self.step)]

        # Held: one block, its remaining neurons as a mask. Whether the next slot is its last is a register, because it
        # moves everything above.
        held_values = [Signal.like(value, name=f"held_value_{n}") for n, value in enumerate(values)]
        mask, number, last, single = Signal(lanes), Signal.like(next_number), Signal(), Signal()
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
        m.d.comb += [self.done.eq(held & single & last), self.busy.eq(sending | held | ahead | fetched | more)]
        self._send(m, held, sending, mask, self.done, number, step, held_values)
        return m

    def _send(self, m, held, sending, mask, last, number, step, values):
        """The lowest remaining lane, and the marker with the last slot: the lowest of each group of lanes, then of the groups."""
        lanes = self._config.lanes
        groups = [range(first, min(first + GROUP, lanes)) for first in range(0, lanes, GROUP)]
        chosen = Signal(bits_for(len(groups)))
        candidates = []
        for g, group in enumerate(groups):
            inner, lane = mask[group.start:group.stop], Signal(range(len(group)), name=f"lane_{g}")
            value = Signal.like(values[0], name=f"value_{g}")
            with m.If(inner.any()):
                m.d.sync += lane.eq(lowest_bit(inner))
                with m.Switch(lowest_bit(inner)):
                    for k in range(len(group)):
                        with m.Case(k):
                            m.d.sync += value.eq(values[group[k]])
            candidates.append((value, lane))
        late_item, late_last, late_number, late_step = Signal(), Signal(), Signal.like(number), Signal.like(step)
        m.d.sync += [
            chosen.eq(lowest_bit(Cat(mask[group.start:group.stop].any() for group in groups))),
            late_item.eq(held & mask.any()), late_last.eq(last), late_number.eq(number), late_step.eq(step),
            self.neuron.item.eq(late_item), self.neuron.last.eq(late_last),
        ]
        with m.If(sending):
            m.d.sync += self.neuron.step.eq(late_step)
            with m.Switch(chosen):
                for g, (value, lane) in enumerate(candidates):
                    with m.Case(g):
                        within = Cat(lane, chosen) if len(groups) > 1 else lane
                        m.d.sync += [self.neuron.potential.eq(value), self.neuron.index.eq(Cat(within, late_number))]
