"""Sources with a deliberate fault in them, for the mutation test and for the proofs."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SOURCES", "Fault", "copy_sources", "mutated"]

SOURCES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """``old`` (found once in ``file``) becomes ``new``."""

    name: str
    file: str
    old: str
    new: str


def mutated(fault: Fault, sources: Path = SOURCES) -> str:
    """Text of the fault's file with the fault in it. ValueError unless its old text is found exactly once."""
    text = (sources / fault.file).read_text()
    if (found := text.count(fault.old)) != 1:
        raise ValueError(f"fault {fault.name}: {fault.old!r} is found {found} times in {fault.file}, not once")
    return text.replace(fault.old, fault.new)


def copy_sources(sources: Path, to: Path, packages: Iterable[str]) -> None:
    """Copies packages, without compiled files."""
    for package in packages:
        shutil.copytree(sources / package, to / package, ignore=shutil.ignore_patterns("__pycache__"))
