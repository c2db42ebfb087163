"""A board at a serial port, as a device."""

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import serial

from ..spec.config import CoreConfig
from .board import differences
from .link import OTHER_RELEASE, Link, LinkError
from .pace import Times
from .problems import OptionError, Problem

__all__ = ["BAUD", "Description", "SerialDevice", "SerialWire"]

BAUD = 3_000_000
"""What boards of this project speak, bits/s."""

TICK = 0.005
"""Seconds that a read waits for the first byte."""

PSEUDO = "/dev/pts/"
"""Where pseudo-terminals are."""

WRITE_SECONDS = 1.0
MOST_JSON = 1 << 20


@contextlib.contextmanager
def port_errors() -> Iterator[None]:
    """What a port's driver raises when the port is gone, as OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if type(error).__module__ != "termios":  # a module that not every system has
            raise
        raise OSError(*error.args) from error


class SerialWire:
    """A serial port: 8 data bits, no parity, one stop bit, for this process alone.

    Raises OptionError when it cannot be opened.
    """

    def __init__(self, port: str, baud: int = BAUD):
        if baud < 1:
            raise OptionError(f"{port} with {baud} baud: 1 or more are needed (serial:{port}@BAUD; of probe: --baud)")
        self.name, self.baud = port, baud
        self._port: serial.Serial | None = None
        try:
            self.reopen()
        except (OSError, ValueError, OverflowError) as error:
            raise OptionError(refusal(port, baud, error)) from error

    def read(self) -> bytes:
        """The bytes that are there; with none, after some milliseconds, b''. Raises OSError when the port is gone."""
        with port_errors():
            port = self._opened()
            first = port.read(1)
            return first + port.read(port.in_waiting) if first else b""

    def write(self, data: bytes) -> None:
        """Sends bytes. Raises OSError when the port is gone."""
        with port_errors():
            port = self._opened()
            try:
                port.write(data)
            except serial.SerialTimeoutException:  # nobody takes them: lost, as on the line
                port.reset_output_buffer()

    def reopen(self) -> None:
        """Opens the port anew. Raises OSError when it is not there."""
        self.close()
        with port_errors():
            self._port = serial.Serial(self.name, self.baud, timeout=TICK, write_timeout=WRITE_SECONDS, exclusive=True)
        # USB adapters hold bytes back for some milliseconds unless told not to; not every port knows that.
        with contextlib.suppress(OSError, ValueError, NotImplementedError, AttributeError):
            self._port.set_low_latency_mode(True)
        if not os.path.realpath(self.name).startswith(PSEUDO):  # there it would outlast this process, if that is killed
            claim(self._port.fileno())

    def _opened(self) -> serial.Serial:
        if self._port is None:  # it broke, and could not be opened anew
            raise OSError(errno.ENODEV, "the port is closed")
        return self._port

    def close(self) -> None:
        """Releases the port; may be called twice."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError), port_errors():
                port.reset_output_buffer()  # else closing waits until somebody has taken them
            with contextlib.suppress(OSError), port_errors():
                port.close()


def claim(port: int) -> None:
    """Marks the open port, where the system can: nobody else opens it. The lock that pyserial takes is known to those alone who
    ask for it."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl
        import termios
        fcntl.ioctl(port, termios.TIOCEXCL)


def refusal(port: str, baud: int, error: Exception) -> str:
    """Why a port cannot be opened, and the remedy."""
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return f"serial port {port} is not there: connect the board, or name another port"
        case errno.EACCES | errno.EPERM:
            return f"serial port {port} may not be opened: join its group (sudo usermod -aG dialout $USER) and log in again"
        case errno.EAGAIN | errno.EBUSY:
            return f"serial port {port} is busy: end the program that has it open"
    return f"{port} cannot be opened as a serial port with {baud} baud ({error}): name another port, or another baud"


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a board says of itself: its name, clock (Hz), baud (bits/s) and build."""

    board: str
    clock: int
    baud: int
    config: CoreConfig

    @classmethod
    def of(cls, text: bytes) -> "Description":
        """From the text that READ gives. Raises ValueError, with one line, for what is no description of this release."""
        try:
            unpacker = zlib.decompressobj()
            plain = unpacker.decompress(text, MOST_JSON)
            if not unpacker.eof:
                raise ValueError("its end is missing")
            facts = json.loads(plain)
            if not isinstance(facts["board"], str) or not {type(facts["clock"]), type(facts["baud"])} <= {int}:
                raise ValueError("board, clock or baud is of another type")
            return cls(board=facts["board"], clock=facts["clock"], baud=facts["baud"], config=CoreConfig.from_dict(facts["core"]))
        except KeyError as error:
            raise ValueError(f"{error} is missing") from error
        except (TypeError, AttributeError, zlib.error, RecursionError) as error:
            raise ValueError(str(error)) from error


class SerialDevice:
    """The accelerator of a board at a serial port. Opening it resets the accelerator; its memories keep what they hold.

    Parameters
    ----------
    port : such as /dev/ttyUSB0.
    baud : of the line, bits/s.
    config : the build that the board must have; None: any.
    times : how long to wait for what.

    Members
    -------
    config : the board's build. description : what it says of itself. link : the connection, with its counts.

    Raises
    ------
    OptionError : the port cannot be opened.
    Problem : the board is of another release, or has another build than ``config``.
    RuntimeError : the board does not answer; from every method, with one line of text.
    """

    def __init__(self, port: str, baud: int = BAUD, *, config: CoreConfig | None = None, times: Times | None = None):
        self._wire = SerialWire(port, baud)
        try:
            self.link = Link(self._wire, times)
            self.link.hello()
            try:
                self.description = Description.of(self.link.description())
            except ValueError as error:
                raise Problem(f"{port}: the board's description cannot be read ({error}): {OTHER_RELEASE}") from error
            self.config = self.description.config
            if config is not None and config != self.config:
                raise Problem(f"{port}: the board has another build: {differences(config.as_dict(), self.config.as_dict())}; "
                              "configure it with the build that is asked for")
        except BaseException:
            self.close()
            raise

    def read_register(self, address: int) -> int:
        """32-bit value of the register at byte ``address``."""
        return self._open().read(address)

    def write_register(self, address: int, value: int) -> None:
        """Writes the 32-bit ``value`` to the register at byte ``address``."""
        self._open().write(address, value)

    def exchange(self, words: np.ndarray, last: np.ndarray, results: int) -> tuple[np.ndarray, np.ndarray]:
        """Sends whole packets and returns words (uint32) and TLAST flags (bool) of the results.

        Ends when every word is accepted, at least ``results`` result packets have come and none is half received. Raises ValueError
        when ``words`` and ``last`` differ in length.
        """
        words, last = np.asarray(words).astype(np.uint32), np.asarray(last, bool)
        if words.shape != last.shape or words.ndim != 1:
            raise ValueError(f"{words.size} words with {last.size} TLAST flags")
        return self._open().exchange(words, last, results)

    def close(self) -> None:
        """Releases the port; may be called twice."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _open(self) -> Link:
        if self._wire is None:
            raise LinkError("the serial port is closed; open the device anew")
        return self.link

