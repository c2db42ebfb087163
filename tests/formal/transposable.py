"""Transposable memory: an element, any one, is read by row and by column as it was last written; no other write changes it.

Each bank is a memory with one read and one write port, so that an access in which every lane arrives is one without a conflict.
"""

from functools import partial

from amaranth.hdl import Mux, Signal, Value

from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.spec.config import CoreConfig

from .bench import Bench
from .proof import Fault, Proof

__all__ = ["PROOFS"]

COLLISION = 3
"""Reads and writes of one word keep this many cycles apart (the user's duty)."""


def memory(lanes, tiles):
    config = CoreConfig(lanes=lanes, weight_tiles=tiles, weight_bits=4, weight_fraction=2)
    bench = Bench(dut := TransposableMemory(config))
    m, low = bench.m, len(dut.r_index)
    tile, row, column = (bench.constant(len(port), name) for port, name in (
        (dut.r_tile, "tile"), (dut.r_index, "row"), (dut.r_index, "column")))
    bench.assume((tile < tiles) & (dut.r_tile < tiles) & (dut.w_tile < tiles))

    written = bench.signal(dut.w_en & (dut.w_tile == tile) & (dut.w_index == column), "written")
    read = bench.signal(dut.r_en & (dut.r_tile == tile) & (dut.r_index == Mux(dut.r_column, column, row)), "read")
    for apart in range(COLLISION):
        bench.assume(~(read & bench.before(written, apart)) & ~(written & bench.before(read, apart)))

    # The element as the last write left it; zero at power-up.
    element = Signal.like(dut.w_data[0], name="element")
    with m.If(written):
        m.d.sync += element.eq(bench.chosen(dut.w_data, row))
    expected = Signal.like(element, name="expected")  # of the last read that asked for it, while the data are held
    lane, asked = Signal(low, name="lane"), Signal(name="asked")
    with m.If(dut.r_en):
        m.d.sync += [asked.eq(read), lane.eq(Mux(dut.r_column, row, column)), expected.eq(element)]
    arrived = [bench.before(value, TransposableMemory.READ_LATENCY - 1) for value in (asked, lane, expected)]
    bench.require(~arrived[0] | (bench.chosen(dut.r_data, arrived[1]) == arrived[2].as_signed()))

    # Induction: the element lies in bank (row + column) mod P at word tile P + row, two cycles after it was written.
    words = []
    for bank in range(lanes):
        instance = bench.memories(f"bank_{bank}", "memory")
        if len(instance._read_ports) != 1 or len(instance._write_ports) != 1:
            raise ValueError(f"bank {bank} has more than one read and one write port: the proof of no conflict means nothing")
        words.append(bench.memory(f"bank_{bank}", "memory", address=(tile << low) + row))
    stored = bench.chosen(words, (row + column)[:low])
    bench.invariant(stored == bench.before(Value.cast(element), 2).as_unsigned())
    return bench


PROOFS = tuple(
    Proof(name=f"transposable-{lanes}", build=partial(memory, lanes, tiles), depth=8, fault_depth=8,
          claim=f"{lanes} banks, {tiles} tiles: what is written by column is read by row and by column; no other write changes it",
          faults=faults)
    for lanes, tiles, faults in (
        (2, 3, (Fault(name="bank-of-column", file="hw/memory/transposable.py",
                      old="r_row.eq(Mux(self.r_column, bank - self.r_index, self.r_index))", new="r_row.eq(self.r_index)"),
                Fault(name="tile-ignored", file="hw/memory/transposable.py",
                      old="ram.w_addr.eq((w_tiles[2] << low) | w_row)", new="ram.w_addr.eq(((w_tiles[2] & 2) << low) | w_row)"))),
        (4, 2, (Fault(name="write-row", file="hw/memory/transposable.py",
                      old="w_row.eq(bank - w_indices[2])", new="w_row.eq(bank + w_indices[2])"),
                Fault(name="write-rotation", file="hw/memory/transposable.py",
                      old="amount.eq(-self.w_index)", new="amount.eq(self.w_index)"))),
    ))
