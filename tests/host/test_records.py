"""The recorded full-size runs: the simulated RTL ended with the golden device's weights, after the same cycles."""

import csv
import json
from pathlib import Path

import pytest

RUNS = Path(__file__).parents[2] / "docs" / "runs"
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
