"""Verilator's lint over the generated Verilog: ``python -m coldspike.sim.lint``. Waivers, with reasons: lint.vlt."""

import subprocess
import sys
from pathlib import Path

from ..hw.board import BOARD as MODULE
from ..hw.verilog import TOP
from ..spec.config import CoreConfig, Optimizer, Rule, Schedule
from ..spec.link import BoardFacts
from .build import cached_verilog
from .toolchain import ToolchainError, find_toolchain

__all__ = ["lint", "main"]

OVER_STEPS = {"max_steps": 30, "spike_entries": 500, "job_entries": 200}
BUILDS = {name: CoreConfig.for_network((20, 12, 5), lanes=4, **options) for name, options in {
    "sgd": {},
    "sign-momentum": {"optimizer": Optimizer.SIGN_MOMENTUM},
    "no gradient memory": {"gradient_memory": False},
    "partial transport": {"partial_transport": True},
    "4-bit feedback weights": {"feedback_precision": "4-bit"},
    "feedback signs": {"feedback_precision": "sign"},
    "sparse-bptt": OVER_STEPS | {"rules": Rule.SPARSE_BPTT},
    "rate": OVER_STEPS | {"rules": Rule.RATE},
    "rate, multi-step": OVER_STEPS | {"rules": Rule.RATE, "schedule": Schedule.MULTI_STEP},
    "ttfs and rate": OVER_STEPS | {"rules": (Rule.TTFS, Rule.RATE)},
    "all rules": OVER_STEPS | {"rules": tuple(Rule)},
}.items()}
"""Small builds that between them contain every optional part; warnings do not depend on sizes."""


BOARD = BoardFacts(name="lint", clock=50_000_000)


def lint(source: Path, top: str = TOP) -> str:
    """Verilator's warnings about module ``top`` of a Verilog file; empty when there are none. ToolchainError without Verilator."""
    tools = find_toolchain()
    done = subprocess.run([tools.verilator, "--lint-only", "-Wall", Path(__file__).with_name("lint.vlt"), source,
                           "--top-module", top], env=tools.environment, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def main() -> int:
    """Lints all builds; 1 when one has warnings."""
    status = 0
    for name, config, board in (*((name, config, None) for name, config in BUILDS.items()), ("board", BUILDS["sgd"], BOARD)):
        try:
            warnings = lint(cached_verilog(config, board=board), MODULE if board else TOP)
        except ToolchainError as error:
            sys.exit(str(error))
        status |= bool(warnings)
        print(f"verilator --lint-only -Wall, {name}: {warnings or 'clean'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
