"""What experiment rules shows: the three learning rules side by side on one network, and the area of their builds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ...spec.config import CoreConfig
from .area import Areas, together
from .kept import room_bits, used_bits
from .plan import Study
from .tables import Row, accuracy_text, equality_text

__all__ = ["COLUMNS", "JointRow", "RulesRow", "builds", "draw_rules", "with_areas"]

PHASES = ("forward", "backward", "total")
RESOURCES = {"LUT": "LUTs", "FF": "flip-flops", "block RAM": "block RAMs", "DSP": "DSPs"}


@dataclass(frozen=True, kw_only=True)
class RulesRow(Row):
    """Results of a study of any rule; ``area`` : resources of its build, or None where it was not synthesised."""

    area: dict[str, float] | None = None

    def plain(self) -> dict:
        """The row for programs, and for the table; cycles and bits are those of a training sample."""
        options, epochs = self.study.run(1).options, self.results[0]["epochs"]
        core = options.core_config()
        return {
            "scheme": self.study.name, "rule": str(options.rule), "seeds": len(self.results),
            "accuracy": self.mean(lambda r: r["test_accuracy"]), "deviation": self.deviation,
            "cycles_per_sample": self.cycles_per_sample,
            "used_bits": self.mean(lambda r: used_bits(core, options.rule, r)), "room_bits": room_bits(core),
            "words_per_epoch": self.mean(lambda r: r["counters"]["TRANSPORT_WORDS"] + r["counters"]["FEEDBACK_WORDS"]) / epochs,
            "area": self.area,
            "same_on": self.same_on,
        }


@dataclass(frozen=True, kw_only=True)
class JointRow:
    """A build of all rules: its memory and its area alone, it is not trained."""

    core: CoreConfig
    area: dict[str, float]

    def plain(self) -> dict:
        """As ``RulesRow.plain``; what is measured in training is None."""
        unknown = ("rule", "seeds", "accuracy", "deviation", "cycles_per_sample", "used_bits", "words_per_epoch")
        return dict.fromkeys(unknown) | {"scheme": "all three in one build", "room_bits": room_bits(self.core), "area": self.area,
                                         "same_on": {}}


def builds(studies: Iterable[Study]) -> list[CoreConfig]:
    """Those of the studies' runs, and the one that runs them all. Currents are as many words as there are inputs, whatever
    ``spike_entries`` is: the joint build has as many as the others need."""
    runs = [study.run(1).options for study in studies]
    alone = [options.core_config() for options in runs]
    needed = [replace(build, spike_entries=1) if options.coding == "current" else build
              for build, options in zip(alone, runs, strict=True)]
    return [*alone, together(needed)]


def with_areas(found: list[RulesRow], areas: Areas) -> list[RulesRow | JointRow]:
    """Rows with the areas that are there, and a row of the build of all rules if its area is."""
    rows = [replace(row, area=areas.get(row.study.run(1).options.core_config())) for row in found]
    core = builds(row.study for row in found)[-1]
    joint = areas.get(core)
    return rows + ([JointRow(core=core, area=joint)] if joint else [])


def measured(show: Callable[[dict], str]) -> Callable[[dict], str]:
    """A column of what training measures."""
    return lambda r: "" if r["seeds"] is None else show(r)


def taken(resource: str) -> Callable[[dict], str]:
    """A column of a build's area."""
    return lambda r: f"{r['area'][resource]:,.0f}" if r["area"] else "-"


COLUMNS = {
    "learning rule": lambda r: r["scheme"], "seeds": measured(lambda r: f"{r['seeds']}"),
    "test accuracy, %": measured(accuracy_text),
    "cycles a sample, forward": measured(lambda r: f"{r['cycles_per_sample']['forward']:,.0f}"),
    "backward": measured(lambda r: f"{r['cycles_per_sample']['backward']:,.0f}"),
    "all": measured(lambda r: f"{r['cycles_per_sample']['total']:,.0f}"),
    "kept for the backward pass, bits used": measured(lambda r: f"{r['used_bits']:,.0f}"),
    "room for it in the build, all samples in flight": lambda r: f"{r['room_bits']:,}",
    "words transported an epoch": measured(lambda r: f"{r['words_per_epoch']:,.0f}"),
    **{name: taken(resource) for resource, name in RESOURCES.items()},
    "simulated RTL": measured(equality_text),
}


def draw_rules(figure, found: list[RulesRow | JointRow]) -> None:
    """Cycles and memory of each rule, area of each build."""
    plain = [row.plain() for row in found]
    trained, built = [row for row in plain if row["seeds"]], [row for row in plain if row["area"]]
    left, middle, right = figure.subplots(1, 3)
    places = range(len(trained))
    for offset, phase in zip((-0.25, 0, 0.25), PHASES, strict=True):
        cycles = [row["cycles_per_sample"][phase] for row in trained]
        left.bar([place + offset for place in places], cycles, width=0.25, label=phase)
    left.set(ylabel="cycles a training sample")
    left.legend(frameon=False)
    for offset, name, label in ((-0.2, "used_bits", "used by a sample"), (0.2, "room_bits", "room in the build")):
        middle.bar([place + offset for place in places], [row[name] for row in trained], width=0.4, label=label)
    middle.set(ylabel="kept for the backward pass, bits", ylim=(0, 1.2 * max(row["room_bits"] for row in trained)))
    middle.legend(frameon=False)
    right.bar(range(len(built)), [row["area"]["LUT"] for row in built], width=0.5, color="tab:gray")
    right.set(ylabel="LUTs of the build")
    names = [f"{row['scheme'].split(',')[0]}\n{100 * row['accuracy']:.1f} %" for row in trained]
    for axes, texts in ((left, names), (middle, names), (right, [row["scheme"].split(",")[0] for row in built])):
        axes.set_xticks(range(len(texts)), texts, fontsize=8)
        axes.grid(alpha=0.3, axis="y")
