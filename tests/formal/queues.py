"""Queues: a marked word, any one, comes out once, unchanged and in its place; nothing else does."""

from amaranth.hdl import Mux, Signal, Value

from coldspike.hw.io.result_queue import ResultQueue
from coldspike.hw.io.stream_buffer import StreamBuffer
from coldspike.hw.memory.packet_fifo import PacketFifo
from coldspike.spec.config import CoreConfig

from .bench import Bench
from .proof import Fault, Proof

__all__ = ["PROOFS"]

WIDTH = 3
DEPTH = 4


def marked_word(bench, i, o, commit, rewind, capacity, latency, *, full=None):
    """A queue as its ports show it: counts of words, and one word, chosen at will, with the number of those before it.

    ``full`` : when a word may be refused; without it, when ``capacity`` words are held.
    Returns (open words, committed words, marked, marked word is committed, words before it, the word).
    """
    m, bits = bench.m, range(2 * capacity + 2)
    names = ("open", "stored", "ahead")
    open_words, stored, ahead = (Signal(bits, name=name) for name in names)
    marked, kept, word = Signal(1, name="marked"), Signal(1, name="kept"), Signal(len(Value.cast(i.payload)), name="word")
    write, read = bench.signal(i.valid & i.ready, "write"), bench.signal(o.valid & o.ready, "read")
    mark = bench.signal(bench.free(1, "pick") & write & ~marked, "mark")

    all_open = bench.signal(open_words + write, "all_open")
    commits = bench.signal(commit & ~rewind, "commits")
    m.d.sync += [
        open_words.eq(Mux(commit | rewind, 0, all_open)),
        stored.eq(stored - read + Mux(commits, all_open, 0)),
    ]
    with m.If(mark):
        m.d.sync += [marked.eq(~rewind), kept.eq(commits), word.eq(Value.cast(i.payload)), ahead.eq(open_words + stored - read)]
    with m.Elif(marked):
        m.d.sync += [ahead.eq(ahead - read), kept.eq(kept | commits)]
        with m.If((read & (ahead == 0)) | (rewind & ~kept)):
            m.d.sync += marked.eq(0)

    bench.require(~o.valid | (stored != 0))  # nothing appears that was not put in and committed
    bench.require(~(o.valid & marked & (ahead == 0)) | (kept & (Value.cast(o.payload) == word)))  # in its place, unchanged, once
    bench.require(~marked | (ahead < stored + open_words))
    if full is None:
        full = open_words + stored >= capacity
    bench.require(i.ready | full)  # refuses a word only then
    bench.require(open_words + stored <= capacity + 1)
    waited = bench.before(bench.signal((stored - read != 0), "waiting"), latency - 1)  # comes without being asked for
    bench.require(o.valid | ~waited)
    bench.require(bench.kept(o.valid, o.ready, o.payload))
    return open_words, stored, marked, kept, ahead, word


def packet_fifo():
    bench = Bench(dut := PacketFifo(WIDTH, depth=DEPTH))
    # A word may be refused in the cycle after one with a single free place.
    written, committed, fetched = (bench.state(name) for name in ("written", "committed", "fetched"))
    span = (1 << len(written)) - 1
    full = bench.before(((written - fetched) & span) >= DEPTH - 1)
    open_words, stored, marked, kept, ahead, word = marked_word(
        bench, dut.i, dut.o, dut.commit, dut.rewind, DEPTH, 2, full=full)
    # Induction: the pointers say what the counts say, and the marked word lies where they say.
    bench.invariant(((written - fetched) & span) < DEPTH + Mux(dut.i.ready, 0, 1))
    bench.invariant(((written - committed) & span) == open_words)
    bench.invariant(((committed - fetched) & span) + dut.o.valid == stored)
    bench.invariant(~marked | (kept == (ahead < stored)))
    held = bench.memory("memory", address=(fetched + ahead - dut.o.valid)[:len(written) - 1])
    bench.invariant(~marked | (dut.o.valid & (ahead == 0)) | (held == word))
    return bench


def result_queue():
    bench = Bench(dut := ResultQueue(CoreConfig.for_network((3, 2, 2), lanes=2, result_words=DEPTH)))
    open_words, stored, marked, kept, ahead, word = marked_word(bench, dut.i, dut.o, 1, 0, DEPTH, 2)
    produce, consume, level = (bench.state("fifo", name) for name in ("produce", "consume", "inner_level"))
    inner = DEPTH - 1  # words in the memory; one more in the output register
    bench.invariant(open_words == 0)
    bench.invariant(level + dut.o.valid == stored)
    bench.invariant((level <= inner) & (produce < inner) & (consume < inner))
    bench.invariant(Mux(consume + level >= inner, consume + level - inner, consume + level) == produce)
    bench.invariant(~marked | kept)
    place = consume + ahead - dut.o.valid
    held = bench.memory("fifo", "storage", address=Mux(place >= inner, place - inner, place))
    bench.invariant(~marked | (dut.o.valid & (ahead == 0)) | (held == word))
    return bench


def stream_buffer():
    bench = Bench(dut := StreamBuffer(WIDTH))
    open_words, stored, marked, kept, ahead, word = marked_word(bench, dut.i, dut.o, 1, 0, 2, 1)
    waiting, spare = bench.state("waiting"), bench.state("spare")
    bench.invariant(open_words == 0)
    bench.invariant((waiting + dut.o.valid == stored) & (dut.o.valid | ~waiting))
    bench.invariant(~marked | (kept & (Mux(ahead == 0, dut.o.payload, spare) == word)))
    return bench


PROOFS = (
    Proof(name="packet-fifo", build=packet_fifo, depth=12,
          claim="committed words come out once, in order, unchanged; rewound words never; room for `depth` - 1 words at least",
          faults=(
              Fault(name="rewind-forgotten", file="hw/memory/packet_fifo.py",
                    old="m.d.sync += written.eq(committed)", new="m.d.sync += written.eq(written_next)"),
              Fault(name="commit-too-early", file="hw/memory/packet_fifo.py",
                    old="committed.eq(written_next)", new="committed.eq(written_next + 1)"),
              Fault(name="full-too-late", file="hw/memory/packet_fifo.py",
                    old="< self.depth - 1)", new="< self.depth)"),
          )),
    Proof(name="stream-buffer", build=stream_buffer, depth=6, claim="words come out once, in order, unchanged; room for two",
          faults=(
              Fault(name="spare-forgotten", file="hw/io/stream_buffer.py",
                    old="self.o.valid.eq(waiting | self.i.valid)", new="self.o.valid.eq(self.i.valid)"),
              Fault(name="overtakes", file="hw/io/stream_buffer.py",
                    old="            with m.If(waiting):", new="            with m.If(waiting & ~self.i.valid):"),
          )),
    Proof(name="result-queue", build=result_queue, depth=12, claim="words come out once, in order, unchanged",
          faults=(
              Fault(name="drops-a-word", file="hw/io/result_queue.py",
                    old="fifo.r_en.eq(self.o.ready)", new="fifo.r_en.eq(1)"),
              Fault(name="accepts-when-full", file="hw/io/result_queue.py",
                    old="self.i.ready.eq(fifo.w_rdy)", new="self.i.ready.eq(1)"),
          )),
)
