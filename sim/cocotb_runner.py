"""Runs cocotb test modules on the generated Verilog: for the ports and their protocols, not for training."""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from ..hw import verilog
from ..spec.config import CoreConfig
from .build import Top, cached_verilog
from .cache import cached, digest
from .toolchain import ToolchainError, find_toolchain, simulator_environment

__all__ = ["config_under_test", "run_cocotb"]

_FOLDER = Path(__file__).parent.parent / "build" / "cocotb"
_FLAGS = ("-O3", "--x-assign", "fast", "--noassert", "-Wno-fatal", "-Wno-lint", "-Wno-style")
_MAKE = "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
"""Python at every edge is what takes the time of a run; optimising the model would only take compile time."""

_CONFIG = "COLDSPIKE_CONFIG"


def config_under_test() -> CoreConfig:
    """Inside a cocotb test: the build that ``run_cocotb`` was called with."""
    return CoreConfig(**json.loads(os.environ[_CONFIG]))


@contextmanager
def _environment(extra: Mapping[str, str]):
    """cocotb's runner takes its environment from the process."""
    before = dict(os.environ)
    os.environ.update(extra)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _executable(config: CoreConfig, top: Top | None) -> Path:
    """The simulator with the core inside, from the cache."""
    from cocotb_tools.runner import get_runner  # here: it belongs to the development tools
    source = cached_verilog(config, top)

    def make(path: Path) -> None:
        log = _FOLDER / f"build-{path.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        runner = get_runner("verilator")
        environment = simulator_environment()
        environment["MAKEFLAGS"] = f"{environment.get('MAKEFLAGS', '')} {_MAKE}"
        try:
            with _environment(environment):
                runner.build(sources=[source], hdl_toplevel=verilog.TOP, build_dir=path.parent, always=True,
                             build_args=list(_FLAGS), timescale=("1ns", "1ps"), log_file=log)
        except (RuntimeError, SystemExit) as error:
            raise ToolchainError(f"the cocotb simulator could not be built; see {log}") from error
        shutil.move(path.parent / verilog.TOP, path)

    import cocotb
    from cocotb_tools.config import libs_dir
    # The executable finds cocotb's libraries by their path: one of an environment that has gone is of no use.
    key = digest(source.read_bytes(), find_toolchain().identity(), cocotb.__version__, str(libs_dir), _MAKE, *_FLAGS)
    return cached(f"cocotb-{key}", make)


def run_cocotb(module: str, config: CoreConfig, *, top: Top | None = None, testcase: str | None = None,
               seed: int = 1, environment: Mapping[str, str] | None = None) -> int:
    """Runs the cocotb tests of a Python module and returns how many passed.

    Parameters
    ----------
    module : dotted name, importable from this process's path.
    config : the build; ``config_under_test()`` gives it to the tests.
    top : another component with the accelerator's pins.
    testcase : name of one test; None runs all of the module.
    seed : for cocotb's random numbers.
    environment : further variables for the tests.

    Raises
    ------
    ToolchainError : the simulator cannot be built.
    AssertionError : a test failed, or none ran; names the tests and the log.
    """
    from cocotb_tools.runner import get_runner
    executable = _executable(config, top)
    room = _FOLDER / digest(executable.name, module, testcase or "")
    room.mkdir(parents=True, exist_ok=True)
    shutil.copy(executable, room / verilog.TOP)  # the runner wants it there, under this name
    log, results = room / "test.log", room / "results.xml"
    extra = {_CONFIG: json.dumps(config.as_dict()), **(environment or {})}
    try:
        get_runner("verilator").test(
            test_module=module, hdl_toplevel=verilog.TOP, hdl_toplevel_lang="verilog", build_dir=room, testcase=testcase,
            seed=seed, extra_env=extra, results_xml=str(results), log_file=log)
    except (SystemExit, RuntimeError):
        pass  # the results say it better
    if not results.is_file():
        raise AssertionError(f"cocotb ended without results; see {log}")
    cases = [case for case in ElementTree.parse(results).iter("testcase") if case.find("skipped") is None]
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if failed or not cases:
        raise AssertionError(f"cocotb: {', '.join(failed) or 'no test'} {'failed' if failed else 'ran'}; see {log}")
    return len(cases)
