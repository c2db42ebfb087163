"""Weight transport into the feedback memory, docs/numerics.md "Transport"."""

from torch import Tensor

__all__ = ["Transport"]


class Transport:
    """Full transport B := W of layers 2 to L every ``interval`` updates (1: BP, 0: never; Frozen Backpropagation).

    ``position`` counts the updates since the last transport.
    """

    def __init__(self, interval: int, position: int = 0):
        self.interval, self.position = interval, position

    def advance(self) -> bool:
        """Count one update; True when transport is due (the position is then 0 again)."""
        self.position = (self.position + 1) & 0xFFFFFFFF
        due = self.interval != 0 and self.position == self.interval
        if due:
            self.position = 0
        return due

    @staticmethod
    def copy(weights: list[Tensor], feedback: list[Tensor | None]) -> list[int]:
        """B := W for layers 2 to L; weights copied for each layer. Layer 1 has no feedback (None)."""
        copied = []
        for weight, back in zip(weights, feedback, strict=True):
            if back is not None:
                back.copy_(weight)
            copied.append(0 if back is None else weight.numel())
        return copied
