from collections import Counter

import pytest

from tests.faulty import mutated
from tests.mutate import run
from tests.mutate.faults import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_fits_the_sources_and_changes_one_line(fault):
    before, after = (run.SOURCES / fault.file).read_text(), mutated(fault)
    assert before.count("\n") == after.count("\n")
    compile(after, fault.file, "exec")
    assert sum(a != b for a, b in zip(before.splitlines(), after.splitlines(), strict=True)) == 1


def test_names_are_unique():
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1


def test_an_old_text_that_is_gone_is_an_error(monkeypatch, capsys):
    rotten = [run.Fault(name="gone", file="spec/formats.py", old="no such text", new="", why="", check=FAULTS[0].check)]
    monkeypatch.setattr(run, "FAULTS", rotten)
    assert run.main(["--list"]) == 2
    assert "found 0 times" in capsys.readouterr().err
