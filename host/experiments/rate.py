"""What experiment rate shows: accuracy of rate-based backpropagation beside that of backpropagation through time, and cycles and
memory that do not grow with the number of steps. Source: Yu, Liu, Wang, Li & Wang, "Advancing Training Efficiency of Deep Spiking
Neural Networks through Rate-based Backpropagation"."""

import numpy as np

from .tables import Row, same

__all__ = ["COLUMNS", "RateRow", "draw_rate"]


class RateRow(Row):
    """Results of a study of rule rate."""

    def plain(self) -> dict:
        """The row for programs, and for the table; cycles and bits are those of a training sample."""
        options = self.study.run(1).options
        trained = self.mean(lambda r: r["counters"]["SAMPLES_TRAINED"])
        bits = self.results[0]["cost"]["bits"]
        here = {name: self.mean(lambda r, name=name: r["cost"]["schedules"][options.schedule][name])
                for name in ("forward", "untrained")}
        return {
            "scheme": self.study.name, "steps": options.timesteps, "seeds": len(self.results),
            "accuracy": self.mean(lambda r: r["test_accuracy"]), "deviation": self.deviation,
            "float": {kind: self.mean(lambda r, kind=kind: r["float"][kind][-1]) for kind in self.results[0]["float"]},
            "cosines": np.mean([[row["layers"] for row in result["cosines"]] for result in self.results], axis=(0, 1)).tolist(),
            "cycles_per_sample": {phase: self.mean(lambda r, phase=phase: r["counters"][f"{phase.upper()}_CYCLES"]) / trained
                                  for phase in ("forward", "backward", "total")},
            "forward": {schedule: self.mean(lambda r, schedule=schedule: r["cost"]["schedules"][schedule]["forward"])
                        for schedule in self.results[0]["cost"]["schedules"]},
            "most_backward": self.mean(lambda r: r["cost"]["most_backward"]),
            "trace_overhead": here["forward"] / here["untrained"] - 1,
            "learning_bits": bits["rates"] + bits["lists"] + bits["traces"], "spike_bits": bits["spikes"],
            "through_time": {name: self.mean(lambda r, name=name: r["cost"]["through_time"][name])
                             for name in ("backward", "bits")},
            "same_on": {device: same(self.results, found) for device, found in self.devices.items()},
        }


COLUMNS = {
    "scheme": lambda r: r["scheme"], "seeds": lambda r: f"{r['seeds']}",
    "test accuracy, %": lambda r: f"{100 * r['accuracy']:.2f} +- {100 * r['deviation']:.2f}",
    "float, rate / BPTT, %": lambda r: " / ".join(f"{100 * r['float'][kind]:.2f}" for kind in ("rate", "bptt")),
    "cosine to BPTT, layers 1, 2, ...": lambda r: " / ".join(f"{value:.3f}" for value in r["cosines"]),
    "forward cycles a sample, single-step / multi-step": lambda r: " / ".join(f"{value:,.0f}" for value in r["forward"].values()),
    "traces, % of them": lambda r: f"{100 * r['trace_overhead']:.2f}",
    "backward cycles": lambda r: f"{r['cycles_per_sample']['backward']:,.0f}",
    "of BPTT": lambda r: f"{r['through_time']['backward']:,.0f}",
    "learning memory, bits": lambda r: f"{r['learning_bits']:,}", "of BPTT, bits": lambda r: f"{r['through_time']['bits']:,.0f}",
    "spikes between layers, bits": lambda r: " / ".join(f"{value:,}" for value in r["spike_bits"].values()),
    "simulated RTL": lambda r: {True: "equal", False: "DIFFERS"}.get(r["same_on"].get("simulated"), "-"),
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
    middle.plot(steps, [row["through_time"]["backward"] for row in plain], marker="s", markersize=4, label="BPTT engine")
    middle.set(ylabel="backward cycles a sample", yscale="log")
    right.plot(steps, [row["learning_bits"] for row in plain], marker="o", markersize=4, label="rate")
    right.plot(steps, [row["through_time"]["bits"] for row in plain], marker="s", markersize=4, label="BPTT, dense")
    right.set(ylabel="learning memory, bits", yscale="log")
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel="time steps T", xticks=steps, xticklabels=steps)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
