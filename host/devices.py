"""Devices by name. The only place of the host that imports golden model, simulator and serial ports, each when asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..spec.config import CoreConfig
from ..spec.link import BoardFacts
from .device import Device
from .problems import OptionError, Problem

if TYPE_CHECKING:
    from ..sim.board import SimulatedBoard
    from ..sim.terminal import Terminal
    from .serial_device import SerialDevice

__all__ = ["CHOICE", "DEVICES", "SERIAL", "is_device", "is_serial", "open_device", "open_serial", "serve_board"]

DEVICES = ("simulated", "golden")
SERIAL = "serial:"
CHOICE = f"choose one of: {', '.join(DEVICES)}, {SERIAL}PORT"


def is_serial(name: str) -> bool:
    """Whether a device's name is that of a board at a serial port, serial:PORT or serial:PORT@BAUD."""
    return name.startswith(SERIAL) and len(name) > len(SERIAL)


def is_device(name: str) -> bool:
    """Whether there is a device by this name."""
    return name in DEVICES or is_serial(name)


def open_serial(name: str, config: CoreConfig | None = None, **more) -> SerialDevice:
    """The board at a serial port; ``name`` is serial:PORT or serial:PORT@BAUD, ``more`` as for SerialDevice.

    Raises
    ------
    Problem : the port cannot be opened, the board does not answer, or its build is not ``config`` (one line with the remedy).
    """
    port = name.removeprefix(SERIAL)
    place, _, baud = port.rpartition("@")
    if place and baud.isdecimal():
        port, more = place, {"baud": int(baud)} | more
    try:
        from .serial_device import SerialDevice
    except ImportError as error:
        raise Problem(f"device {name}: serial ports need pyserial; run 'make setup', or 'pip install pyserial'") from error
    try:
        return SerialDevice(port, config=config, **more)
    except RuntimeError as error:
        raise Problem(str(error)) from error


def open_device(name: str, config: CoreConfig, *, stall: float = 0.0, stall_seed: int = 0, exact_choice: bool = False,
                status: Callable[[str], None] | None = None, rehearse: Callable[[Device], None] | None = None) -> Device:
    """A device for the build ``config``.

    Parameters
    ----------
    name : ``simulated`` (the generated Verilog, cycle by cycle; the first use of a build compiles it) or
        ``golden`` (the exact integer model), or ``serial:PORT`` (a board, which has to have this build).
    stall, stall_seed : probability, 0 to 0.99, for each cycle of each channel, that the simulated host holds it back.
    exact_choice : of the golden device: top-K transport without the histogram, to compare with.
    status : called with a line of text before each slow step of a first build.
    rehearse : of the simulated device: what it is compiled for (host/rehearsal.py).

    Raises
    ------
    Problem : the name is unknown, or the simulator cannot be built here (one line with the remedy).
    """
    if name == "golden":
        if stall:
            raise OptionError(f"stall = {stall}: the golden device has no streams that could stall; use 'simulated'")
        import torch

        from ..model.device import GoldenDevice
        # Its products are small: threads gain little, and on a busy machine they wait for each other most of the time.
        torch.set_num_threads(1)
        return GoldenDevice(config, exact_choice)
    if name == "simulated":
        if exact_choice:
            raise OptionError("the simulated device chooses by histogram; exact choice needs 'golden'")
        if not 0 <= stall <= 0.99:
            raise OptionError(f"stall = {stall}: a probability from 0 to 0.99 is needed")
        from ..sim.device import SimulatedDevice
        from ..sim.toolchain import ToolchainError
        try:
            return SimulatedDevice(config, stall=stall, stall_seed=stall_seed, status=status, rehearse=rehearse)
        except (ToolchainError, OSError) as error:
            raise Problem(f"the simulated device cannot be built: {error}") from error
    if is_serial(name):
        if stall or exact_choice:
            raise OptionError(f"stall = {stall}, exact_choice = {exact_choice}: a board knows neither; use 'simulated' or 'golden'")
        return open_serial(name, config)
    raise OptionError(f"device {name!r} is unknown; {CHOICE}")


@contextlib.contextmanager
def serve_board(path: Path, config: CoreConfig, *, clock: int, faults: float = 0.0, seed: int = 0,
                status: Callable[[str], None] | None = None) -> Iterator[tuple[SimulatedBoard, Terminal]]:
    """A simulated board with the build ``config`` that serves at the serial port ``path`` until the block ends.

    Parameters
    ----------
    clock : Hz. faults, seed : of the wire (sim.terminal.Wire). status : called with a line before each step of a first build.

    Raises
    ------
    Problem : a value is refused, or the board cannot be built here (one line with the remedy).
    """
    from ..sim.board import SimulatedBoard
    from ..sim.terminal import Terminal
    from ..sim.toolchain import ToolchainError

    least = 4 * BoardFacts.baud
    if clock < least:
        raise OptionError(f"--clock {clock}: {BoardFacts.baud:,} baud need at least {least}")
    if not 0 <= faults < 1:
        raise OptionError(f"--faults {faults}: a probability from 0 to below 1 is needed")
    if not path.parent.is_dir():
        raise OptionError(f"{path}: there is no folder {path.parent}; make it, or name another place")
    if path.exists() and path.is_symlink():
        raise OptionError(f"{path} leads to {path.resolve()}, which is in use: end the board that serves there, remove the link, "
                          "or name another")
    if path.exists():
        raise OptionError(f"{path} is there already and is no serial port of a simulated board; name another")
    try:
        board = SimulatedBoard(config, BoardFacts(name="simulated", clock=clock), status=status)
    except (ToolchainError, OSError) as error:
        raise Problem(f"the simulated board cannot be built: {error}") from error
    with board, Terminal(board, path, faults=faults, seed=seed) as terminal:
        yield board, terminal
