"""Which package may import which, and that classes are documented and ``elaborate`` stays readable. Reads sources only."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "spec": {"spec"},
    "hw": {"spec", "hw"},
    "model": {"spec", "model"},
    "sim": {"spec", "hw", "model", "sim"},
    "host": {"spec", "hw", "model", "sim", "host", "fpga"},
    "fpga": {"spec", "hw", "fpga"},
}
"""Package -> our packages that it may use."""

FORBIDDEN = {"spec": {"amaranth", "torch"}, "hw": {"torch"}, "model": {"amaranth"}}

ELABORATE_LINES = 90

SOURCES = sorted(path.relative_to(ROOT) for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def imported(text, folder):
    """(our packages, other packages) that a source file below ``folder`` (parts, such as ("hw", "io")) imports anywhere."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = ("coldspike", *folder)
            base = [*here[:len(here) - node.level + 1]] if node.level else []
            names = [[*base, *(node.module.split(".") if node.module else []), alias.name] for alias in node.names]
        for parts in names:
            if parts[0] == "coldspike":
                ours.add(parts[1])
            else:
                others.add(parts[0])
    return ours, others


def undocumented(text):
    """Public classes without a docstring."""
    return [node.name for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)]


def longest_elaborate(text):
    """Lines of the longest ``elaborate``, 0 without one."""
    return max((node.end_lineno - node.lineno + 1 for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef) and node.name == "elaborate"), default=0)


def test_sources_are_found():
    assert {path.parts[0] for path in SOURCES} == set(MAY_IMPORT) and len(SOURCES) > 60


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_source(path):
    text = (ROOT / path).read_text()
    package = path.parts[0]
    ours, others = imported(text, path.parent.parts)
    assert ours <= MAY_IMPORT[package], f"{path} imports {ours - MAY_IMPORT[package]}"
    assert not others & FORBIDDEN.get(package, set()), f"{path} imports {others & FORBIDDEN[package]}"
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    assert undocumented(text) == []
    assert longest_elaborate(text) <= ELABORATE_LINES


@pytest.mark.parametrize("text, folder, ours, others", [
    ("from ...spec.config import CoreConfig", ("hw", "io"), {"spec"}, set()),
    ("from ..model import device\nfrom .. import hw, host", ("sim",), {"model", "hw", "host"}, set()),
    ("from . import a\nfrom .b.c import d", ("hw", "io"), {"hw"}, set()),
    ("import coldspike.host.cli, torch.nn as nn", ("spec",), {"host"}, {"torch"}),
    ("from coldspike import model\nfrom coldspike.sim import build", ("hw",), {"model", "sim"}, set()),
    ("def f():\n    from amaranth.hdl import Signal", ("model", "exact"), set(), {"amaranth"}),
])
def test_imports_are_recognised(text, folder, ours, others):
    assert imported(text, folder) == (ours, others)


def test_the_other_checks_find_what_they_look_for():
    text = 'class A:\n    "doc"\n    class B:\n        def elaborate(self):\n            pass\n            pass\nclass _C: pass\n'
    assert undocumented(text) == ["B"]
    assert longest_elaborate(text) == 3 and longest_elaborate("x = 1") == 0


def test_every_package_is_installed():
    """What pyproject.toml lists, besides the project itself, which its folder's name makes one."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent.relative_to(ROOT).parts for top in ("spec", "hw", "model", "sim", "host", "fpga")
               for path in (ROOT / top).rglob("__init__.py")]
    assert sorted(listed) == sorted(".".join(("coldspike", *parts)) for parts in folders)
