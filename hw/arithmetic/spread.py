"""Registers of one value in several places, for a value that goes to all lanes."""

from amaranth.hdl import Module, Signal

__all__ = ["REACH", "spread"]

REACH = 4
"""Lanes that share a register: the lanes of a wide build lie all over the device, and one register's wires to them take most of a
cycle."""


def spread(m: Module, value, lanes: int, name: str, cycles: int = 1) -> list:
    """``value`` (a signal or view) ``cycles`` later, for each of ``lanes`` lanes; REACH neighbours get the same register.

    Over several cycles it goes through a tree, which branches in two a cycle at its end: each wire reaches half as far as the one
    before. They have no reset, which would be a gate in each of these wires: what is on its way at a reset is through ``cycles``
    cycles later. Synthesis would merge registers that are always equal. ``keep`` tells it not to: Vivado reads it, for yosys
    fpga/synthesis.py hands it on from the wire to the flip-flops.
    """
    counts = [-(-lanes // REACH)]
    while len(counts) < cycles:
        counts.insert(0, -(-counts[0] // 2))
    registers = [value]
    for left, count in zip(reversed(range(cycles)), counts, strict=True):
        stage = f"{name}_{left}_ahead" if left else name
        names = [f"{stage}_from_{n * lanes // count}" for n in range(count)] if count > 1 else [stage]
        before, attributes = registers, {"keep": 1} if count > 1 else {}
        registers = [Signal(value.shape(), name=name, reset_less=True, attrs=attributes) for name in names]
        m.d.sync += [register.eq(before[n * len(before) // count]) for n, register in enumerate(registers)]
    return [registers[lane // REACH] for lane in range(lanes)]
