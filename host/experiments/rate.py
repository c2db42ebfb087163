"""What experiment rate shows: accuracy of rate-based backpropagation beside that of backpropagation through time, and cycles and
memory that do not grow with the number of steps. Source: Yu, Liu, Wang, Li & Wang, "Advancing Training Efficiency of Deep Spiking
Neural Networks through Rate-based Backpropagation"."""

import numpy as np

from ...spec import pipeline as at
from ...spec.network import layout
from .kept import dense_tape_bits
from .tables import Row, accuracy_text, equality_text

__all__ = ["COLUMNS", "RateRow", "draw_rate"]


class RateRow(Row):
    """Results of a study of rule rate."""

    def plain(self) -> dict:
        """The row for programs, and for the table; cycles and bits are those of a training sample, as the run's counters have them
        but for ``probed`` and ``trace_overhead``, which are those of the trained network's test samples, and for what is derived
        from layers and build. None: a result does not hold it."""
        options, first = self.study.run(1).options, self.results[0]
        bits, cosines = first["cost"]["bits"], [[row["layers"] for row in r["cosines"]] for r in self.results]
        layers, schedule, accuracy = tuple(first["layers"]), options.schedule, self.mean(lambda r: r["test_accuracy"])
        shares = [trace_overhead(r["cost"]["schedules"][schedule], layers, options.lanes, options.timesteps) for r in self.results]
        float_accuracy = {kind: self.mean(lambda r, kind=kind: r["float"][kind][-1]) for kind in first["float"]}
        return {
            "scheme": self.study.name, "steps": options.timesteps, "seeds": len(self.results),
            "accuracy": accuracy, "deviation": self.deviation, "float": float_accuracy,
            "over_float_bptt": accuracy - float_accuracy["bptt"],
            "cosines": np.mean(cosines, axis=(0, 1)).tolist(), "least_cosines": np.min(cosines, axis=(0, 1)).tolist(),
            "cycles_per_sample": self.cycles_per_sample,
            "probed": {name: self.mean(lambda r, name=name: r["cost"]["schedules"][name]["forward"])
                       for name in first["cost"]["schedules"]},
            "trace_overhead": {name: float(np.mean([each[name] for each in shares])) for name in shares[0]},
            "backward_besides_words": self.mean(besides_words),
            "most_backward": self.mean(lambda r: r["cost"]["most_backward"]),
            "backward_over_steps": self.over_steps,
            "learning_bits": bits["rates"] + bits["lists"] + bits["traces"], "spike_bits": bits["spikes"],
            "through_time": {name: self.mean(lambda r, name=name: r["cost"]["through_time"][name])
                             for name in ("backward", "bits")}
            | {"tape_bits": dense_tape_bits(options.core_config(), layers, options.timesteps)},
            "same_on": self.same_on,
        }

    @property
    def over_steps(self) -> dict[str, float] | None:
        """Backward cycles of the trained weights by the T at which test samples were run."""
        known = [r["cost"].get("over_steps") for r in self.results]
        return {steps: float(np.mean([each[steps] for each in known])) for steps in known[0]} if all(known) else None


def besides_words(result: dict) -> float:
    """Backward cycles of a training sample besides the words of its listed neurons, one a cycle: filling and draining."""
    counters = result["counters"]
    words = sum(place.in_blocks * counters[f"ACTIVE_{place.index}"] for place in layout(tuple(result["layers"]), result["lanes"]))
    return (counters["BACKWARD_CYCLES"] - words) / counters["SAMPLES_TRAINED"]


def trace_overhead(cycles: dict[str, float], layers: tuple[int, ...], lanes: int, steps: int) -> dict[str, float]:
    """By what share traces lengthen the forward pass, of the cycles that it takes without them.

    ``measured`` : training against inference, which makes the same passes and scans fewer neurons after the last step. ``at_most``:
    the passes are charged, too, each from its start until the next one may start: its blocks and TRACE_DEPTH. Part of that hides
    under the next turn's events, and most of it is the potentials' step, which a network without traces would have as well: what
    traces really cost lies between the two.
    """
    passes = steps * sum(place.out_blocks + at.TRACE_DEPTH for place in layout(layers, lanes)[:-1])
    rest = cycles["untrained"] - passes
    return {"measured": cycles["forward"] / cycles["untrained"] - 1, "at_most": cycles["forward"] / rest - 1}


