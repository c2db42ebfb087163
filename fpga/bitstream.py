"""From a board to its bitstream: synthesis, place and route, packing."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ..hw.board import generate_board
from .board_chip import board_chip
from .boards import Board, lpf
from .harness import CHIP
from .placement import place, routed
from .synthesis import synthesize
from .tools import ToolError, run_tool

__all__ = ["make_bitstream"]


def make_bitstream(board: Board, room: Path, *, seed: int = 1, tell: Callable[[str], None] = lambda text: None) -> dict:
    """Writes coldspike-NAME.bit and, what is in it, coldspike-NAME.json into ``room``; returns the latter.

    ``seed`` : of the placement. ``tell`` : hears what is being done.

    Raises
    ------
    ToolError : a tool is missing or failed, the design does not fit, or it is slower than the board's clock; neither is written.
    """
    tell("synthesising")
    netlist = synthesize(generate_board(board.config, board.facts) + board_chip(board), board.target, room, top=CHIP)
    tell(f"placing and routing, seed {seed}")
    goal, name = board.facts.clock / 1e6, f"coldspike-{board.facts.name}"
    placement = place(netlist, board.target, room, goal=goal, seed=seed, planned=board.planned, pins=lpf(board))
    if placement.slowest < goal:
        raise ToolError(f"no bitstream: the clock reaches {placement.slowest:.1f} MHz, {board.facts.name} runs at {goal:g}; "
                        "try another --seed, or lower the clock in fpga/boards.py")
    tell("packing")
    run_tool("yowasp-ecppack", ["--compress", "--input", routed(seed), "--bit", f"{name}.bit.part"], room, "ecppack.log")
    facts = {
        **asdict(board.facts), "device": board.target.text, "digest": netlist.digest, "configuration": board.config.as_dict(),
        "fmax": round(placement.slowest, 2), "seed": seed, "used": placement.used,
        "total": netlist.total, "components": netlist.components, "critical_path": [asdict(step) for step in placement.critical],
        "sha256": hashlib.sha256((room / f"{name}.bit.part").read_bytes()).hexdigest(),
    }
    (room / f"{name}.json.part").write_text(json.dumps(facts, indent=2) + "\n")
    for kind in ("bit", "json"):  # whole, or as before
        os.replace(room / f"{name}.{kind}.part", room / f"{name}.{kind}")
    return facts
