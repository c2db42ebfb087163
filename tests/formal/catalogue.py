"""All proofs, by name."""

from . import axi, queues, streams, structure, transport, transposable

__all__ = ["PROOFS"]

PROOFS = {proof.name: proof for module in (structure, streams, axi, queues, transposable, transport) for proof in module.PROOFS}
"""Name -> Proof."""
