"""The generated Verilog as a device: a compiled model behind its real AXI ports. Same interface as the golden one."""

import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_double, c_int32, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path

import numpy as np

from ..spec.config import CoreConfig, Rule
from .build import Status, Top, build_library

__all__ = ["DeviceTimeout", "SimulatedDevice"]

RESET_CYCLES = 4
REGISTER_TIMEOUT = 100_000
"""Cycles; a register access takes a few, with heavy stalls some hundred."""

_WAITING = {  # Status in harness.cpp
    1: "s_axis_tready never came", 2: "m_axis_tvalid never came", 3: "the address was never accepted",
    4: "the write data was never accepted", 5: "the response never came",
}
_words, _flags, _count = POINTER(c_uint32), POINTER(c_uint8), POINTER(c_uint64)
_FUNCTIONS = {
    "create": (c_void_p, c_double, c_uint64), "destroy": (None, c_void_p), "reset": (None, c_void_p, c_uint64),
    "cycles": (c_uint64, c_void_p), "irq": (c_int32, c_void_p), "step": (None, c_void_p, c_uint64),
    "write": (c_int32, c_void_p, c_uint32, c_uint32, c_uint64, _words),
    "read": (c_int32, c_void_p, c_uint32, _words, c_uint64, _words),
    "exchange": (c_int32, c_void_p, _words, _flags, c_uint64, c_uint64, c_uint64, _count),
    "take": (None, c_void_p, _words, _flags), "progress": (None, c_void_p, _count, _count),
}


class DeviceTimeout(RuntimeError):
    """The accelerator did not answer; the message says which side waited. Only ``reset`` makes the device usable."""


