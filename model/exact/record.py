"""What happened in a batch or update, in the counts that the timing model needs."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ...spec.packets import Space
from .transport import Moved

__all__ = ["AccessRecord", "RateRecord", "SampleRecord", "UpdateRecord"]


@dataclass(frozen=True, kw_only=True)
class SampleRecord:
    """Counts of ``n`` samples in stream order (int64 tensors; a list's element l - 1 is weight layer l).

    Members
    -------
    train : whether the samples were training samples.
    events : [n] input events.
    fired : for each weight layer [n, blocks], fired neurons of each block of ``lanes`` neurons (the output layer of
        readout POTENTIAL does not fire: zeros).
    listed : for each weight layer [n], length of the active list, visited or not.
    lowest : [n] lowest weight layer that the backward pass visited, 1 to L; L + 1 for inference samples. The layer's
        list may be empty, and is unless the layer is the first.
    """

    train: bool
    events: Tensor
    fired: list[Tensor]
    listed: list[Tensor]
    lowest: Tensor

    @property
    def samples(self) -> int:
        """n."""
        return len(self.events)

    @property
    def words(self) -> Tensor:
        """[n] words of the packets besides header and length."""
        return self.events

    @classmethod
    def joined(cls, parts: "list[SampleRecord]") -> "SampleRecord":
        """One record of consecutive ones (of the same network and train flag)."""
        if len(parts) == 1:
            return parts[0]
        whole = {"train": parts[0].train}
        for name in (each.name for each in fields(cls) if each.name != "train"):
            values = [getattr(part, name) for part in parts]
            whole[name] = (torch.cat(values) if isinstance(values[0], Tensor)
                           else [torch.cat(layer) for layer in zip(*values, strict=True)])
        return cls(**whole)


@dataclass(frozen=True, kw_only=True)
class RateRecord(SampleRecord):
    """Counts of ``n`` samples of rule rate; ``events`` are the levels sent, ``fired`` neurons that spiked at all.

    Members
    -------
    inputs : [n, T] input spikes of each step (zeros where currents drive the first layer).
    spikes : for each hidden layer bool [n, T, neurons].
    shown : for each hidden layer bool [n, neurons], neurons that spiked at all or pass gradient in training.
    """

    inputs: Tensor
    spikes: list[Tensor]
    shown: list[Tensor]

    @property
    def words(self) -> Tensor:
        return self.events + self.inputs.sum(1)


@dataclass(frozen=True, kw_only=True)
class UpdateRecord:
    """What an UPDATE packet did.

    Members
    -------
    columns : for each weight layer, columns (postsynaptic neurons) that the update visited.
    words : for each weight layer, words that the update visited.
    skipped_tail : columns skipped after the last one visited.
    due : whether anything was transported.
    moved : for each weight layer, what was.
    active : for each weight layer, whether it had an active neuron since the UPDATE before, or START.
    """

    columns: list[int]
    words: list[int]
    skipped_tail: int
    due: bool
    moved: list[Moved]
    active: list[bool]


@dataclass(frozen=True, kw_only=True)
class AccessRecord:
    """A WRITE (``write``) or READ packet that was carried out on a column of a memory."""

    write: bool
    space: Space
    layer: int
    column: int
