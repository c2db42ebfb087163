"""Lane rotation by a barrel of log2(P) stages."""

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["rotate_lanes"]


def rotate_lanes(m: Module, lanes: list[Value], amount: Value, enable: Value, name: str) -> list[Value]:
    """Output k is input ``(k + amount) mod P`` if ``enable``, else 0; P = ``len(lanes)``, a power of two. Combinational.

    The enable costs nothing (a stage and it fill a 4-input table) and spares a simulator the stages of idle cycles.
    """
    count, current = len(lanes), list(lanes)
    shift = Signal(count.bit_length() - 1, name=f"{name}_amount")
    m.d.comb += shift.eq(amount)
    for stage in range(len(shift)):
        step = [Signal(current[0].shape(), name=f"{name}_{stage}_{k}") for k in range(count)]
        with m.If(enable):
            m.d.comb += [step[k].eq(Mux(shift[stage], current[(k + (1 << stage)) % count], current[k])) for k in range(count)]
        current = step
    return current
