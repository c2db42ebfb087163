"""Registers of one value in several places, for a value that goes to all lanes."""

from amaranth.hdl import Module, Signal

__all__ = ["spread"]

REACH = 4
"""Lanes that share a register: the lanes of a wide build lie all over the device, and one register's wires to them take most of a
cycle."""


def spread(m: Module, value, lanes: int, name: str) -> list:
    """``value`` (a signal or view) a cycle later, for each of ``lanes`` lanes; REACH neighbours get the same register.

    Synthesis would merge registers that are always equal. ``keep`` tells it not to: Vivado reads it, for yosys fpga/synthesis.py
    hands it on from the wire to the flip-flops.
    """
    if lanes <= REACH:
        register = Signal(value.shape(), name=name)
        m.d.sync += register.eq(value)
        return [register] * lanes
    registers = [Signal(value.shape(), name=f"{name}_from_{first}", attrs={"keep": 1}) for first in range(0, lanes, REACH)]
    m.d.sync += [register.eq(value) for register in registers]
    return [registers[lane // REACH] for lane in range(lanes)]
