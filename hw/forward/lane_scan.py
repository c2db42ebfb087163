"""Serialises blocks of a lane memory: of each block only the lanes that are wanted."""

from amaranth.hdl import Cat, Module, Shape, ShapeLike, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import bits_for
from ..arithmetic.priority import at_least, lowest_bit
from ..arithmetic.spread import spread

__all__ = ["LaneScan", "LaneSlotLayout"]

GROUP = 4
"""Lanes among which the first of two multiplexers chooses."""


def _with_bits(**shapes: ShapeLike) -> dict:
    """Those that have bits: Verilog knows no signals without."""
    return {name: shape for name, shape in shapes.items() if Shape.cast(shape).width}


class LaneSlotLayout(data.StructLayout):
    """A wanted lane: ``index`` counts from the first lane of the first block. ``block_last`` marks the last slot of a block,
    ``layer_last`` that of all blocks. A block without wanted lanes makes one slot, without ``item``: tag and markers only.
    ``value`` and ``tag`` exist if they have bits."""

    def __init__(self, lanes: int, value: ShapeLike, blocks: int, tag: ShapeLike):
        super().__init__({"item": 1, "index": bits_for(lanes * blocks), **_with_bits(value=value, tag=tag),
                          "block_last": 1, "layer_last": 1})


class LaneScan(wiring.Component):
    """Walks neighbouring blocks and sends the wanted lanes, lowest first; a block takes max(1, wanted lanes) cycles.

    With S the sum over the blocks: first slot 6 cycles after ``start``, ``done`` in cycle 3 + S after it, the last slot two cycles
    after ``done``. The next ``start`` may come from the cycle after ``done`` on.

    Parameters
    ----------
    lanes : P, a power of two.
    value : shape of a lane's value; without bits, there are no ``values`` and a slot's index says everything.
    depth : blocks of the memory.
    blocks : most blocks of a walk.
    tag : shape of what goes along with the slots; without bits, there is no ``tag``.

    Members
    -------
    start : In(1). Begin; ``blocks`` (at least one) and ``base``, the address of the first block, are taken in this cycle.
    r_en, r_addr (of each lane both) : Out; values : In, array of P. Read port of the memory (latency 1; what was read stays until
        the next read). Each block is read once, all of them by ``done``.
    idle, idle_addr : In. While idle, r_addr is what idle_addr was a cycle before; not while blocks are read. ``start`` comes first.
    number, last : Out. Of the block at ``values``: 0 for the first one; it is the last one.
    wanted : In(P). The lanes to send of the block at ``values``; may follow from these, ``number`` and ``last`` in the same cycle.
    tag : In. What it is in a slot's cycle of choice, two cycles before the slot, the slot carries: the last slot's, in that of
        ``done``.
    slot : Out(LaneSlotLayout), a register. One a cycle; there is none when neither ``item`` nor ``block_last`` is set.
    done : Out(1). The last slot is chosen. busy : Out(1). From the cycle after ``start`` to that before the last slot.
    """

    def __init__(self, lanes: int, value: ShapeLike, *, depth: int, blocks: int, tag: ShapeLike = 0):
        self._lanes, self._value, self._tag = lanes, _with_bits(value=value), _with_bits(tag=tag)
        super().__init__({
            "start": In(1), "blocks": In(bits_for(blocks + 1)), "base": In(bits_for(depth)),
            "r_en": Out(1).array(lanes), "r_addr": Out(bits_for(depth)).array(lanes),
            **({"values": In(value).array(lanes)} if self._value else {}),
            "idle": In(1), "idle_addr": In(bits_for(depth)),
            "number": Out(bits_for(blocks)), "last": Out(1), "wanted": In(lanes), **({"tag": In(tag)} if self._tag else {}),
            "slot": Out(LaneSlotLayout(lanes, value, blocks, tag)), "done": Out(1), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self._lanes

        # What moves the values below is known to each lane from registers near to it: one for all would be too far from most.
        names = ("more", "fetched", "ahead", "held", "single")
        next_of = {name: Signal(name=f"{name}_next") for name in names}
        near = {name: spread(m, value, lanes, name) for name, value in next_of.items()}
        here = more, fetched, ahead, held, single = [Signal(name=f"{name}_here", attrs={"keep": 1}) for name in names]
        for own, value in zip(here, next_of.values(), strict=True):
            m.d.comb += value.eq(own)
            m.d.sync += own.eq(value)
        takes = [~h | s for h, s in zip(near["held"], near["single"])]
        moves = [~a | take for a, take in zip(near["ahead"], takes)]
        take, move, read = Signal(), Signal(), Signal()
        m.d.comb += [take.eq(~held | single), move.eq(~ahead | take), read.eq(more & (~fetched | move))]

        # Fetch: the memory's read register holds a block.
        address, left = Signal.like(self.base), Signal.like(self.blocks)  # of the next cycle
        addresses = spread(m, address, lanes, "r_address")
        m.d.comb += self.last.eq(~more)
        m.d.comb += [own.eq(copy) for own, copy in zip(self.r_addr, addresses, strict=True)]
        m.d.comb += [own.eq(some & (~fetched | move))
                     for own, some, fetched, move in zip(self.r_en, near["more"], near["fetched"], moves)]
        with m.If(self.start):
            m.d.comb += address.eq(self.base)
        with m.Elif(self.idle):
            m.d.comb += address.eq(self.idle_addr)
        with m.Else():
            m.d.comb += address.eq(addresses[0] + read)
        with m.If(read):
            m.d.sync += left.eq(left - 1)
            m.d.comb += [next_of["more"].eq(left != 1), next_of["fetched"].eq(1)]
        with m.Elif(move):
            m.d.comb += next_of["fetched"].eq(0)

        # Ahead: the next block, which of its lanes are wanted as a mask, its number and whether it is the last.
        given = list(self.values) if self._value else []
        next_values = [Signal(value.shape(), name=f"next_value_{k}") for k, value in enumerate(given)]
        next_mask, next_number, next_last = Signal(lanes), Signal.like(self.number), Signal()
        with m.If(move):
            m.d.comb += next_of["ahead"].eq(fetched)
            with m.If(fetched):
                m.d.sync += [next_mask.eq(self.wanted), next_number.eq(self.number), next_last.eq(self.last),
                             self.number.eq(self.number + 1)]
        for later, value, move_here, fetched_here in zip(next_values, given, moves, near["fetched"]):
            with m.If(move_here & fetched_here):
                m.d.sync += later.eq(value)
        with m.If(self.start):
            m.d.sync += [left.eq(self.blocks), self.number.eq(0)]
            m.d.comb += next_of["more"].eq(1)

        # Held: one block, its remaining lanes as a mask. Whether the next slot is its last is a register, because it moves
        # everything above.
        values = [Signal(value.shape(), name=f"held_value_{k}") for k, value in enumerate(given)]
        mask, number, last = Signal(lanes), Signal.like(self.number), Signal()
        for later, value, take_here, ahead_here in zip(values, next_values, takes, near["ahead"]):
            with m.If(take_here & ahead_here):
                m.d.sync += later.eq(value)
        with m.If(take):
            m.d.comb += next_of["held"].eq(ahead)
            with m.If(ahead):
                m.d.sync += [mask.eq(next_mask), number.eq(next_number), last.eq(next_last)]
                m.d.comb += next_of["single"].eq(~at_least(next_mask, 2))
            with m.Else():
                m.d.sync += mask.eq(0)
        with m.Else():
            m.d.sync += mask.eq(mask & (mask - 1))
            m.d.comb += next_of["single"].eq(~at_least(mask, 3))
        sending = Signal()
        m.d.sync += sending.eq(held)
        m.d.comb += [self.done.eq(held & single & last), self.busy.eq(sending | held | ahead | fetched | more)]
        self._send(m, held, sending, mask, single, number, values)
        return m

    def _send(self, m, held, sending, mask, single, number, values):
        """The lowest remaining lane, and the markers with the block's last slot: the lowest of each group of lanes, then of
        the groups."""
        lanes = self._lanes
        groups = [range(first, min(first + GROUP, lanes)) for first in range(0, lanes, GROUP)]
        chosen, candidates = Signal(bits_for(len(groups))), []
        for g, group in enumerate(groups):
            inner = mask[group.start:group.stop]
            candidate = Signal(data.StructLayout({"lane": range(len(group)), **self._value}), name=f"candidate_{g}")
            with m.If(inner.any()):
                m.d.sync += candidate.lane.eq(lowest_bit(inner))
                with m.Switch(lowest_bit(inner)):
                    for k, value in enumerate(values[group.start:group.stop]):
                        with m.Case(k):
                            m.d.sync += candidate.value.eq(value)
            candidates.append(candidate)
        m.d.sync += chosen.eq(lowest_bit(Cat(mask[group.start:group.stop].any() for group in groups)))

        late = Signal(data.StructLayout({"item": 1, "block_last": 1, "layer_last": 1, "number": number.shape(), **self._tag}))
        m.d.sync += [
            late.item.eq(held & mask.any()), late.block_last.eq(held & single), late.layer_last.eq(self.done),
            late.number.eq(number), *(late[name].eq(getattr(self, name)) for name in self._tag),
            *(self.slot[name].eq(late[name]) for name in ("item", "block_last", "layer_last")),
        ]
        with m.If(sending):
            m.d.sync += [self.slot[name].eq(late[name]) for name in self._tag]
            with m.Switch(chosen):
                for g, candidate in enumerate(candidates):
                    with m.Case(g):
                        within = Cat(candidate.lane, chosen) if len(groups) > 1 else candidate.lane
                        m.d.sync += self.slot.index.eq(Cat(within, late.number))
                        m.d.sync += [self.slot[name].eq(candidate[name]) for name in self._value]
