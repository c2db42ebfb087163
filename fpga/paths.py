"""Estimated paths of a synthesised netlist for ECP5, in seconds: what to cut before place and route is asked.

Cells have nextpnr's delays for speed grade 6. A net takes ``NET`` ns and ``DOUBLING`` for each doubling of its fan-out, wherever
the placer will put its ends: of two paths of a build of 4 lanes one was routed in 16.4 ns (21 estimated), the other in 11.6 (9.7).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from pathlib import Path

__all__ = ["Estimate", "paths"]

NET, DOUBLING = 0.75, 0.2
REGISTERED = "MULT18X18D, registered"
"""A multiplier with fpga/absorb.py's register behind it."""

CLOCK_TO_OUT = {"TRELLIS_FF": 0.52, "DP16KD": 5.6, REGISTERED: 0.74}
SETUP_PINS = {"TRELLIS_FF": r"DI|CE|LSR|M", "DP16KD": r"(?!DO|CLK).*", "TRELLIS_DPR16X4": r"DI|WAD|WRE", REGISTERED: r"[AB]\d+"}
SETUP = {REGISTERED: 3.49}
OUTPUTS = {"LUT4": "Z", "PFUMX": "Z", "L6MUX21": "Z", "CCU2C": "S0|S1|COUT", "TRELLIS_FF": "Q", "DP16KD": r"DO[AB]\d+",
           "MULT18X18D": r"P\d+", REGISTERED: r"P\d+",
           "TRELLIS_DPR16X4": "DO"}
# cell -> (inputs, delay in ns, whether a net lies before them)
ARCS = {
    "LUT4": (("[ABCD]", 0.24, True),), "PFUMX": (("ALUT|BLUT", 0.15, False), ("C0", 0.17, True)),
    "L6MUX21": (("D[01]", 0.15, False), ("SD", 0.17, True)), "MULT18X18D": ((r"[AB]\d+", 3.93, True),),
    "CCU2C": (("[ABCD][01]", 0.45, True), ("CIN", 0.07, False)), "TRELLIS_DPR16X4": (("RAD", 0.24, True),),
}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A path into a register or memory.

    Members
    -------
    delay : nanoseconds. end : cell and pin. steps : (ns so far, cell type, net, fan-out), from the end to the beginning.
    """

    delay: float
    end: str
    steps: list[tuple[float, str, str, int]]


class _Netlist:
    """Cells of all modules, flat, with numbers for nets."""

    def __init__(self, design: dict):
        self.modules, self.count = design["modules"], 0
        self.cells: list[tuple[str, str, dict[str, list]]] = []
        self.names: dict[int, str] = {}
        top = next(name for name, module in self.modules.items() if module["attributes"].get("top"))
        self._add(top, "", {})
        self.driver, self.fanout = {}, defaultdict(int)
        for index, (_, kind, pins) in enumerate(self.cells):
            for pin, nets in pins.items():
                for net in nets:
                    if re.fullmatch(OUTPUTS.get(kind, "$^"), pin):
                        self.driver[net] = index
                    else:
                        self.fanout[net] += 1

    def _add(self, name: str, path: str, bound: dict[str, list]) -> None:
        module, nets = self.modules[name], {}
        for port, info in module["ports"].items():
            nets.update(zip(info["bits"], bound.get(port, ())))

        def net(bit):
            if bit not in nets:
                self.count += 1
                nets[bit] = self.count
            return nets[bit]

        for wire, info in module["netnames"].items():
            for n, bit in enumerate(info["bits"]):
                if isinstance(bit, int):
                    self.names.setdefault(net(bit), f"{path}{wire}[{n}]")
        for cell, info in module["cells"].items():
            pins = {pin: [net(bit) for bit in bits if isinstance(bit, int)] for pin, bits in info["connections"].items()}
            if info["type"] in OUTPUTS or info["type"] not in self.modules:
                registered = "REG_OUTPUT_CLK" in info.get("parameters", ())
                self.cells.append((path + cell, REGISTERED if registered else info["type"], pins))
            else:
                self._add(info["type"], f"{path}{cell}.", {pin: list(map(net, bits)) for pin, bits in info["connections"].items()})


def paths(netlist: Path, count: int) -> Iterator[Estimate]:
    """The ``count`` slowest paths, one for each place that paths pass half way; slowest first."""
    flat = _Netlist(json.loads(netlist.read_text()))
    arrival: dict[int, float] = {}
    before: dict[int, int | None] = {}

    def wire(net):
        return NET + DOUBLING * log2(max(flat.fanout[net], 1))

    def inputs(net):
        _, kind, pins = flat.cells[flat.driver[net]]
        for pattern, delay, routed in ARCS.get(kind, ()):
            for pin, nets in pins.items():
                if re.fullmatch(pattern, pin):
                    yield from ((source, delay, routed) for source in nets if source in flat.driver)

    def settle(net):
        """Depth first with a stack of its own: carry chains are deeper than Python's."""
        stack = [net]
        while stack:
            now = stack[-1]
            missing = [source for source, _, _ in inputs(now) if source not in arrival]
            if missing:
                stack += missing
                continue
            stack.pop()
            start = CLOCK_TO_OUT.get(flat.cells[flat.driver[now]][1], 0.0)
            arrival[now], before[now] = max(
                ((arrival[source] + delay + (wire(source) if routed else 0), source) for source, delay, routed in inputs(now)),
                default=(start, None))

    ends = []
    for name, kind, pins in flat.cells:
        for pin, nets in pins.items():
            if kind in SETUP_PINS and re.fullmatch(SETUP_PINS[kind], pin):
                for net in nets:
                    if net in flat.driver:
                        if net not in arrival:
                            settle(net)
                        ends.append((arrival[net] + wire(net) + SETUP.get(kind, 0.0), f"{name}.{pin}", net))
    seen = set()
    for delay, end, net in sorted(ends, key=lambda each: -each[0]):
        steps = []
        while net is not None:
            steps.append((arrival[net], flat.cells[flat.driver[net]][1], flat.names.get(net, ""), flat.fanout[net]))
            net = before[net]
        middle = steps[len(steps) // 2][2]
        if middle not in seen:
            seen.add(middle)
            yield Estimate(delay=delay, end=end, steps=steps)
            if len(seen) == count:
                return
