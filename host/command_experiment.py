"""``coldspike experiment``: many runs, one table and a figure; what is done is not done again."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .experiments.area import Areas
from .experiments.figures import draw
from .experiments.plan import EXPERIMENTS
from .experiments.rate import COLUMNS as RATE_COLUMNS
from .experiments.rate import RateRow
from .experiments.rules import COLUMNS as RULES_COLUMNS
from .experiments.rules import RulesRow, builds, with_areas
from .experiments.runs import Results, carry_out
from .experiments.sparse import COLUMNS as SPARSE_COLUMNS
from .experiments.sparse import SparseRow
from .experiments.tables import COLUMNS, Row, markdown, rich_table, rows
from .files import write_whole
from .problems import Interrupted, OptionError

__all__ = ["experiment", "shown"]

VIEWS = {"sparse": (SparseRow, SPARSE_COLUMNS), "rate": (RateRow, RATE_COLUMNS), "rules": (RulesRow, RULES_COLUMNS)}
RESULTS, WORK = Path("docs") / "experiments", Path("runs") / "experiments"
TEXTS = "; ".join(f"{name}: {each.text}" for name, each in EXPERIMENTS.items())


def shown(name: str, folder: Path, seeds: int, **changed) -> tuple[list[Row], dict]:
    """What an experiment shows of the results in a folder, of the seeds that it runs: rows, and the columns of its table."""
    kind, columns = VIEWS.get(name, (Row, COLUMNS))
    found = rows(EXPERIMENTS[name].studies, Results(folder), min(seeds, EXPERIMENTS[name].seeds or seeds), kind, **changed)
    return (with_areas(found, Areas(folder)) if found and name == "rules" else found), columns


def experiment(
    name: Annotated[str, typer.Argument(help=TEXTS)],
    seeds: Annotated[int, typer.Option(min=1, help="runs of each scheme, with seeds 1, 2, ...")] = 3,
    epochs: Annotated[int | None, typer.Option(min=1, help="passes over the training samples; 5 unless given")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="training samples; all unless given")] = None,
    test_samples: Annotated[int | None, typer.Option(min=1, help="test samples; all unless given")] = None,
    out: Annotated[Path, typer.Option(help="folder of the results, tables and figures")] = RESULTS,
    show: Annotated[bool, typer.Option("--show", help="run nothing: table and figure of the results that are there")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the table as JSON")] = False,
) -> int:
    """Carry out an experiment of training runs on the golden device, which is bit-equal to the RTL.

    Each run's result is a file in the folder; a run that has one is skipped, one that was interrupted (Ctrl-C) goes on where it
    stopped. Experiments rtl, sparse, rate and rules repeat runs on the simulated RTL; rules also synthesises its builds. Exit
    code 1: a run on the RTL was not equal.
    """
    if name not in EXPERIMENTS:
        raise OptionError(f"experiment {name!r} is unknown; choose one of: {', '.join(EXPERIMENTS)}")
    studies, results, screen = EXPERIMENTS[name].studies, Results(out / "results"), Console(stderr=True)
    changed = {k: v for k, v in (("epochs", epochs), ("samples", samples), ("test_samples", test_samples)) if v is not None}
    if not show:
        repeated = [study for study in studies if study.repeated]
        for device, which, most in (("golden", studies, EXPERIMENTS[name].seeds or seeds), ("simulated", repeated, 1)):
            try:
                carry_out(results, which, min(seeds, most), WORK, screen, **changed | {"device": device})
            except Interrupted as stop:
                raise Interrupted(stop.place, "the same command", stop.signal) from None
        if name == "rules":
            Areas(results.folder).carry_out(builds(studies), WORK, screen)
    found, columns = shown(name, out / "results", seeds, **changed)
    if not found:
        raise OptionError(f"{out}: holds no result of {name}; leave out --show")
    write_whole(out / f"{name}.md", markdown(found, columns))
    draw(name, found, out)
    plain = [row.plain() for row in found]
    if as_json:
        print(json.dumps(plain, indent=2))
    else:
        console = Console()
        console.print(rich_table(EXPERIMENTS[name].text, found, columns, console.width))
    return 1 if any(not equal for row in plain for equal in row["same_on"].values()) else 0
