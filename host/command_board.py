"""``coldspike board``: a simulated board at the other end of a serial port."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..spec.config import CoreConfig
from .devices import SERIAL, serve_board
from .options import resolve
from .problems import OptionError
from .signals import stop_requests

__all__ = ["board"]

LOOK_SECONDS = 0.2


def board(
    port: Annotated[Path, typer.Argument(help="where to put the serial port: a link to a pseudo-terminal", show_default=False)],
    description: Annotated[Path | None, typer.Option("--build", metavar="FILE", show_default="the build that 'train' makes",
                                                     help="JSON that 'generate' or 'make bitstream' wrote")] = None,
    clock: Annotated[int, typer.Option(help="Hz; the wire's 3 Mbaud need 4 cycles a bit, more cost time")] = 12_000_000,
    faults: Annotated[float, typer.Option(help="probability that a byte on the wire is lost, changed or doubled")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="seed of the faults")] = 0,
) -> None:
    """Serve a simulated board, bit by bit from serial wire to serial wire, until Ctrl-C. Train on it with --device serial:PORT."""
    config = read_build(description) if description else resolve({}).core_config()
    screen = Console(stderr=True)
    with screen.status("preparing the board") as status, stop_requests() as request, \
         serve_board(port, config, clock=clock, faults=faults, seed=seed, status=status.update) as (machine, terminal):
        print(f"a board serves at {port}: coldspike probe {port}; coldspike train --device {SERIAL}{port}", flush=True)
        while request.signal is None:
            status.update(f"{machine.cycles:,} clock cycles; the link is {'open' if machine.open else 'closed'}"
                          + (f"; {terminal.broken:,} bytes broken" if faults else ""))
            time.sleep(LOOK_SECONDS)
        print(f"{machine.cycles:,} clock cycles, {terminal.broken:,} bytes broken")


def read_build(path: Path) -> CoreConfig:
    """The build of a description. Raises OptionError, with the file's name."""
    try:
        facts = json.loads(path.read_text())
        if not isinstance(facts, dict) or "configuration" not in facts:
            raise ValueError("it has no configuration")
        return CoreConfig.from_dict(facts["configuration"])
    except OSError as error:
        raise OptionError(f"--build {path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise OptionError(f"--build {path}: no description of a build of this release ({error}); write one with "
                          "'coldspike generate'") from error
