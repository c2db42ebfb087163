"""Update rules in floating point: plain SGD, and Lion reduced to one momentum (sign-momentum)."""

from torch import Tensor

__all__ = ["SGD", "SignMomentum"]


class SGD:
    """W <- (1 - decay) W - rate * gradient, for the gradient of the batch's mean loss."""

    def step(self, layer: int, weight: Tensor, gradient: Tensor, rate: float, decay: float):
        """Update ``weight`` in place. ``decay`` is the decoupled decay of this step, the rate not multiplied in."""
        weight -= rate * gradient + decay * weight


class SignMomentum:
    """m <- beta m + (1 - beta) gradient, W <- (1 - decay) W - rate * sign(m), after Lion (Chen et al., 2023)."""

    def __init__(self, beta: float = 0.9):
        self.beta = beta
        self._momentum: dict[int, Tensor] = {}

    def step(self, layer: int, weight: Tensor, gradient: Tensor, rate: float, decay: float):
        """As ``SGD.step``; ``layer`` names the momentum."""
        momentum = self._momentum.setdefault(layer, weight.new_zeros(weight.shape))
        momentum.mul_(self.beta).add_(gradient, alpha=1 - self.beta)
        weight -= rate * momentum.sign() + decay * weight
