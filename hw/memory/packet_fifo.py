"""Queue whose words become visible packet by packet. Golden model: a Python list (tests/hw/memory)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["PacketFifo"]


class PacketFifo(wiring.Component):
    """Synchronous FIFO in block RAM that shows words to the reader only once they are committed.

    Latency: a word is valid at ``o`` two cycles after the cycle of its ``commit``, if nothing waits before it.
    Throughput: one word in and one word out in every cycle. ``i.ready`` is a register.

    At least ``depth - 1`` words can wait for their commit; a packet longer than that stalls for good. The read port
    needs no transparency: an address is read only after the cycle that committed it.

    Parameters
    ----------
    width : bits of a word.
    depth : words in the memory, a power of two (one more may wait in the output register).

    Members
    -------
    i : In(stream of width bits) words to write.
    commit : In(1) pulse: all words so far, one written in this cycle included, become visible.
    rewind : In(1) pulse: all words since the last commit, one written in this cycle included, are
        dropped; wins over ``commit``.
    o : Out(stream of width bits) committed words, first-word fall-through.

    Raises
    ------
    ValueError : when the depth is not a power of two of at least 2.
    """

    def __init__(self, width: int = 32, *, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth = {depth}: the queue's depth must be a power of two, at least 2")
        self.width = width
        self.depth = depth
        super().__init__({
            "i": In(stream.Signature(width)),
            "commit": In(1),
            "rewind": In(1),
            "o": Out(stream.Signature(width)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write_port = memory.write_port()
        read_port = memory.read_port()

        # Pointers carry one bit more than addresses: full and empty differ there.
        written = Signal(range(2 * self.depth))
        committed = Signal.like(written)
        fetched = Signal.like(written)
        written_next = Signal.like(written)
        do_write = self.i.valid & self.i.ready
        room = Signal(init=1)
        # A cycle late: the last place is kept for the word that is written in that cycle.
        m.d.sync += room.eq((written - fetched)[:len(written)] < self.depth - 1)
        m.d.comb += [
            self.i.ready.eq(room),
            written_next.eq(written + do_write),
            write_port.addr.eq(written),
            write_port.data.eq(self.i.payload),
            write_port.en.eq(do_write),
        ]
        m.d.sync += written.eq(written_next)
        with m.If(self.rewind):
            m.d.sync += written.eq(committed)
        with m.Elif(self.commit):
            m.d.sync += committed.eq(written_next)

        # The read port's own register is the output word; it keeps its value while not enabled.
        available = committed != fetched
        do_fetch = Signal()
        may_fetch = ~self.o.valid | self.o.ready
        m.d.comb += [
            do_fetch.eq(available & may_fetch),
            read_port.addr.eq(fetched),
            read_port.en.eq(do_fetch),
            self.o.payload.eq(read_port.data),
        ]
        m.d.sync += fetched.eq(fetched + do_fetch)
        with m.If(may_fetch):
            m.d.sync += self.o.valid.eq(available)
        return m
