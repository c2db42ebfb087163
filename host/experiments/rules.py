"""What experiment rules shows: the three learning rules side by side on one network."""

from ...spec.config import CoreConfig, Rule
from .tables import Row, same
from .traces import learning_bits

__all__ = ["COLUMNS", "RulesRow", "draw_rules"]

PHASES = ("forward", "backward", "total")


class RulesRow(Row):
    """Results of a study of any rule."""

    def plain(self) -> dict:
        """The row for programs, and for the table; cycles and bits are those of a training sample."""
        options, epochs = self.study.run(1).options, self.results[0]["epochs"]
        trained = self.mean(lambda r: r["counters"]["SAMPLES_TRAINED"])
        return {
            "scheme": self.study.name, "rule": str(options.rule), "seeds": len(self.results),
            "accuracy": self.mean(lambda r: r["test_accuracy"]), "deviation": self.deviation,
            "cycles_per_sample": {phase: self.mean(lambda r, phase=phase: r["counters"][f"{phase.upper()}_CYCLES"]) / trained
                                  for phase in PHASES},
            "learning_bits": self.mean(lambda r: kept_bits(options.core_config(), r)),
            "words_per_epoch": self.mean(lambda r: r["counters"]["TRANSPORT_WORDS"] + r["counters"]["FEEDBACK_WORDS"]) / epochs,
            "same_on": {device: same(self.results, found) for device, found in self.devices.items()},
        }


def kept_bits(config: CoreConfig, result: dict) -> float:
    """Bits that a sample takes from its forward to its backward pass; over time, entries of the tape on average."""
    if Rule.SPARSE_BPTT in config.rules:
        return result["schedule"]["tape_bits"]
    bits = learning_bits(config, tuple(result["layers"]))
    return bits["rates"] + bits["lists"] + (bits["traces"] if Rule.RATE in config.rules else 0)


COLUMNS = {
    "learning rule": lambda r: r["scheme"], "seeds": lambda r: f"{r['seeds']}",
    "test accuracy, %": lambda r: f"{100 * r['accuracy']:.2f}" + (f" +- {100 * r['deviation']:.2f}" if r["seeds"] > 1 else ""),
    "cycles a sample, forward": lambda r: f"{r['cycles_per_sample']['forward']:,.0f}",
    "backward": lambda r: f"{r['cycles_per_sample']['backward']:,.0f}", "all": lambda r: f"{r['cycles_per_sample']['total']:,.0f}",
    "kept for the backward pass, bits": lambda r: f"{r['learning_bits']:,.0f}",
    "words transported an epoch": lambda r: f"{r['words_per_epoch']:,.0f}",
    "simulated RTL": lambda r: {True: "equal", False: "DIFFERS"}.get(r["same_on"].get("simulated"), "-"),
}


def draw_rules(figure, found: list[RulesRow]) -> None:
    """Cycles and memory of each rule."""
    plain = [row.plain() for row in found]
    places, names = range(len(plain)), [f"{row['scheme']}\n{100 * row['accuracy']:.1f} %" for row in plain]
    left, right = figure.subplots(1, 2)
    for offset, phase in zip((-0.25, 0, 0.25), PHASES, strict=True):
        left.bar([place + offset for place in places], [row["cycles_per_sample"][phase] for row in plain], width=0.25, label=phase)
    left.set(ylabel="cycles a training sample")
    left.legend(frameon=False)
    right.bar(places, [row["learning_bits"] for row in plain], width=0.5)
    right.set(ylabel="kept for the backward pass, bits")
    for axes in (left, right):
        axes.set_xticks(list(places), names, fontsize=8)
        axes.grid(alpha=0.3, axis="y")
