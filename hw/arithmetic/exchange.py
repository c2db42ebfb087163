"""Lanes exchanged by exclusive or, in log2(P) stages of pairs."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["exchange_lanes"]


def exchange_lanes(m: Module, lanes: Sequence[Value], amounts: Sequence[Value], enables: Sequence[Value],
                   name: str) -> list[Signal]:
    """Output k is input ``k ^ amount`` if enabled, else 0; P = ``len(lanes)``, a power of two. Combinational.

    ``amounts``, ``enables`` : the same amount and the same enable for each lane, from a register near to it (``spread``).

    In stage n two lanes that differ in bit n alone change places: the way to the banks is the way back, too. The enable costs
    nothing (a stage and it fill a 4-input table) and spares a simulator the stages of idle cycles.
    """
    current = list(lanes)
    for stage in range((len(lanes) - 1).bit_length()):
        step = [Signal(current[0].shape(), name=f"{name}_{stage}_{k}") for k in range(len(lanes))]
        for k, out in enumerate(step):
            with m.If(enables[k]):
                m.d.comb += out.eq(Mux(amounts[k][stage], current[k ^ (1 << stage)], current[k]))
        current = step
    return current
