"""What an experiment shows: a row for each scheme, over its seeds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from ...spec.config import CoreConfig
from ..measures import feedback_weights
from .energy import energy
from .plan import Study
from .runs import Results

__all__ = ["COLUMNS", "Row", "accuracy_text", "equality_text", "markdown", "rich_table", "rows"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Results of a study.

    Members
    -------
    study : what was run. results : one for each seed that is there. devices : results of other devices, by name.
    """

    study: Study
    results: list[dict]
    devices: dict[str, list[dict]]

    def mean(self, value: Callable[[dict], float]) -> float:
        """Mean over the seeds."""
        return float(np.mean([value(result) for result in self.results]))

    @property
    def deviation(self) -> float:
        """Standard deviation of the test accuracy over the seeds (of the sample; 0 of one)."""
        values = [result["test_accuracy"] for result in self.results]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    @property
    def reduction(self) -> float | None:
        """How many times fewer weights were transported than BP's; None when none were."""
        moved = self.mean(lambda r: r["counters"]["WEIGHTS_TRANSPORTED"])
        every = self.mean(lambda r: r["counters"]["UPDATES"] * feedback_weights(tuple(r["layers"])))
        return every / moved if moved else None

    @property
    def cycles_per_sample(self) -> dict[str, float]:
        """Cycles of a training sample by phase, as the runs' counters have them."""
        trained = self.mean(lambda r: r["counters"]["SAMPLES_TRAINED"])
        return {phase: self.mean(lambda r, phase=phase: r["counters"][f"{phase.upper()}_CYCLES"]) / trained
                for phase in ("forward", "backward", "total")}

    @property
    def same_on(self) -> dict[str, bool]:
        """Whether the other devices' runs ended like the golden ones, by device."""
        return {device: same(self.results, found) for device, found in self.devices.items()}

    def plain(self) -> dict:
        """The row for programs, and for the table."""
        epochs = self.results[0]["epochs"]
        core = self.study.run(1).options.core_config()
        per_epoch = {part: self.mean(lambda r, part=part: energies(core, r)[part]) / epochs for part in ("compute", "transport")}
        return {
            "network": self.study.network, "scheme": self.study.name, "seeds": len(self.results),
            "accuracy": self.mean(lambda r: r["test_accuracy"]), "deviation": self.deviation,
            "best_epoch": self.mean(lambda r: 1 + int(np.argmax(r["test_accuracies"]))),
            "transports_per_epoch": self.mean(lambda r: r["counters"]["TRANSPORTS"]) / epochs,
            "weights_per_epoch": self.mean(lambda r: r["counters"]["WEIGHTS_TRANSPORTED"]) / epochs,
            "signs_per_epoch": self.mean(lambda r: r["counters"]["SIGNS_TRANSPORTED"]) / epochs,
            "reduction": self.reduction,
            "words_per_epoch": self.mean(lambda r: r["counters"]["TRANSPORT_WORDS"] + r["counters"]["FEEDBACK_WORDS"]) / epochs,
            "transport_cycles_per_epoch": self.mean(lambda r: r["counters"]["TRANSPORT_CYCLES"]) / epochs,
            "exposed_cycles_per_epoch": self.mean(lambda r: r["counters"]["EXPOSED_CYCLES"]) / epochs,
            "total_cycles_per_epoch": self.mean(lambda r: r["counters"]["TOTAL_CYCLES"]) / epochs,
            "microjoules_per_epoch": per_epoch,
            "same_on": self.same_on,
        }


def energies(core: CoreConfig, result: dict) -> dict[str, float]:
    """Energy of transport, and of all else."""
    parts = energy(core, tuple(result["layers"]), result["counters"])
    moving = sum(value for name, value in parts.items() if name.startswith("transport"))
    return {"transport": moving, "compute": sum(parts.values()) - moving}


def same(golden: list[dict], others: list[dict]) -> bool:
    """Whether every run of another device ended with the weights, the accuracy and the counters of its golden run."""
    by_seed = {result["seed"]: result for result in golden}
    return bool(others) and all(
        all(by_seed[other["seed"]][what] == other[what] for what in ("weights_digest", "test_accuracies", "counters"))
        for other in others)


def rows(studies: Iterable[Study], results: Results, seeds: int, kind: type[Row] = Row, **changed) -> list[Row]:
    """A row of its kind for each study that has results."""
    out = []
    for study in studies:
        found = [results.get(study.run(seed, **changed)) for seed in range(1, seeds + 1)]
        simulated = [results.get(study.run(seed, **changed | {"device": "simulated"})) for seed in range(1, seeds + 1)]
        devices = {"simulated": [r for r in simulated if r]} if any(simulated) else {}
        if any(found):
            out.append(kind(study=study, results=[r for r in found if r], devices=devices))
    return out


