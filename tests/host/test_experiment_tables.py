"""Tables of experiments: what a terminal of any width shows, and which seeds."""

import io
import re
from dataclasses import dataclass

import pytest
from rich.console import Console

from coldspike.host.command_experiment import shown
from coldspike.host.experiments.plan import EXPERIMENTS, Experiment, Study
from coldspike.host.experiments.rules import RulesRow
from coldspike.host.experiments.runs import Results
from coldspike.host.experiments.tables import COLUMNS, accuracy_text, rich_table


@dataclass
class Scheme:
    """A row with values of its own."""

    values: dict

    def plain(self) -> dict:
        return self.values


SCHEMES = [Scheme({"name": f"T = {n}", "parts": [n * 1000, n * 2000, n * 3000], "much": n * 10**9}) for n in range(1, 8)]
WIDE = {"scheme": lambda r: r["name"], "cycles of layers 1 / 2 / 3": lambda r: " / ".join(f"{part:,}" for part in r["parts"]),
        **{f"measure number {n} of a sample": lambda r: f"{r['much']:,}" for n in range(9)}}


def printed(width: int, found=SCHEMES, columns=WIDE) -> list[str]:
    screen = Console(width=width, file=io.StringIO())
    screen.print(rich_table("title", found, columns, width))
    return screen.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120, 400])
def test_a_table_keeps_to_its_terminal(width):
    """No number is broken in two, every scheme is there, and no line is longer than the terminal."""
    lines = printed(width)
    assert max(map(len, lines)) <= width and lines[0].startswith("title")
    words = re.findall(r"[\d,]+\d|T = \d", "\n".join(lines))
    for scheme in SCHEMES:
        assert words.count(f"{scheme.values['much']:,}") == 9
        assert all(f"{part:,}" in words for part in scheme.values["parts"]) and scheme.values["name"] in words


def test_a_table_that_does_not_fit_stands_on_its_side():
    """Measures below each other, schemes side by side, their parts below each other; the rest of the schemes further down."""
    assert sum("T = 1 " in line for line in printed(400)) == 1 == sum("1,000 / 2,000 / 3,000" in line for line in printed(400))
    lines = [[text.strip() for text in line.split("│")[1:-1]] for line in printed(80) if "│" in line]
    heads = [line for line in map(str, printed(80)) if "scheme" in line]
    assert len(heads) == 2 and re.findall(r"T = \d", " ".join(heads)) == [f"T = {n}" for n in range(1, 8)]
    assert len(lines[0]) == 5 and lines[0][1:] == ["1,000 /", "2,000 /", "3,000 /", "4,000 /"]
    assert lines[1][1:] == ["2,000 /", "4,000 /", "6,000 /", "8,000 /"] and lines[2][1:] == ["3,000", "6,000", "9,000", "12,000"]


def test_a_deviation_needs_two_seeds():
    row = {"accuracy": 0.8, "deviation": 0.0, "seeds": 1}
    assert accuracy_text(row) == "80.00" == COLUMNS["test accuracy, %"](row)
    assert accuracy_text(row | {"deviation": 0.0125, "seeds": 2}) == "80.00 +- 1.25"


@pytest.mark.parametrize("most, expected", [(None, 3), (1, 1), (2, 2), (5, 3)])
def test_an_experiment_shows_as_many_seeds_as_it_runs(tmp_path, monkeypatch, most, expected):
    """Results of other seeds, which another experiment made, are not mixed in."""
    study = Study(network="two hidden layers", name="BP", given={"data": "digits", "layers": (64, 12, 10), "feedback": "bp"})
    for name in ("one", "rules"):
        monkeypatch.setitem(EXPERIMENTS, name, Experiment(text="", studies=(study,), seeds=most))
    for seed in range(1, 5):
        Results(tmp_path).put(study.run(seed), {"seed": seed})
    for name in ("one", "rules"):
        row, = shown(name, tmp_path, 3)[0]
        assert [result["seed"] for result in row.results] == list(range(1, expected + 1))
    assert type(row) is RulesRow
