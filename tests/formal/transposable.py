"""Transposable memory: an element, any one, is read by row and by column, and by column through the write port, as it was last
written; no other write changes it.

Each bank is a memory with two ports, one that reads and one that writes or reads at one address, so that an access in which every
lane arrives is one without a conflict.
"""

from functools import partial

from amaranth.hdl import Mux, Signal, Value

from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.spec.config import CoreConfig

from .bench import Bench
from .proof import Fault, Proof

__all__ = ["PROOFS"]

COLLISION = 3
"""Reads and writes of one word keep this many cycles apart, and reads through the write port from all writes (the user's duty)."""


def memory(lanes, tiles):
    config = CoreConfig(lanes=lanes, weight_tiles=tiles, weight_bits=4, weight_fraction=2)
    bench = Bench(dut := TransposableMemory(config))
    m, low, latency = bench.m, len(dut.r_index), TransposableMemory.READ_LATENCY
    tile, row, column = (bench.constant(len(port), name) for port, name in (
        (dut.r_tile, "tile"), (dut.r_index, "row"), (dut.r_index, "column")))
    bench.assume((tile < tiles) & (dut.r_tile < tiles) & (dut.w_tile < tiles) & (dut.s_tile < tiles))

    written = bench.signal(dut.w_en & (dut.w_tile == tile) & (dut.w_index == column), "written")
    read = bench.signal(dut.r_en & (dut.r_tile == tile) & (dut.r_index == Mux(dut.r_column, column, row)), "read")
    shared = bench.signal(dut.s_en & (dut.s_tile == tile) & (dut.s_index == column), "shared")
    for apart in range(COLLISION):
        bench.assume(~(read & bench.before(written, apart)) & ~(written & bench.before(read, apart)))
        bench.assume(~(dut.s_en & bench.before(dut.w_en, apart)) & ~(dut.w_en & bench.before(dut.s_en, apart)))

    # The element as the last write left it; zero at power-up.
    element = Signal.like(dut.w_data[0], name="element")
    with m.If(written):
        m.d.sync += element.eq(bench.chosen(dut.w_data, row))
    expected = Signal.like(element, name="expected")  # of the last read that asked for it, while the data are held
    lane, asked = Signal(low, name="lane"), Signal(name="asked")
    with m.If(dut.r_en):
        m.d.sync += [asked.eq(read), lane.eq(Mux(dut.r_column, row, column)), expected.eq(element)]
    arrived = [bench.before(value, latency - 1) for value in (asked, lane, expected)]
    bench.require(~arrived[0] | (bench.chosen(dut.r_data, arrived[1]) == arrived[2].as_signed()))
    shown = bench.before(Value.cast(element), latency).as_signed()
    bench.require(~bench.before(shared, latency) | (bench.chosen(dut.s_data, row) == shown))

    # No conflict: what the second port does, it does at one address, and one thing at a time.
    words = []
    for bank in range(lanes):
        instance, ram = bench.memories(f"bank_{bank}", "memory"), bench.part(f"bank_{bank}")
        reads = [port._addr for port in instance._read_ports]
        if len(reads) != 2 or len(instance._write_ports) != 1:
            raise ValueError(f"bank {bank} has not one write and two read ports: the proof of no conflict means nothing")
        bench.require(~(ram.s_en & ram.w_en) & (reads[1] == instance._write_ports[0]._addr))
        words.append(bench.memory(f"bank_{bank}", "memory", address=(tile << low) + row))
    # Induction: the element lies in bank row ^ column at word tile P + row, two cycles after it was written.
    stored = bench.chosen(words, row ^ column)
    bench.invariant(stored == bench.before(Value.cast(element), 2).as_unsigned())
    return bench


CLAIM = ("what is written by column is read by row and by column, the latter also through the write port; no other write changes "
         "it; no port of a bank is asked for two words in a cycle")
PROOFS = tuple(
    Proof(name=f"transposable-{lanes}", build=partial(memory, lanes, tiles), depth=8, fault_depth=8,
          claim=f"{lanes} banks, {tiles} tiles: {CLAIM}", faults=faults)
    for lanes, tiles, faults in (
        (2, 3, (Fault(name="bank-of-column", file="hw/memory/transposable.py",
                      old="r_row.eq(self.r_index ^ Mux(self.r_column, bank, 0))", new="r_row.eq(self.r_index)"),
                Fault(name="tile-ignored", file="hw/memory/transposable.py",
                      old="(Mux(writing[2], w_tiles[2], self.s_tile) << low)",
                      new="((Mux(writing[2], w_tiles[2], self.s_tile) & 2) << low)"),
                Fault(name="write-address-of-a-read", file="hw/memory/ram.py",
                      old="self.s_addr if self._second else self.w_addr", new="self.s_addr if self._second else self.r_addr"),
                Fault(name="read-without-an-exchange", file="hw/memory/transposable.py",
                      old="self.w_en | reading[1], lanes", new="self.w_en, lanes"))),
        (4, 2, (Fault(name="write-row", file="hw/memory/transposable.py",
                      old="w_row.eq(Mux(writing[2], w_indices[2], self.s_index) ^ bank)",
                      new="w_row.eq(Mux(writing[2], w_indices[2], self.s_index))"),
                Fault(name="write-exchange", file="hw/memory/transposable.py",
                      old="Mux(reading[1], index, self.w_index)", new="Mux(reading[1], index, ~self.w_index)"),
                Fault(name="read-exchange", file="hw/memory/transposable.py",
                      old="Mux(reading[1], index, self", new="Mux(reading[1], ~index, self"),
                Fault(name="index-too-late", file="hw/memory/transposable.py",
                      old="delay(m, self.s_index, 1, \"s_index\")", new="delay(m, self.s_index, 2, \"s_index\")"))),
    ))