def accuracy_text(r: dict) -> str:
    """Test accuracy in %, and its deviation where there is more than one seed."""
    return f"{100 * r['accuracy']:.2f}" + (f" +- {100 * r['deviation']:.2f}" if r["seeds"] > 1 else "")


def equality_text(r: dict) -> str:
    """Whether the simulated RTL's runs are equal, or that there are none."""
    return {True: "equal", False: "DIFFERS"}.get(r["same_on"].get("simulated"), "-")


COLUMNS = {
    "network": lambda r: r["network"], "scheme": lambda r: r["scheme"], "seeds": lambda r: f"{r['seeds']}",
    "test accuracy, %": accuracy_text, "best epoch": lambda r: f"{r['best_epoch']:.1f}",
    "transports an epoch": lambda r: f"{r['transports_per_epoch']:,.1f}",
    "weights an epoch": lambda r: f"{r['weights_per_epoch']:,.0f}", "signs an epoch": lambda r: f"{r['signs_per_epoch']:,.0f}",
    "fewer weights than BP": lambda r: f"{r['reduction']:,.0f} x" if r["reduction"] else "none moved",
    "words an epoch": lambda r: f"{r['words_per_epoch']:,.0f}",
    "transport cycles an epoch": lambda r: f"{r['transport_cycles_per_epoch']:,.0f}",
    "of them exposed": lambda r: f"{r['exposed_cycles_per_epoch']:,.0f}",
    "of all cycles, %": lambda r: f"{100 * r['exposed_cycles_per_epoch'] / r['total_cycles_per_epoch']:.3f}",
    "uJ an epoch, transport": lambda r: f"{r['microjoules_per_epoch']['transport']:,.2f}",
    "all else": lambda r: f"{r['microjoules_per_epoch']['compute']:,.0f}",
    "simulated RTL": equality_text,
}


def markdown(found: list[Row], columns: dict[str, Callable[[dict], str]]) -> str:
    """The table as Markdown; ``columns`` make texts of a row's ``plain``."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(cells)} |" for cells in texts_of(found, columns)]
    return "\n".join(lines) + "\n"


def texts_of(found: list[Row], columns: dict[str, Callable[[dict], str]]) -> list[list[str]]:
    """Each row's texts."""
    return [[show(plain) for show in columns.values()] for plain in (row.plain() for row in found)]


def rich_table(title: str, found: list[Row], columns: dict[str, Callable[[dict], str]], width: int | None = None) -> RenderableType:
    """The table for a terminal of ``width`` characters, or as wide as it comes. One that does not fit stands on its side, a row for
    each column, as many schemes side by side as there is room for, and the others below."""
    texts = texts_of(found, columns)
    widest = [max(map(len, [*head.split(), *cells])) for head, *cells in zip(columns, *texts, strict=True)]
    if width is None or framed(widest) <= width:
        out = Table(*columns, title=title, title_justify="left")
        for cells in texts:
            out.add_row(*cells)
        return out
    # Parts of a cell go below each other, which makes it narrower.
    schemes = [[text.replace(" / ", " /\n") for text in cells] for cells in texts]
    label, groups = max(len(word) for head in columns for word in head.split()), [[]]
    for cells in schemes:
        if groups[-1] and framed([label, *map(text_width, groups[-1]), text_width(cells)]) > width:
            groups.append([])
        groups[-1].append(cells)
    return Group(*(upright(title if group is groups[0] else None, columns, group, width) for group in groups))


def framed(widths: Sequence[int]) -> int:
    """Width of a table of such columns: each between two blanks, lines around."""
    return sum(widths) + 3 * len(widths) + 1


def text_width(cells: Iterable[str]) -> int:
    """Of a column."""
    return max(len(line) for text in cells for line in text.split("\n"))


def upright(title: str | None, names: Iterable[str], schemes: list[list[str]], width: int) -> Table:
    """A table with a row for each of ``names`` and a column for each scheme; the first texts are its head."""
    (first, *others), room = names, width - framed([0, *map(text_width, schemes)])
    out = Table(title=title, title_justify="left", show_lines=any("\n" in text for cells in schemes for text in cells))
    out.add_column(first, max_width=room)
    for head, *_ in schemes:
        out.add_column(head, no_wrap=True)
    for name, *cells in zip(others, *(cells[1:] for cells in schemes), strict=True):
        out.add_row(name, *cells)
    return out
