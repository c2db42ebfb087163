"""Verilator's lint over the generated Verilog: ``python -m coldspike.sim.lint``. Waivers, with reasons: lint.vlt."""

import subprocess
import sys
from pathlib import Path

from ..hw.verilog import TOP
from ..spec.config import CoreConfig, Optimizer, Rule
from .build import cached_verilog
from .toolchain import ToolchainError, find_toolchain

__all__ = ["lint", "main"]

BUILDS = {
    "sgd": CoreConfig.for_network((20, 12, 5), lanes=4),
    "sign-momentum": CoreConfig.for_network((20, 12, 5), lanes=4, optimizer=Optimizer.SIGN_MOMENTUM),
    "no gradient memory": CoreConfig.for_network((20, 12, 5), lanes=4, gradient_memory=False),
    "partial transport": CoreConfig.for_network((20, 12, 5), lanes=4, partial_transport=True),
    "4-bit feedback weights": CoreConfig.for_network((20, 12, 5), lanes=4, feedback_precision="4-bit"),
    "feedback signs": CoreConfig.for_network((20, 12, 5), lanes=4, feedback_precision="sign"),
    "sparse-bptt": CoreConfig.for_network((20, 12, 5), lanes=4, rules=(Rule.SPARSE_BPTT,), max_steps=30, spike_entries=500,
                                          job_entries=200),
}
"""Small builds that between them contain every optional part; warnings do not depend on sizes."""


def lint(source: Path) -> str:
    """Verilator's warnings about a Verilog file; empty when there are none. ToolchainError without Verilator."""
    tools = find_toolchain()
    done = subprocess.run([tools.verilator, "--lint-only", "-Wall", Path(__file__).with_name("lint.vlt"), source,
                           "--top-module", TOP], env=tools.environment, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def main() -> int:
    """Lints all builds; 1 when one has warnings."""
    status = 0
    for name, config in BUILDS.items():
        try:
            warnings = lint(cached_verilog(config))
        except ToolchainError as error:
            sys.exit(str(error))
        status |= bool(warnings)
        print(f"verilator --lint-only -Wall, {name}: {warnings or 'clean'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
