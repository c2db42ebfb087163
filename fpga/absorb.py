"""Registers behind multipliers move into them, where yosys leaves them outside.

An ECP5's multiplier has a register at its output. With it nothing is left of the way from the product to its register, which a
placer makes as long as it likes, and the product itself counts as set-up time.
"""

import json
import os
from collections import defaultdict
from pathlib import Path

__all__ = ["REGISTERED", "absorb", "absorb_in"]

MULTIPLIER, REGISTER = "MULT18X18D", "TRELLIS_FF"
PRODUCT = tuple(f"P{bit}" for bit in range(36))

REGISTERED = {"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0", "REG_OUTPUT_RST": "RST0"}
"""What tells a multiplier to use it."""


def absorb_in(netlist: Path) -> dict[str, int]:
    """Does so in all modules of a netlist of yosys (JSON); how many registers moved, by module."""
    design = json.loads(netlist.read_text())
    moved = {name: absorb(module) for name, module in design["modules"].items()}
    if any(moved.values()):  # other devices' netlists stay as they are
        new = netlist.with_suffix(".new")
        new.write_text(json.dumps(design))
        os.replace(new, netlist)
    return moved


def absorb(module: dict) -> int:
    """Moves registers of a module of yosys' netlist (JSON, as read) into its multipliers; returns how many.

    A product moves whole or not at all: each of its bits goes to one register and nowhere else, all of them with one clock on its
    rising edge and one enable, or none, and without a reset, because the multiplier's resets under other conditions.
    """
    cells, readers = module["cells"], _readers(module)
    multipliers = [cell for cell in cells.values() if cell["type"] == MULTIPLIER]
    moved = 0
    for multiplier in multipliers:
        pins = multiplier["connections"]
        behind = {pin: readers[pins[pin][0]] for pin in PRODUCT if pins.get(pin) and readers[pins[pin][0]]}
        names = [found[0] if len(found) == 1 else None for found in behind.values()]
        controls = {_control(cells[name]) if name in cells else None for name in names}
        if len(controls) != 1 or None in controls:
            continue
        (clock, enable), = controls
        for pin, name in zip(behind, names, strict=True):
            pins[pin] = cells.pop(name)["connections"]["Q"]
        pins |= {"CLK0": [clock], "CE0": [enable], "RST0": ["0"]}
        multiplier["port_directions"] |= dict.fromkeys(("CLK0", "CE0", "RST0"), "input")
        multiplier["parameters"] |= REGISTERED
        moved += len(names)
    return moved


def _readers(module: dict) -> dict[int | str, list[str | None]]:
    """Names of the cells that read a net, by its number; None for a port of the module, and for an input but a register's D."""
    readers: dict[int | str, list[str | None]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for pin, nets in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for net in nets:
                    readers[net].append(name if (cell["type"], pin) == (REGISTER, "DI") else None)
    for port in module["ports"].values():
        if port["direction"] != "input":
            for net in port["bits"]:
                readers[net].append(None)
    return readers


def _control(register: dict) -> tuple[int, int | str] | None:
    """Clock and enable of a register that fits behind a product; None for any other."""
    pins, parameters = register["connections"], register["parameters"]
    if parameters["CLKMUX"] != "CLK" or parameters["REGSET"] != "RESET" or pins.get("LSR", ["0"]) != ["0"]:
        return None
    return {"CE": (pins["CLK"][0], pins["CE"][0]) if "CE" in pins else None, "1": (pins["CLK"][0], "1")}.get(parameters["CEMUX"])
