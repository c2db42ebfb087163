"""What experiment sparse shows: accuracy, activity and cost of sparse BPTT against the window w of its active neurons. Source:
Perez-Nieves & Goodman, "Sparse Spiking Gradient Descent", figures 3 and 5, table 2."""

import math

import numpy as np

from .activity import built_tape_bits
from .energy import saved
from .tables import Row, accuracy_text, equality_text

__all__ = ["COLUMNS", "SparseRow", "draw_sparse"]


class SparseRow(Row):
    """Results of a study of rule sparse-bptt."""

    def plain(self) -> dict:
        """The row for programs, and for the table; cycles and bits are those of a training sample. None: a result does not hold it.

        ``tape_bits`` and what follows from the schedule are those of the samples that were measured in the end (activity.py)."""
        def mean(name):
            return self.mean(lambda r: r["schedule"][name]) if all(name in r["schedule"] for r in self.results) else None

        options = self.study.run(1).options
        core, settings = options.core_config(), options.settings(0).over_time
        trained = self.mean(lambda r: r["counters"]["SAMPLES_TRAINED"])
        dense = mean("dense_forward") + mean("dense_backward")
        savings = [saved(core, settings, tuple(r["layers"]), r["counters"], r["schedule"]["dense_gradient_words"])
                   for r in self.results]
        return {
            "scheme": self.study.name, "window": options.window, "seeds": len(self.results),
            "accuracy": self.mean(lambda r: r["test_accuracy"]), "deviation": self.deviation,
            "active_fraction": np.mean([result["active_fraction"] for result in self.results], axis=0)[:-1].tolist(),
            "cycles_per_sample": self.cycles_per_sample,
            "backward_over_least": ratio(mean("backward"), mean("least")),
            "backward_over_words": ratio(mean("backward"), mean("least_words")),
            "backward_speedup": mean("dense_backward") / mean("backward"),
            "speedup": dense / (mean("forward") + mean("backward")),
            "tape_bits": mean("tape_bits"), "most_tape_bits": mean("most_tape_bits"), "built_tape_bits": built_tape_bits(core),
            "dense_bits": mean("dense_bits"), "overflows": self.mean(lambda r: r["counters"]["OVERFLOWS"]),
            "energy_saved": {name: np.mean([each[name] for each in savings], axis=0).tolist() for name in savings[0]},
            "gradient_words": self.mean(lambda r: r["counters"]["GRADIENT_WORDS"]) / trained,
            "dense_gradient_words": mean("dense_gradient_words"),
            "same_on": self.same_on,
        }


def ratio(value: float, to: float | None) -> float | None:
    """value / to, None if that is not known, or 0: where nothing fires and nothing is active nothing is demanded."""
    return value / to if to else None


def percent(values: list[float]) -> str:
    """Shares of layers, from the first on."""
    return " / ".join(f"{100 * value:.3f}" for value in values)


def known(value: float | None) -> str:
    """A ratio, or that it is not known."""
    return "-" if value is None else f"{value:.3f}"


TAPES = ("tape_bits", "most_tape_bits", "built_tape_bits")
COLUMNS = {
    "scheme": lambda r: r["scheme"], "seeds": lambda r: f"{r['seeds']}",
    "test accuracy, %": accuracy_text,
    "active, layers 1 / 2, %": lambda r: percent(r["active_fraction"]),
    "cycles a sample, forward": lambda r: f"{r['cycles_per_sample']['forward']:,.0f}",
    "backward": lambda r: f"{r['cycles_per_sample']['backward']:,.0f}",
    "all": lambda r: f"{r['cycles_per_sample']['total']:,.0f}",
    "backward / least": lambda r: known(r["backward_over_least"]),
    "backward / least, words only": lambda r: known(r["backward_over_words"]),
    "dense / sparse, backward": lambda r: f"{r['backward_speedup']:,.0f} x",
    "forward + backward": lambda r: f"{r['speedup']:,.0f} x",
    "tape, bits: mean used / most used / built": lambda r: " / ".join(f"{r[name]:,.0f}" for name in TAPES),
    "dense store, bits": lambda r: f"{r['dense_bits']:,.0f}",
    "dense store / tape: mean used / most used / built":
        lambda r: " / ".join(f"{r['dense_bits'] / r[name]:,.1f} x" for name in TAPES),
    "samples without room on it": lambda r: f"{r['overflows']:,.0f}",
    "energy saved at most (table 2), gradients of W2 / of S1, %":
        lambda r: percent([*r["energy_saved"]["w_bound"], *r["energy_saved"]["s_bound"]]),
    "at most by active neuron, of all W, %": lambda r: percent([r["energy_saved"]["w_all_bound"]]),
    "counted, of all W / of S1, %": lambda r: percent([r["energy_saved"]["w_counted"], r["energy_saved"]["s_counted"]]),
    "simulated RTL": equality_text,
}


def draw_sparse(figure, found: list[SparseRow]) -> None:
    """Accuracy, activity of each hidden layer and speed against w; activity over training."""
    pairs = [(row, plain) for row in found if math.isfinite((plain := row.plain())["window"])]
    accuracy, activity, speed, training = figure.subplots(2, 2).flat
    for group in dict.fromkeys(row.study.group for row, _ in pairs):
        plain = sorted((plain for row, plain in pairs if row.study.group == group), key=lambda row: row["window"])
        windows, more = [row["window"] for row in plain], f", {group}" if group else ""
        accuracy.errorbar(windows, [100 * row["accuracy"] for row in plain], yerr=[100 * row["deviation"] for row in plain],
                          marker="o", markersize=4, capsize=3, label=group or "the same settings")
        for l, shares in enumerate(zip(*(row["active_fraction"] for row in plain), strict=True), start=1):
            activity.plot(windows, [100 * share for share in shares], marker="o", markersize=4, label=f"layer {l}{more}")
        speed.plot(windows, [row["backward_speedup"] for row in plain], marker="o", markersize=4, label=f"backward{more}")
        speed.plot(windows, [row["speedup"] for row in plain], marker="s", markersize=4, label=f"forward + backward{more}")
    accuracy.set(xscale="log", xlabel="window w", ylabel="test accuracy, %")
    activity.set(xscale="log", yscale="log", xlabel="window w", ylabel="active neurons, %, mean of training")
    speed.set(xscale="log", yscale="log", xlabel="window w", ylabel="cycles, dense / sparse")
    shown, _ = min(pairs, key=lambda pair: abs(pair[1]["window"] - 0.2))
    rows = shown.results[0]["activity"]
    for l in range(len(rows[0]["layers"]) if rows else 0):
        training.plot([row["update"] for row in rows], [100 * row["layers"][l] for row in rows], label=f"layer {l + 1}")
    training.set(xlabel="updates", ylabel=f"active neurons, %, {shown.study.name}", ylim=(0, None))
    for axes in (accuracy, activity, speed, training):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
