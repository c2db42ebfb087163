"""The one attachment point of an accelerator: golden model, simulated RTL or a board."""

from typing import Protocol, runtime_checkable

import numpy as np

from ..spec.config import CoreConfig

__all__ = ["Device"]


@runtime_checkable
class Device(Protocol):
    """Registers and the two packet streams of one accelerator.

    Members
    -------
    config : the build.

    Every method may raise RuntimeError, with one line of text, when the accelerator does not answer.

    A device whose clock can be counted also has ``cycles`` (clock cycles since reset) and ``step(n)``
    (``n`` idle cycles); nothing that trains needs either.
    """

    config: CoreConfig

    def read_register(self, address: int) -> int:
        """32-bit value of the register at byte ``address``."""
        ...

    def write_register(self, address: int, value: int) -> None:
        """Writes the 32-bit ``value`` to the register at byte ``address``."""
        ...

    def exchange(self, words: np.ndarray, last: np.ndarray, results: int) -> tuple[np.ndarray, np.ndarray]:
        """Sends whole packets and returns the words of the next ``results`` result packets.

        ``words`` are uint32, ``last`` marks each packet's last word; both results have the same form.
        """
        ...

    def close(self) -> None:
        """Releases what the device holds; it cannot be used afterwards."""
        ...
