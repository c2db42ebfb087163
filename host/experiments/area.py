"""Area of the learning rules on an FPGA: synthesis of the builds that were trained and simulated, each alone and all in one. Kept
as results of runs are, one small file each."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from rich.console import Console

from ...fpga.targets import TARGETS
from ...fpga.tools import ToolError
from ...spec.config import CoreConfig, Rule
from ..builds import joined
from ..files import write_whole
from ..problems import Problem

__all__ = ["Areas", "together"]

TARGET = TARGETS["ecp5-85k"]

OVER_TIME = (Rule.SPARSE_BPTT, Rule.RATE)
OF_RULES = {"max_steps": OVER_TIME, "spike_entries": OVER_TIME, "job_entries": OVER_TIME[:1], "rate_loss": OVER_TIME[:1],
            "schedule": OVER_TIME[1:]}
"""Parameters that only builds of some rules heed."""


def together(builds: Sequence[CoreConfig]) -> CoreConfig:
    """One build that runs what each of ``builds`` runs: all their rules, of each number the largest.

    Raises ValueError where they differ in anything else.
    """
    parts = [{f.name: getattr(build, f.name) for f in fields(CoreConfig) if set(build.rules) & set(OF_RULES.get(f.name, Rule))}
             for build in builds]
    rules = set().union(*(part.pop("rules") for part in parts))
    for name in set().union(*parts):
        values = {part[name] for part in parts if name in part}
        if len(values) > 1 and not all(type(value) is int for value in values):
            raise ValueError(f"builds with different {name} do not go together: {', '.join(sorted(map(str, values)))}")
    return CoreConfig(**joined(parts), rules=tuple(rule for rule in Rule if rule in rules))


class Areas:
    """Resources that builds take, each a file in a folder that the build's parameters name."""

    def __init__(self, folder: Path):
        self.folder = folder

    def name(self, build: CoreConfig) -> str:
        """Of a build's result."""
        return f"area-{'+'.join(build.rules)}-{build.digest():08x}"

    def get(self, build: CoreConfig) -> dict[str, float] | None:
        """Resource -> count, or None."""
        path = self.folder / f"{self.name(build)}.json"
        return json.loads(path.read_text())["total"] if path.exists() else None

    def carry_out(self, builds: Iterable[CoreConfig], work: Path, screen: Console) -> None:
        """Synthesises what has no result yet, in folders of ``work``. Raises Problem: yosys is missing, or failed."""
        from ...fpga.synthesis import synthesize  # here, because Amaranth takes a third of a second
        from ...hw.verilog import generate

        for build in builds:
            if self.get(build) is None:
                with screen.status(f"synthesising the build of {', '.join(build.rules)}: minutes"):
                    try:
                        netlist = synthesize(generate(build), TARGET, work / self.name(build))
                    except ToolError as error:
                        raise Problem(str(error)) from error
                self.folder.mkdir(parents=True, exist_ok=True)
                found = {"digest": netlist.digest, "target": TARGET.text, "total": netlist.total, "components": netlist.components}
                write_whole(self.folder / f"{self.name(build)}.json", json.dumps(found, indent=1) + "\n")
