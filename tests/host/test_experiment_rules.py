"""Experiment rules at a small size: each rule's row, its table and figure."""

import io

import pytest
from rich.console import Console

from coldspike.host.experiments.figures import draw
from coldspike.host.experiments.plan import EXPERIMENTS, Study
from coldspike.host.experiments.rules import COLUMNS, RulesRow
from coldspike.host.experiments.runs import Results, carry_out
from coldspike.host.experiments.tables import markdown, rich_table, rows

SMALL = {"data": "digits", "layers": (64, 12, 9, 10), "lanes": 4, "batch_size": 16, "epochs": 2, "samples": 80,
         "test_samples": 30, "lr": (0.01,), "feedback": "bp"}
GIVEN = {"ttfs": {}, "sparse-bptt": {"rule": "sparse-bptt", "timesteps": 6},
         "rate": {"rule": "rate", "timesteps": 3, "max_steps": 4}}


@pytest.fixture
def found(tmp_path) -> list[RulesRow]:
    results = Results(tmp_path / "results")
    studies = [Study(network="two hidden layers", name=name, given=SMALL | given) for name, given in GIVEN.items()]
    carry_out(results, studies, 1, tmp_path / "work", Console(file=io.StringIO()))
    return rows(studies, results, 1, RulesRow)


def test_a_row_for_each_rule(found, tmp_path):
    plain = {row.plain()["rule"]: row.plain() for row in found}
    assert list(plain) == list(GIVEN)
    # 9 bits and a mark of 64 + 21 arrivals or rates; 6 bits of a number and two factors of 31 neurons; 3 + 27 bits of 21 traces.
    assert plain["ttfs"]["learning_bits"] == 10 * 85 + 38 * 31 and plain["rate"]["learning_bits"] == 10 * 85 + 38 * 31 + 30 * 21
    assert plain["sparse-bptt"]["learning_bits"] == found[1].results[0]["schedule"]["tape_bits"]
    for row in found:
        result, each = row.results[0], row.plain()
        assert each["cycles_per_sample"]["backward"] == result["counters"]["BACKWARD_CYCLES"] / 160
        # W read and B written after each of 5 updates: columns of 9 and 10 neurons, 12 and 9 before them in words of 4.
        assert each["words_per_epoch"] == 5 * 2 * (9 * 3 + 10 * 3)
    text = markdown(found, COLUMNS)
    assert text.count("\n") == 5 and "| rate | 1 |" in text and rich_table("title", found, COLUMNS).row_count == 3
    paths = draw("rules", found, tmp_path)
    assert [p.name for p in paths] == ["rules.png", "rules.svg"] and all(p.stat().st_size > 1000 for p in paths)


def test_the_plan():
    """The three rules on one network, each repeated on the simulated RTL: runs of other experiments, not runs of their own."""
    studies = EXPERIMENTS["rules"].studies
    assert [str(study.run(1).options.rule) for study in studies] == list(GIVEN)
    assert all(study.repeated for study in studies) and len({study.run(1).options.layers for study in studies}) == 1
    for study, other in zip(studies, ("table1", "sparse", "rate"), strict=True):
        assert study.run(1).key in {each.run(1).key for each in EXPERIMENTS[other].studies}
