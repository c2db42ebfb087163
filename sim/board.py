"""A whole board as it is put into an FPGA, from serial wire to serial wire, simulated cycle by cycle."""

import ctypes
from ctypes import POINTER, c_double, c_int32, c_uint8, c_uint64, c_void_p

import numpy as np

from ..spec.config import CoreConfig
from ..spec.link import BoardFacts
from .build import Status, build_library

__all__ = ["SimulatedBoard"]

RESET_CYCLES = 4
_bytes = POINTER(c_uint8)
_FUNCTIONS = {
    "create": (c_void_p, c_double), "destroy": (None, c_void_p), "reset": (None, c_void_p, c_uint64),
    "cycles": (c_uint64, c_void_p), "broken": (c_uint64, c_void_p), "open": (c_int32, c_void_p),
    "run": (c_uint64, c_void_p, _bytes, c_uint64, c_uint64, _bytes),
}


class SimulatedBoard:
    """The board's top, clock generation apart: bytes go in and out bit by bit.

    Parameters
    ----------
    config, facts : the accelerator's build, and the board around it.
    drift : the host's bits last this much longer than the board's, as a share: 0.02 is 2 %.
    status : called with a line of text before each step of a first build.

    Members
    -------
    cycles : clock cycles since creation. broken : bytes from the board that had no stop bit. open : a host has opened the link.

    Raises
    ------
    ToolchainError, OSError : the library cannot be built (sim/build.py). ValueError : the clock is too slow for the baud.
    """

    def __init__(self, config: CoreConfig, facts: BoardFacts, *, drift: float = 0.0, status: Status | None = None):
        self.config, self.facts = config, facts
        self._bit = facts.clock / facts.baud * (1 + drift)
        library = ctypes.CDLL(str(build_library(config, board=facts, status=status)))
        self._call = {}
        for name, (result, *arguments) in _FUNCTIONS.items():
            self._call[name] = getattr(library, f"coldspike_{name}")
            self._call[name].restype, self._call[name].argtypes = result, arguments
        self._handle = self._call["create"](self._bit)
        self.reset()

    def run(self, data: bytes, cycles: int) -> bytes:
        """Sends ``data`` to the board, back to back, and goes on for ``cycles``; returns what it sent meanwhile."""
        given = np.frombuffer(data, np.uint8)
        out = np.empty(int((len(given) + 1) + cycles / (10 * self._bit)) + 2, np.uint8)
        got = self._call["run"](self._handle, given.ctypes.data_as(_bytes), len(given), cycles, out.ctypes.data_as(_bytes))
        return out[:got].tobytes()

    def reset(self) -> None:
        """Pulls the reset pin, as power-up does; memories keep their contents."""
        self._call["reset"](self._handle, RESET_CYCLES)

    @property
    def cycles(self) -> int:
        """Clock cycles since creation."""
        return self._call["cycles"](self._handle)

    @property
    def broken(self) -> int:
        """Bytes from the board that had no stop bit."""
        return self._call["broken"](self._handle)

    @property
    def open(self) -> bool:
        """A host has opened the link."""
        return bool(self._call["open"](self._handle))

    def close(self) -> None:
        """Frees the model; may be called twice."""
        handle, self._handle = self._handle, None
        if handle:
            self._call["destroy"](handle)

    def __enter__(self) -> "SimulatedBoard":
        return self

    def __exit__(self, *_) -> None:
        self.close()
