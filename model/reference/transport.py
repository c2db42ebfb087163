"""Feedback and transport schemes in floating point: Frozen Backpropagation, sections 3 and 4, appendix B.2."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.transport import Signs, Values

__all__ = ["ReferenceTransport"]


@dataclass(frozen=True, kw_only=True)
class ReferenceTransport:
    """What is copied from W into B of one layer.

    Parameters
    ----------
    values, every_update, signs : as in spec.transport.LayerTransport.
    fraction : TOP_K: share of the weights, exactly the most changed ones. probability : RANDOM. alpha : CHANGE: a weight is copied
        with probability 1 - exp(-|W - B| / alpha).
    """

    values: Values = Values.ALL
    every_update: bool = False
    signs: Signs = Signs.NEVER
    fraction: float | None = None
    probability: float | None = None
    alpha: float | None = None

    def move(self, weight: Tensor, back: Tensor, at_interval: bool, generator: torch.Generator) -> int:
        """Copy in place what follows an update; how many values were copied."""
        moves = self.values is not Values.NONE and (self.every_update or at_interval)
        chosen = self._chosen(weight, back, generator) if moves else torch.zeros_like(weight, dtype=torch.bool)
        if self.signs is Signs.EVERY_UPDATE or (self.signs is Signs.AT_INTERVAL and at_interval):
            back.copy_(torch.where(weight < 0, -back.abs(), back.abs()))
        back.copy_(torch.where(chosen, weight, back))
        return int(chosen.sum())

    def _chosen(self, weight: Tensor, back: Tensor, generator: torch.Generator) -> Tensor:
        change = (weight - back).abs()
        match self.values:
            case Values.TOP_K:
                chosen = torch.zeros(weight.numel(), dtype=torch.bool)
                chosen[change.reshape(-1).topk(round(self.fraction * weight.numel())).indices] = True
                return chosen.reshape(weight.shape)
            case Values.RANDOM:
                return torch.rand(weight.shape, generator=generator) < self.probability
            case Values.CHANGE:
                return torch.rand(weight.shape, generator=generator) < 1 - torch.exp(-change / self.alpha)
        return torch.ones_like(weight, dtype=torch.bool)
