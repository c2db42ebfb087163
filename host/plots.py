"""Curves of a run as PNG and SVG."""

from pathlib import Path

from .files import replacing

__all__ = ["plot_run", "save"]


def plot_run(folder: Path, rows: list[dict], title: str) -> list[Path]:
    """Draws loss and accuracy over the epochs to curve.png and curve.svg.

    ``rows`` are those of metrics.csv. Returns the paths written: none where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no display, no global state
    except ImportError:
        return []
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    loss.plot(epochs, [row["train_loss"] for row in rows], marker="o", markersize=3, color="tab:gray")
    loss.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    lines = (("train_accuracy", "training (running)", "tab:gray"), ("test_accuracy", "test", "tab:blue"))
    for name, label, color in lines:
        accuracy.plot(epochs, [100 * row[name] for row in rows], marker="o", markersize=3, label=label, color=color)
    accuracy.set(xlabel="epoch", ylabel="accuracy, %")
    accuracy.legend(frameon=False)
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title, fontsize=10)
    return save(figure, folder, "curve")


def save(figure, folder: Path, name: str) -> list[Path]:
    """Writes a matplotlib figure as NAME.png and NAME.svg; the same figure gives the same files."""
    import matplotlib

    written = []
    for path, metadata in ((folder / f"{name}.png", {}), (folder / f"{name}.svg", {"Date": None})):
        with matplotlib.rc_context({"svg.hashsalt": "coldspike"}), replacing(path) as temporary:
            figure.savefig(temporary, dpi=120, metadata=metadata)
        written.append(path)
    return written
