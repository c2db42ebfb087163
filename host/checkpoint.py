"""Checkpoints: one safetensors file that holds a run whole, with a digest of its contents."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .files import replacing
from .problems import CheckpointError

__all__ = ["CHECKPOINT_NAME", "Checkpoint", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_NAME = "checkpoint.safetensors"
FORMAT = 1  # raised when what the facts mean changes


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run between two batches.

    Members
    -------
    memories : arrays by name, as ``memories.read_memories`` gives them.
    facts : everything else, plain JSON values.
    """

    memories: dict[str, np.ndarray]
    facts: dict


def content_digest(memories: dict[str, np.ndarray], facts: str) -> str:
    """SHA-256 over the facts and every array with its name, type and shape."""
    hasher = hashlib.sha256(facts.encode())
    for name in sorted(memories):
        array = memories[name]
        hasher.update(f"{name} {array.dtype.str} {array.shape}".encode())
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes the checkpoint of ``folder``, replacing an older one only when the new one is complete."""
    path = folder / CHECKPOINT_NAME
    facts = json.dumps({"format": FORMAT, **checkpoint.facts})
    memories = {name: np.ascontiguousarray(array) for name, array in checkpoint.memories.items()}
    with replacing(path) as temporary:
        save_file(memories, temporary, metadata={"facts": facts, "digest": content_digest(memories, facts)})
    return path


def load_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint of ``folder``.

    Raises
    ------
    CheckpointError : it is missing, truncated, altered or of another format.
    """
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist: name the folder of a run that was started with --out")
    remedy = "restore the file from a copy, or train again"
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            memories = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({' '.join(str(error).split())}): {remedy}") from error
    facts = metadata.get("facts", "")
    if metadata.get("digest") != content_digest(memories, facts):
        raise CheckpointError(f"{path} was altered: its contents do not match their digest; {remedy}")
    facts = json.loads(facts)
    if facts.pop("format") != FORMAT:
        raise CheckpointError(f"{path} was written by another release (this one reads format {FORMAT}): {remedy}")
    return Checkpoint(memories=memories, facts=facts)