def range_text(values: dict[str, float] | None) -> str:
    """The least and the most, and what lies between them in % of the mean."""
    if values is None:
        return "-"
    low, high, mean = min(values.values()), max(values.values()), float(np.mean(list(values.values())))
    return f"{low:,.0f} / {high:,.0f} / {100 * (high - low) / mean:.2f}"


COLUMNS = {
    "scheme": lambda r: r["scheme"], "seeds": lambda r: f"{r['seeds']}", "test accuracy, %": accuracy_text,
    "float, rate / BPTT, %": lambda r: " / ".join(f"{100 * r['float'][kind]:.2f}" for kind in ("rate", "bptt")),
    "accelerator - float BPTT, points": lambda r: f"{100 * r['over_float_bptt']:+.2f}",
    "cosine to BPTT, layers 1 / 2 / ...": lambda r: " / ".join(f"{value:.3f}" for value in r["cosines"]),
    "least cosine of any update": lambda r: " / ".join(f"{value:.3f}" for value in r["least_cosines"]),
    "forward cycles a sample": lambda r: f"{r['cycles_per_sample']['forward']:,.0f}",
    "forward, test samples in the end, single-step / multi-step":
        lambda r: " / ".join(f"{value:,.0f}" for value in r["probed"].values()),
    "traces, % of forward without, measured / at most":
        lambda r: " / ".join(f"{100 * r['trace_overhead'][name]:.2f}" for name in ("measured", "at_most")),
    "backward cycles a sample": lambda r: f"{r['cycles_per_sample']['backward']:,.0f}",
    "of them not words of listed neurons": lambda r: f"{r['backward_besides_words']:,.2f}",
    "same weights at every T: least / most / spread, %": lambda r: range_text(r["backward_over_steps"]),
    "backward, every neuron listed": lambda r: f"{r['most_backward']:,.0f}",
    "BPTT engine, every neuron active": lambda r: f"{r['through_time']['backward']:,.0f}",
    "learning memory, every neuron listed, bits": lambda r: f"{r['learning_bits']:,}",
    "tape of the BPTT engine, every neuron active": lambda r: f"{r['through_time']['tape_bits']:,}",
    "BPTT by a dense store": lambda r: f"{r['through_time']['bits']:,.0f}",
    "spikes between layers, bits, single-step / multi-step":
        lambda r: " / ".join(f"{value:,}" for value in r["spike_bits"].values()),
    "simulated RTL": equality_text,
}


def draw_rate(figure, found: list[RateRow]) -> None:
    """Accuracy, backward cycles and learning memory against the number of steps."""
    plain = sorted((row.plain() for row in found), key=lambda row: row["steps"])
    steps = [row["steps"] for row in plain]
    left, middle, right = figure.subplots(1, 3)
    left.errorbar(steps, [100 * row["accuracy"] for row in plain], yerr=[100 * row["deviation"] for row in plain], marker="o",
                  markersize=4, capsize=3, label="accelerator")
    for kind, label in (("rate", "float, rate"), ("bptt", "float, BPTT")):
        left.plot(steps, [100 * row["float"][kind] for row in plain], marker=".", linewidth=1, label=label)
    left.set(ylabel="test accuracy, %")
    middle.plot(steps, [row["cycles_per_sample"]["backward"] for row in plain], marker="o", markersize=4, label="rate")
    middle.plot(steps, [row["most_backward"] for row in plain], marker="^", markersize=4, label="rate, all neurons")
    middle.plot(steps, [row["through_time"]["backward"] for row in plain], marker="s", markersize=4,
                label="BPTT engine, all neurons")
    middle.set(ylabel="backward cycles a sample", yscale="log")
    right.plot(steps, [row["learning_bits"] for row in plain], marker="o", markersize=4, label="rate, all neurons")
    right.plot(steps, [row["through_time"]["tape_bits"] for row in plain], marker="s", markersize=4,
               label="BPTT engine, all neurons")
    right.plot(steps, [row["through_time"]["bits"] for row in plain], marker=".", linewidth=1, label="BPTT, dense store")
    right.set(ylabel="learning memory, bits", yscale="log")
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel="time steps T", xticks=steps, xticklabels=steps)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="best" if axes is left else "lower right")
