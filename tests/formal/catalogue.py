"""All proofs, by name."""

from . import axi, choice, queues, streams, structure, transport, transposable

__all__ = ["PROOFS"]

MODULES = (structure, streams, axi, queues, transposable, transport, choice)
PROOFS = {proof.name: proof for module in MODULES for proof in module.PROOFS}
"""Name -> Proof."""
