"""A queue whose ends can change their minds. Golden model: Python lists (tests/hw/link/test_replay_queue.py)."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..memory.ram import Ram

__all__ = ["ReplayQueue"]


class ReplayQueue(wiring.Component):
    """What was written counts once it is committed, and what was read has not left before it is released.

    Latency: a word is valid two cycles after its commit. Throughput: one word in every cycle.

    Parameters
    ----------
    shape : of a word. depth : words, a power of two.

    Members
    -------
    i : In(stream of shape).
    commit : In(1) words written so far, that of this cycle included, may be read. rollback : In(1) those not committed are
        forgotten, that of this cycle included.
    o : Out(stream of shape).
    release : In(1) words read so far, that of this cycle included, leave. rewind : In(1) those not released come again.
    clear : In(1) empties the queue.
    room : Out(0 to depth) words not taken, uncommitted ones disregarded. waiting : Out(0 to depth) committed words not read.
    """

    def __init__(self, shape: ShapeLike, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth = {depth}: a power of two from 2 on is needed")
        self._shape, self._depth = shape, depth
        super().__init__({
            "i": In(stream.Signature(shape)), "commit": In(1), "rollback": In(1),
            "o": Out(stream.Signature(shape)), "release": In(1), "rewind": In(1),
            "clear": In(1), "room": Out(range(depth + 1)), "waiting": Out(range(depth + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Ram(self._shape, self._depth, block=True)
        # Places of the next word to write, commit, fetch from memory and release; a bit wider than addresses.
        written, committed, fetched, released = (Signal(range(2 * self._depth), name=name)
                                                 for name in ("written", "committed", "fetched", "released"))
        taken, given, fetch = Signal(), Signal(), Signal()
        used, ahead, left, consumed = (Signal.like(written, name=name) for name in ("used", "ahead", "left", "consumed"))
        loaded = Signal()  # a fetched word stands at the output
        m.d.comb += [
            used.eq(written - released), self.i.ready.eq(used != self._depth), taken.eq(self.i.valid & self.i.ready),
            words.w_en.eq(taken), words.w_addr.eq(written), words.w_data.eq(self.i.payload),
            given.eq(loaded & self.o.ready), fetch.eq((fetched != committed) & (~loaded | self.o.ready)),
            words.r_en.eq(fetch), words.r_addr.eq(fetched), self.o.payload.eq(words.r_data), self.o.valid.eq(loaded),
            left.eq(fetched - loaded), consumed.eq(left + given),
            ahead.eq(committed - left), self.waiting.eq(ahead), self.room.eq(self._depth - (committed - released)[:len(written)]),
        ]
        m.d.sync += [written.eq(written + taken), fetched.eq(fetched + fetch), loaded.eq(fetch | (loaded & ~given))]
        with m.If(self.commit):
            m.d.sync += committed.eq(written + taken)
        with m.If(self.rollback):
            m.d.sync += written.eq(committed)
        with m.If(self.release):
            m.d.sync += released.eq(consumed)
        with m.If(self.rewind):
            m.d.sync += [fetched.eq(released), loaded.eq(0)]
        with m.If(self.clear):
            m.d.sync += [*(place.eq(0) for place in (written, committed, fetched, released)), loaded.eq(0)]
        return m
