"""What happened in a batch or update, in the counts that the timing model needs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.packets import Space
from .transport import Moved

__all__ = ["AccessRecord", "SampleRecord", "UpdateRecord"]


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

    @classmethod
    def joined(cls, parts: "list[SampleRecord]") -> "SampleRecord":
        """One record of consecutive ones (of the same network and train flag)."""
        if len(parts) == 1:
            return parts[0]
        return cls(train=parts[0].train, events=torch.cat([p.events for p in parts]),
                   fired=[torch.cat(layer) for layer in zip(*(p.fired for p in parts), strict=True)],
                   listed=[torch.cat(layer) for layer in zip(*(p.listed for p in parts), strict=True)],
                   lowest=torch.cat([p.lowest for p in parts]))


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
    """

    columns: list[int]
    words: list[int]
    skipped_tail: int
    due: bool
    moved: list[Moved]


@dataclass(frozen=True, kw_only=True)
class AccessRecord:
    """A WRITE (``write``) or READ packet that was carried out on a column of a memory."""

    write: bool
    space: Space
    layer: int
    column: int
