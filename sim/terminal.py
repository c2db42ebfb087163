"""A pseudo-terminal with a board at its other end, over a wire that can be as bad as one likes."""

import contextlib
import os
import random
import select
import threading
import time
import tty
from pathlib import Path
from typing import Protocol

__all__ = ["Machine", "Terminal", "Wire"]

SLICE_CYCLES = 2000
"""Clock cycles between two looks at the terminal: a few milliseconds of simulation."""

AWAKE_SECONDS = 2.0
"""How long the clock goes on after the last byte; then it stands until the next one."""


class Machine(Protocol):
    """What bytes go to: SimulatedBoard, or a model of one."""

    def run(self, data: bytes, cycles: int) -> bytes:
        """Takes ``data`` and goes on for ``cycles``; returns what was sent meanwhile."""
        ...


class Wire:
    """Bytes that are lost, changed or doubled on their way, one in ``1 / faults``, each kind as often.

    Parameters
    ----------
    faults : probability for each byte. seed : the same seed and bytes give the same faults.

    Members
    -------
    broken : faults so far.
    """

    def __init__(self, faults: float = 0.0, seed: int = 0):
        if not 0 <= faults < 1:
            raise ValueError(f"faults = {faults}: a probability from 0 to below 1 is needed")
        self.faults, self.broken, self._random = faults, 0, random.Random(seed)

    def carry(self, data: bytes) -> bytes:
        """What arrives of ``data``."""
        if not self.faults or not data:
            return data
        out = bytearray()
        for byte in data:
            if self._random.random() >= self.faults:
                out.append(byte)
                continue
            self.broken += 1
            out += self._random.choice((b"", bytes([byte ^ self._random.randrange(1, 256)]), bytes([byte, byte])))
        return bytes(out)


class Terminal:
    """Serves ``machine`` on a pseudo-terminal until ``close``.

    Parameters
    ----------
    machine : it is run by a thread of its own from now on, and stays the caller's to close, after this.
    path : symbolic link to the terminal's device, which is another after each ``plug``; one that leads nowhere is replaced.
    faults, seed : of the wire, both ways (Wire).

    Members
    -------
    path : as given. wires : to the machine and from it. broken : faults of both so far.

    Raises
    ------
    OSError : the link cannot be made, by its name: no such folder, or something is there.
    """

    def __init__(self, machine: Machine, path: Path, *, faults: float = 0.0, seed: int = 0):
        self.path = Path(path)
        self.wires = Wire(faults, 2 * seed), Wire(faults, 2 * seed + 1)
        self._machine = machine
        self._ends: tuple[int, int] | None = None  # of the terminal: ours, and the host's, kept open between hosts
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.plug()
        self._thread.start()

    @property
    def broken(self) -> int:
        return sum(wire.broken for wire in self.wires)

    def plug(self) -> None:
        """Puts the cable in."""
        with self._lock:
            # Before there is a terminal: it could be the one that the link of a board that died leads to.
            if self.path.is_symlink() and not self.path.exists():
                self.path.unlink()
            ours, hosts = os.openpty()
            try:
                tty.setraw(hosts)
                os.set_blocking(ours, False)
                self.path.symlink_to(os.ttyname(hosts))
            except OSError as error:
                os.close(ours)
                os.close(hosts)
                raise OSError(error.errno, error.strerror, str(self.path)) from error  # its name, not the terminal's
            self._ends = ours, hosts

    def unplug(self) -> None:
        """Pulls the cable: the host's reads and writes fail; bytes on their way are lost. The machine keeps its state."""
        with self._lock:
            ends, self._ends = self._ends, None
            if not ends:
                return
            with contextlib.suppress(OSError):  # somebody else's link, or none
                if os.readlink(self.path) == os.ttyname(ends[1]):
                    self.path.unlink()
            for end in ends:
                os.close(end)

    def close(self) -> None:
        """Ends the service; may be called twice."""
        self._ended.set()
        self._thread.join()
        self.unplug()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _serve(self) -> None:
        to_host, latest = b"", 0.0
        while not self._ended.is_set():
            asleep = time.monotonic() - latest > AWAKE_SECONDS
            data = self._receive(0.02 if asleep else 0.0)
            if data:
                latest = time.monotonic()
            if data or not asleep:
                to_host += self.wires[1].carry(self._machine.run(self.wires[0].carry(data), SLICE_CYCLES))
            to_host = self._send(to_host)

    def _receive(self, seconds: float) -> bytes:
        with self._lock:
            ours = self._ends[0] if self._ends else None
            if ours is not None and select.select([ours], [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    return os.read(ours, 4096)
        time.sleep(seconds)
        return b""

    def _send(self, data: bytes) -> bytes:
        """Writes what the terminal takes and returns the rest; without cable all of it is lost."""
        with self._lock:
            if not self._ends:
                return b""
            with contextlib.suppress(BlockingIOError):
                return data[os.write(self._ends[0], data):] if data else data
        return data
