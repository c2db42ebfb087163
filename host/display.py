"""What a person sees while a network trains, and at the end."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .trainer import Progress as Step

__all__ = ["TrainingDisplay", "summary_table"]


def per_second(rate: float | None) -> str:
    """``1.23 M/s``; a dash for None."""
    if rate is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if rate >= size:
            return f"{rate / size:.2f} {unit}/s"
    return f"{rate:.0f}/s"


class TrainingDisplay:
    """A progress bar with loss, accuracy and speed; a line for each epoch stays on the screen.

    Parameters
    ----------
    console : where to draw.
    """

    def __init__(self, console: Console):
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"), TimeRemainingColumn(), console=console, transient=True)
        self._task = self._progress.add_task("training", total=None, figures="")

    def __enter__(self) -> "TrainingDisplay":
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    def batch(self, step: Step) -> None:
        """Shows the state after a batch."""
        clock = f"  {per_second(step.cycles_per_second).replace('/s', 'cycles/s')}" if step.cycles_per_second else ""
        self._progress.update(
            self._task, description=f"epoch {step.epoch}/{step.epochs}", total=step.epochs * step.batches,
            completed=(step.epoch - 1) * step.batches + step.batch,
            figures=f"loss {step.loss:.3f}  accuracy {step.accuracy:.1%}  "
                    f"{step.samples_per_second:,.0f} samples/s{clock}")

    def epoch(self, row: dict) -> None:
        """Prints the row of metrics.csv of a completed epoch."""
        self.console.print(
            f"epoch {row['epoch']:>3}  loss {row['train_loss']:.4f}  training {row['train_accuracy']:.2%}  "
            f"test [bold]{row['test_accuracy']:.2%}[/]  {row['cycles_per_sample']:,.0f} cycles/sample  "
            f"{row['transported_weights']:,} weights transported  {row['samples_per_second']:,.0f} samples/s",
            highlight=False, soft_wrap=True)

    def warning(self, line: str) -> None:
        """Prints what a person should know."""
        self.console.print(f"warning: {line}", style="yellow", markup=False, soft_wrap=True)


def summary_table(summary: dict) -> Table:
    """The end of a run: accuracy, cycles by phase, weights transported."""
    table = Table(show_header=False, title=f"{summary['data']}, {'-'.join(map(str, summary['layers']))}, "
                                           f"{summary['feedback']}, {summary['device']} device", title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("test accuracy", f"[bold]{summary['test_accuracy']:.2%}[/]")
    table.add_row("training accuracy (last epoch, running)", f"{summary['train_accuracy']:.2%}")
    table.add_row("samples trained", f"{summary['samples_trained']:,}", end_section=True)
    for phase, count in summary["cycles"].items():
        table.add_row(f"{phase} cycles", f"{count:,}")
    table.add_row("cycles per sample (phases overlap)", f"{summary['cycles_per_sample']:,.1f}")
    utilization = summary["lane_utilization"]
    table.add_row("lane utilisation, forward / backward",
                  f"{utilization['forward']:.1%} / {utilization['backward']:.1%}", end_section=True)
    table.add_row("weights transported", f"{summary['transported_weights']:,}")
    reduction = summary["transport_reduction"]
    table.add_row("reduction against BP", "nothing transported" if reduction is None else f"{reduction:,.1f} x",
                  end_section=True)
    table.add_row("training speed", f"{summary['samples_per_second']:,.0f} samples/s")
    if summary["simulated_cycles_per_second"]:
        table.add_row("simulated clock", f"{summary['simulated_cycles_per_second']:,.0f} cycles/s")
    return table
