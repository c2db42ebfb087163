"""Boards that a bitstream is made for: device, pins, clock, and the accelerator that is built for them.

Both have an FT231X between USB and the serial wires, which makes 3 Mbaud exactly.
"""

from dataclasses import dataclass, replace

from ..spec.config import CoreConfig, Optimizer
from ..spec.link import BoardFacts
from .targets import TARGETS, Target
from .tools import ToolError

__all__ = ["BOARDS", "Board", "Pin", "find_board", "lpf"]


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A ball of the package.

    Members
    -------
    site : its name. pull : UP, DOWN or NONE, the resistor that the FPGA puts there. inverted : low means active.
    """

    site: str
    pull: str = "NONE"
    inverted: bool = False


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Members
    -------
    facts : name, as on the command line; clock; serial link. text : in words.
    target : device.
    oscillator : Hz at the pin of that name.
    pins : port of the chip (board_chip.py) -> ball, all of 3.3 V: oscillator, rx, tx as the FPGA sees them, button (reset) and
        led (the link is open); high, where there is one, is held at 1.
    config : the accelerator.
    planned : its memories and multipliers go where fpga/floorplan.py says; without, a nearly full device does not route.
    """

    facts: BoardFacts
    text: str
    target: Target
    oscillator: int
    pins: dict[str, Pin]
    config: CoreConfig
    planned: bool = False


BOARDS = {board.facts.name: board for board in (
    Board(
        facts=BoardFacts(name="ulx3s", clock=50_000_000), text="Radiona ULX3S, LFE5U-85F",
        target=replace(TARGETS["ecp5-85k"], place=("--85k", "--package", "CABGA381", "--speed", "6")),
        oscillator=25_000_000,
        # L2 is GPIO0 of the board's ESP32: low, it restarts into its loader.
        pins={"oscillator": Pin(site="G2"), "rx": Pin(site="M1", pull="UP"), "tx": Pin(site="L4"),
              "button": Pin(site="R1", pull="DOWN"), "led": Pin(site="B2"), "high": Pin(site="L2")},
        config=CoreConfig.for_network((784, 72, 10), lanes=4, optimizer=Optimizer.SIGN_MOMENTUM, weight_decay=False), planned=True,
    ),
    Board(
        facts=BoardFacts(name="icepi-zero", clock=50_000_000), text="Icepi Zero 1.3, LFE5U-25F",
        target=replace(TARGETS["ecp5-25k"], place=("--25k", "--package", "CABGA256", "--speed", "6")),
        oscillator=50_000_000,
        pins={"oscillator": Pin(site="M1"), "rx": Pin(site="K16", pull="UP"), "tx": Pin(site="K15"),
              "button": Pin(site="C4", pull="UP", inverted=True), "led": Pin(site="E13")},
        config=CoreConfig.for_network((64, 64, 10), lanes=2, optimizer=Optimizer.SIGN_MOMENTUM, weight_decay=False),
    ),
)}


def find_board(name: str) -> Board:
    """The board of that name. Raises ToolError where there is none."""
    if name not in BOARDS:
        raise ToolError(f"--board {name!r} is unknown; choose one of: {', '.join(BOARDS)}")
    return BOARDS[name]


def lpf(board: Board) -> str:
    """Constraints for place and route: where the pins are, and the oscillator, from which nextpnr derives the PLL's clock."""
    lines = []
    for port, pin in board.pins.items():
        lines += [f'LOCATE COMP "{port}" SITE "{pin.site}";', f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33 PULLMODE={pin.pull};']
    return "\n".join([*lines, f'FREQUENCY PORT "oscillator" {board.oscillator / 1e6:g} MHZ;', ""])
