"""Everything that an accelerator remembers between batches, as named arrays."""

import hashlib

import numpy as np

from ..spec.packets import Space, random_columns
from .driver import Accelerator
from .problems import CheckpointError

__all__ = ["memory_shapes", "read_memories", "weights_digest", "write_memories"]


def spaces(accelerator: Accelerator) -> list[tuple[str, Space, int]]:
    """(name, space, layer) of each matrix that the running network has."""
    depth = accelerator.settings.depth
    out = [(f"weight_{l}", Space.WEIGHT, l) for l in range(1, depth + 1)]
    out += [(f"feedback_{l}", Space.FEEDBACK, l) for l in range(2, depth + 1)]
    if accelerator.config.gradient_memory:
        out += [(f"gradient_{l}", Space.GRADIENT, l) for l in range(1, depth + 1)]
    return out


def generators(accelerator: Accelerator) -> tuple[str, ...]:
    """Names of the columns of RANDOM."""
    return ("random", "transport_random")[:random_columns(accelerator.config)]


def memory_shapes(accelerator: Accelerator) -> dict[str, tuple[int, ...]]:
    """Name and shape of each array: matrices (n_in, n_out), generator states (lanes,)."""
    layers = accelerator.settings.layers
    shapes = {name: (layers[l - 1], layers[l]) for name, _, l in spaces(accelerator)}
    return shapes | {name: (accelerator.config.lanes,) for name in generators(accelerator)}


def read_memories(accelerator: Accelerator) -> dict[str, np.ndarray]:
    """Weights, feedback weights, gradients or momentum (int32) and generator states (uint32)."""
    out = {name: accelerator.read_matrix(space, l).astype(np.int32) for name, space, l in spaces(accelerator)}
    names = generators(accelerator)
    states = accelerator.read_space(Space.RANDOM, columns=len(names)).astype(np.uint32)
    return out | {name: states[:, column] for column, name in enumerate(names)}


def write_memories(accelerator: Accelerator, memories: dict[str, np.ndarray]) -> None:
    """Writes what ``read_memories`` returned. Raises CheckpointError where names or shapes are not the network's."""
    found = {name: array.shape for name, array in memories.items()}
    expected = memory_shapes(accelerator)
    for name in expected | found:
        if found.get(name) != expected.get(name):
            text = "-".join(map(str, accelerator.settings.layers))
            raise CheckpointError(f"{name} has shape {found.get(name)}, network {text} needs {expected.get(name)}: "
                                  "the state belongs to another network")
    for name, space, l in spaces(accelerator):
        accelerator.write_space(space, l, memories[name])
    states = np.stack([np.asarray(memories[name], np.int64) for name in generators(accelerator)], axis=1)
    accelerator.write_space(Space.RANDOM, 0, states)


def weights_digest(memories: dict[str, np.ndarray]) -> str:
    """SHA-256 over W of layer 1 to L, each row-major (n_in, n_out) as little-endian int32."""
    hasher, l = hashlib.sha256(), 1
    while (name := f"weight_{l}") in memories:
        hasher.update(np.ascontiguousarray(memories[name], "<i4").tobytes())
        l += 1
    return hasher.hexdigest()
