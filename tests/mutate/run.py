"""Mutation test: ``python -m tests.mutate.run [--list] [--only NAME ...] [--jobs N] [--cache DIR]``.

Every fault of tests/mutate/faults.py is put, alone, into a copy of the sources; the comparison that its entry names must then find
values that differ, or an assertion of the test fail. What crashes, or cannot be built, says nothing and fails the run as a fault
does that survives.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faulty import SOURCES, copy_sources, mutated
from tests.mutate.faults import FAULTS, Check, Fault, UnitTest

__all__ = ["Outcome", "main", "run_check"]

PACKAGES = ("spec", "hw", "model", "sim", "host", "tests")
CHECK = Path(__file__).with_name("check.py")
TIMEOUT = 1800
CAUGHT, SURVIVED, BROKEN = "caught", "SURVIVED", "BROKEN"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a check ended: ``verdict`` is CAUGHT (values differ), SURVIVED (all equal) or BROKEN; ``detail`` in words."""

    verdict: str
    detail: str
    seconds: float


def run_check(check: Check | UnitTest, sources: Path, room: Path, cache: Path, fault: Fault | None = None) -> Outcome:
    """Compares, or tests, in a copy of ``sources`` below ``room``, with ``fault`` in it if there is one."""
    begin, root = time.monotonic(), room / "coldspike"
    copy_sources(sources, root, PACKAGES)
    (root / "__init__.py").touch()  # a regular package takes precedence over an editable installation
    if fault:
        (root / fault.file).write_text(mutated(fault, sources))
    environment = os.environ | {"PYTHONPATH": str(room), "COLDSPIKE_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": "1",
                                "OMP_NUM_THREADS": "1",  # tiny tensors: threads would only wait for each other
                                "COLUMNS": "1000"}  # pytest cuts its lines there
    command, judge = [str(CHECK), str(root), json.dumps(asdict(check))], compared
    if isinstance(check, UnitTest):
        command, judge = ["-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", str(root / check.file)], tested
    try:
        done = subprocess.run([sys.executable, "-P", *command], env=environment, cwd=room, capture_output=True, text=True,
                              timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return Outcome(verdict=BROKEN, detail=f"no end after {TIMEOUT} s", seconds=time.monotonic() - begin)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    verdict, detail = judge(done)
    return Outcome(verdict=verdict, detail=detail, seconds=time.monotonic() - begin)


def compared(done: subprocess.CompletedProcess) -> tuple[str, str]:
    """Verdict and detail of a comparison's process."""
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        return BROKEN, done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
    result = json.loads(done.stdout.splitlines()[-1])
    if not result["mismatches"]:
        return SURVIVED, f"{result['values']:,} values equal"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in result["mismatches"].items())
    return CAUGHT, f"of {result['values']:,} values differ: {counts}"


def tested(done: subprocess.CompletedProcess) -> tuple[str, str]:
    """Verdict and detail of a test's process: an assertion must fail, another exception says nothing."""
    last = (done.stdout.strip() or done.stderr.strip()).rpartition("\n")[2]
    if done.returncode == 0:
        return SURVIVED, last
    for name, reason in re.findall(r"^FAILED \S*::(.+?) - (.*)", done.stdout, re.MULTILINE):
        return CAUGHT if re.match("assert |AssertionError", reason) else BROKEN, f"{name}: {reason[:80]}"
    return BROKEN, last or f"exit code {done.returncode}"


def run_all(faults: list[Fault], jobs: int, cache: Path | None) -> int:
    """Runs what the faults need, first without, then with them; prints a line for each. How many failed."""
    failed = passed = 0
    with tempfile.TemporaryDirectory(prefix="coldspike-mutate-") as room, ThreadPoolExecutor(jobs) as pool:
        room = Path(room)
        cache, sources = cache or room / "cache", room / "sources"
        copy_sources(SOURCES, sources, PACKAGES)  # all runs start from the same state, whatever is edited meanwhile
        try:
            checks = list(dict.fromkeys(fault.check for fault in faults))
            sound = {pool.submit(run_check, check, sources, room / f"sound-{n}", cache): check
                     for n, check in enumerate(checks)}
            usable = set()
            for future in as_completed(sound):
                outcome = future.result()
                if outcome.verdict == SURVIVED:
                    usable.add(sound[future])
                else:
                    failed += 1
                    outcome = Outcome(verdict=f"FAILS WITHOUT A FAULT ({outcome.verdict})", detail=outcome.detail,
                                      seconds=outcome.seconds)
                show(f"no fault, {sound[future].words()}", "equal" if outcome.verdict == SURVIVED else outcome.verdict, outcome)
            runs = {pool.submit(run_check, fault.check, sources, room / fault.name, cache, fault): fault
                    for fault in faults if fault.check in usable}
            failed += len(faults) - len(runs)
            for future in as_completed(runs):
                outcome = future.result()
                passed += outcome.verdict == CAUGHT
                failed += outcome.verdict != CAUGHT
                show(f"{runs[future].file}: {runs[future].name}", outcome.verdict, outcome)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    print(f"{passed} passed, {failed} failed")
    return failed


def show(what: str, verdict: str, outcome: Outcome) -> None:
    """Prints a line as soon as it is known."""
    print(f"{verdict:9} {what} ({outcome.seconds:.0f} s): {outcome.detail}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when every fault was caught, 1 when not, 2 when the list does not fit the sources."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate.run", description="Put faults into the sources, one at a time.")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this fault; may be given more than once")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="comparisons at the same time")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep what is built here; a temporary folder unless given")
    options = parser.parse_args(arguments)
    if unknown := set(options.only or ()) - {fault.name for fault in FAULTS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; --list shows the names")
    try:
        for fault in FAULTS:
            mutated(fault)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    faults = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    if options.list:
        for fault in faults:
            print(f"{fault.name} ({fault.file}; {fault.check.words()})\n    {fault.why}")
            print(f"    - {fault.old.strip()}\n    + {fault.new.strip()}")
        return 0
    return 1 if run_all(faults, max(1, options.jobs), options.cache and options.cache.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main())
