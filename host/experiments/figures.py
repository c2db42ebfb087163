"""Figures of experiments as PNG and SVG; nothing without matplotlib."""

from pathlib import Path

import numpy as np

from ..plots import save
from .rate import draw_rate
from .rules import draw_rules
from .sparse import draw_sparse
from .tables import Row

__all__ = ["draw"]

SIZES = {"sparse": (12, 8), "rate": (12, 4.2), "rules": (12, 4.2)}
"""Inches, width and height, of those that have several panels."""


def draw(experiment: str, found: list[Row], folder: Path) -> list[Path]:
    """Draws an experiment's figure, if it has one; returns the paths written."""
    painters = {"figure2": trade_off, "figure3": similarity, "figure-energy": energy, "sparse": draw_sparse, "rate": draw_rate,
                "rules": draw_rules}
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    figure = Figure(figsize=SIZES.get(experiment, (8, 4.2)), layout="constrained")
    painters.get(experiment, accuracies)(figure, found)
    return save(figure, folder, experiment)


def trade_off(figure, found: list[Row]) -> None:
    """Accuracy lost against BP over the reduction of transport."""
    axes = figure.subplots()
    base = next(row for row in found if row.study.given.get("feedback") == "bp").plain()["accuracy"]
    for group in dict.fromkeys(row.study.group for row in found if row.study.group):
        points = sorted((row.reduction, 100 * (base - row.plain()["accuracy"]), 100 * row.deviation)
                        for row in found if row.study.group == group and row.reduction)
        if points:
            x, y, spread = zip(*points, strict=True)
            axes.errorbar(x, y, yerr=spread, marker="o", markersize=4, capsize=3, label=group)
    axes.axhline(0, color="tab:gray", linewidth=0.8)
    axes.set(xscale="log", xlabel="weights transported: times fewer than BP", ylabel="test accuracy lost, points")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def similarity(figure, found: list[Row]) -> None:
    """Cosine similarity of each layer's gradient over the updates, mean over the seeds."""
    shown = [row for row in found if row.results[0]["similarity"]]
    layers = len(shown[0].results[0]["similarity"][0]["layers"]) if shown else 1
    for l, axes in enumerate(figure.subplots(1, layers, sharey=True, squeeze=False)[0]):
        for row in shown:
            count = min(len(result["similarity"]) for result in row.results)
            values = np.mean([[m["layers"][l] for m in result["similarity"][:count]] for result in row.results], axis=0)
            axes.plot([m["update"] for m in row.results[0]["similarity"][:count]], values, linewidth=1, label=row.study.name)
        axes.set(title=f"layer {l + 1}", xlabel="updates", ylim=(None, 1.02))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("cosine similarity to the true gradient")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=7)


def energy(figure, found: list[Row]) -> None:
    """Energy of transport per epoch, beside the share of cycles that it is waited for."""
    left, right = figure.subplots(1, 2, sharey=True)
    plain = [row.plain() for row in found]
    names, places = [row["scheme"] for row in plain], range(len(plain))
    left.barh(places, [row["microjoules_per_epoch"]["transport"] for row in plain], color="tab:blue")
    left.set(xscale="symlog", xlabel="transport, microjoules an epoch", yticks=list(places), yticklabels=names)
    left.tick_params(axis="y", labelsize=7)
    right.barh(places, [100 * row["exposed_cycles_per_epoch"] / row["total_cycles_per_epoch"] for row in plain], color="tab:gray")
    right.set(xlabel="cycles waited for transport, % of all")
    left.invert_yaxis()
    for axes in (left, right):
        axes.grid(alpha=0.3, axis="x")


def accuracies(figure, found: list[Row]) -> None:
    """Test accuracy of each scheme with its deviation."""
    axes = figure.subplots()
    plain = [row.plain() for row in found]
    names = [f"{row['scheme']} ({row['network']})" for row in plain]
    axes.errorbar([100 * row["accuracy"] for row in plain], range(len(plain)), xerr=[100 * row["deviation"] for row in plain],
                  fmt="o", markersize=4, capsize=3)
    axes.set(xlabel="test accuracy, %", yticks=list(range(len(plain))), yticklabels=names)
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
