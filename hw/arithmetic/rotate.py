"""Lane rotation by a barrel of log2(P) stages."""

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["rotate_lanes"]


def rotate_lanes(m: Module, lanes: list[Value], amount: Value, name: str) -> list[Value]:
    """Output k is input ``(k + amount) mod P``; P = ``len(lanes)``, a power of two. Combinational."""
    count, current = len(lanes), list(lanes)
    for stage in range(count.bit_length() - 1):
        step = [Signal(current[0].shape(), name=f"{name}_{stage}_{k}") for k in range(count)]
        m.d.comb += [step[k].eq(Mux(amount[stage], current[(k + (1 << stage)) % count], current[k])) for k in range(count)]
        current = step
    return current
