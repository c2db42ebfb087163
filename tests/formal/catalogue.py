"""All proofs, by name."""

from . import axi, queues, streams, structure, transposable

__all__ = ["PROOFS"]

PROOFS = {proof.name: proof for module in (structure, streams, axi, queues, transposable) for proof in module.PROOFS}
"""Name -> Proof."""