class SimulatedDevice:
    """One accelerator, simulated cycle by cycle.

    The first use of a build compiles it (seconds to a minute), later ones load the library from the cache. Streams
    keep the bus full unless ``stall`` holds them back.

    Parameters
    ----------
    config : the build.
    stall : probability, 0 to 0.99, that the host holds back a channel (stream or register port) for a cycle.
    stall_seed : the same seed and calls give the same cycles.
    timeout : cycles without a word on either stream after which ``exchange`` gives up; None: more than the longest
        work that one packet can cause in this build.
    status : called with a line of text before each step of a first build.
    top : another component with the accelerator's pins, for tests of the harness.
    rehearse : called, if this build is made, with a device that counts what it does; the device proper is compiled for that, 1.1
        to 1.3 times as fast and twice as long to build. For runs of many minutes.

    Members
    -------
    config : as given.
    cycles : clock cycles since creation, those of ``reset`` included.
    interrupt : level of the irq pin.
    response : AXI response code of the last register access; 0 is OKAY, 2 SLVERR.

    Raises
    ------
    ValueError : stall lies outside its range.
    ToolchainError, OSError : the library cannot be built (sim/build.py).
    """

    def __init__(self, config: CoreConfig, stall: float = 0.0, stall_seed: int = 0, *, timeout: int | None = None,
                 status: Status | None = None, top: Top | None = None,
                 rehearse: Callable[["SimulatedDevice"], None] | None = None):
        if not 0 <= stall <= 0.99:
            raise ValueError(f"stall = {stall}: a probability from 0 to 0.99 is needed")
        self.config = config
        self.timeout = timeout if timeout is not None else _patience(config, stall)
        self.response = 0
        self._handle = None
        self._create = stall, stall_seed & 0xFFFFFFFFFFFFFFFF
        exercise = None if rehearse is None else lambda library: self._rehearse(library, rehearse)
        self._attach(build_library(config, top, status=status, exercise=exercise))

    def _attach(self, library: Path) -> None:
        self._call = _load(str(library))
        self._handle = self._call["create"](*self._create)
        self.reset()

    def _rehearse(self, library: Path, rehearse: Callable[["SimulatedDevice"], None]) -> None:
        """With a library that counts: runs it, and has it write down the counts."""
        self._attach(library)
        try:
            rehearse(self)
        finally:
            self.close()
        ctypes.CDLL(str(library)).coldspike_counted()

    # -- registers ---------------------------------------------------------------------------------
    def read_register(self, address: int) -> int:
        """32-bit value at byte ``address``. DeviceTimeout when the port is stuck."""
        value, response = c_uint32(), c_uint32()
        status = self._call["read"](self._open(), address, byref(value), REGISTER_TIMEOUT, byref(response))
        self._judge(status, f"reading register 0x{address:03X}: {{}} in {REGISTER_TIMEOUT} cycles")
        self.response = response.value
        return value.value

    def write_register(self, address: int, value: int) -> None:
        """Writes the 32-bit ``value`` at byte ``address``. DeviceTimeout when the port is stuck."""
        response = c_uint32()
        status = self._call["write"](self._open(), address, value & 0xFFFFFFFF, REGISTER_TIMEOUT, byref(response))
        self._judge(status, f"writing register 0x{address:03X}: {{}} in {REGISTER_TIMEOUT} cycles")
        self.response = response.value

    # -- streams -----------------------------------------------------------------------------------
    def exchange(self, words: np.ndarray, last: np.ndarray, results: int) -> tuple[np.ndarray, np.ndarray]:
        """Sends whole packets and returns words (uint32) and TLAST flags (bool) of the results.

        Ends when every word is accepted, at least ``results`` result packets have come and none is half received.

        Raises
        ------
        ValueError : ``words`` and ``last`` differ in length.
        DeviceTimeout : no word passed either way for ``timeout`` cycles.
        """
        words = np.ascontiguousarray(words, np.uint32)
        last = np.ascontiguousarray(last, bool).view(np.uint8)
        if words.shape != last.shape or words.ndim != 1:
            raise ValueError(f"{words.size} words with {last.size} TLAST flags")
        handle, collected = self._open(), c_uint64()
        status = self._call["exchange"](handle, words.ctypes.data_as(_words), last.ctypes.data_as(_flags), len(words),
                                        results, self.timeout, byref(collected))
        if status:
            sent, packets = c_uint64(), c_uint64()
            self._call["progress"](handle, byref(sent), byref(packets))
            self._judge(status, f"{{}} for {self.timeout} cycles: {sent.value} of {len(words)} words sent, "
                                f"{packets.value} of {results} results received")
        out, flags = np.empty(collected.value, np.uint32), np.empty(collected.value, np.uint8)
        self._call["take"](handle, out.ctypes.data_as(_words), flags.ctypes.data_as(_flags))
        return out, flags.view(bool)

    # -- clock -------------------------------------------------------------------------------------
    @property
    def cycles(self) -> int:
        """Clock cycles since creation."""
        return self._call["cycles"](self._open())

    @property
    def interrupt(self) -> bool:
        """Level of the irq pin."""
        return bool(self._call["irq"](self._open()))

    def step(self, n: int) -> None:
        """``n`` clock cycles with nothing on the ports."""
        self._call["step"](self._open(), n)

    def reset(self) -> None:
        """Pulls the reset pin for a few cycles. Memories keep their contents, as on an FPGA."""
        self._call["reset"](self._open(), RESET_CYCLES)

    def close(self) -> None:
        """Frees the model; may be called twice."""
        handle, self._handle = self._handle, None
        if handle:
            self._call["destroy"](handle)

    def __enter__(self) -> "SimulatedDevice":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()

    def _open(self) -> int:
        if not self._handle:
            raise RuntimeError("the simulated device is closed; open another")
        return self._handle

    def _judge(self, status: int, text: str) -> None:
        if status:
            raise DeviceTimeout(text.format(_WAITING[status]))


def _patience(config: CoreConfig, stall: float) -> int:
    """Cycles that no packet of this build can need between two words: an update walks every memory a few times, a sample over time
    a row for each spike, a column for each active neuron and a layer for each step."""
    words = config.weight_tiles * config.lanes + config.gradient_words + config.feedback_words
    walks = 0
    if set(config.rules) != {Rule.TTFS}:
        walks = config.max_layers * (config.max_steps * (1 + config.max_neurons) + config.job_entries) + config.spike_entries
    row = config.max_neurons // config.lanes + 16  # words, and the longest pipeline
    return int((100_000 + 16 * words + walks * row) / (1 - stall))


def _load(path: str) -> dict:
    library = ctypes.CDLL(path)
    calls = {}
    for name, (result, *arguments) in _FUNCTIONS.items():
        calls[name] = getattr(library, f"coldspike_{name}")
        calls[name].restype, calls[name].argtypes = result, arguments
    return calls
