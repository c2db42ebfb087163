"""What a proof is: a bench, how it is proven, and the faults with which it must fail."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faulty import Fault

__all__ = ["Fault", "Proof"]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """``claim`` in words. ``build`` makes the bench (for "structure": the device). ``mode``: "prove" (k-induction, unbounded),
    "bmc" (the first ``depth`` cycles after power-up) or "structure" (a walk over the netlist). ``fault_depth``: cycles in which
    the prover must find a counterexample for a broken variant; ``depth`` unless given."""

    name: str
    claim: str
    build: Callable
    faults: tuple[Fault, ...]
    mode: str = "prove"
    depth: int = 4
    fault_depth: int | None = None
