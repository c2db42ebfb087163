"""The recorded full-size runs: the simulated RTL ended with the golden device's weights, after the same cycles."""

import csv
import json
from pathlib import Path

import pytest

from coldspike.host.command_experiment import shown
from coldspike.host.experiments.plan import EXPERIMENTS
from coldspike.host.experiments.runs import Results
from coldspike.host.experiments.tables import markdown

DOCS = Path(__file__).parents[2] / "docs"
RUNS, EXPERIMENTS_FOLDER = DOCS / "runs", DOCS / "experiments"
SPEED = {"device", "samples_per_second", "simulated_cycles_per_second", "train_seconds", "wall_seconds"}


def record(name):
    """Summary and rows of a run, without what depends on the machine."""
    summary = json.loads((RUNS / name / "summary.json").read_text())
    with open(RUNS / name / "metrics.csv", newline="") as rows:
        metrics = [{key: value for key, value in row.items() if key not in SPEED} for row in csv.DictReader(rows)]
    return {key: value for key, value in summary.items() if key not in SPEED}, metrics, summary


@pytest.mark.parametrize("feedback", ["bp", "fbp"])
def test_rtl_and_golden_agree(feedback):
    *rtl, on_rtl = record(f"fmnist-{feedback}-rtl")
    *golden, on_golden = record(f"fmnist-{feedback}-golden")
    assert rtl == golden
    assert (on_rtl["device"], on_golden["device"]) == ("simulated", "golden")
    assert len(rtl[1]) == 12 and on_rtl["samples_trained"] == 12 * 60_000


RESULTS = Results(EXPERIMENTS_FOLDER / "results")


@pytest.mark.parametrize("name", [path.stem for path in sorted(EXPERIMENTS_FOLDER.glob("*.md"))])
def test_tables_of_experiments_are_those_of_their_results(name):
    found, columns = shown(name, RESULTS.folder, 3)
    assert (EXPERIMENTS_FOLDER / f"{name}.md").read_text() == markdown(found, columns), f"run: coldspike experiment {name} --show"
    assert all(all(row.plain()["same_on"].values()) for row in found)


PLANNED = {run.key: run.options for experiment in EXPERIMENTS.values() for study in experiment.studies
           for run in [study.run(1, device="simulated")]}


@pytest.mark.parametrize("path", sorted(RESULTS.folder.glob("*-simulated.json")), ids=lambda path: path.stem)
def test_experiments_on_the_rtl_end_like_the_golden_device(path):
    simulated, golden = (json.loads(p.read_text()) for p in (path, path.with_name(path.name.replace("-simulated", ""))))
    kept = {"device", "similarity", "activity", "schedule", "cosines", "cost", "float"}  # only the golden device has them
    assert {k: v for k, v in simulated.items() if k not in kept} == {k: v for k, v in golden.items() if k not in kept}
    options = PLANNED[path.stem]
    assert (simulated["device"], simulated["samples_trained"]) == ("simulated", options.epochs * (options.samples or 60_000))
