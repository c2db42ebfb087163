"""Carries out an experiment's runs and keeps their results, one small file each: what is there is not run again."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from ...spec.config import Rule
from ..checkpoint import CHECKPOINT_NAME, load_checkpoint
from ..devices import open_device
from ..display import TrainingDisplay
from ..driver import Accelerator
from ..files import write_whole
from ..reference import train_float
from ..rehearsal import rehearsal
from ..signals import stop_requests
from ..trainer import Progress, Trainer
from .activity import Activity
from .plan import Run, Study
from .similarity import Similarity
from .traces import Cosines

__all__ = ["Results", "carry_out"]

MEASURES = {Rule.TTFS: Similarity, Rule.SPARSE_BPTT: Activity, Rule.RATE: Cosines}
DROPPED = ("core", "simulated_cycles_per_second", "samples_per_second", "train_seconds", "wall_seconds")


class Results:
    """Results of runs in a folder, each a file that the run's key names."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, run: Run) -> Path:
        """Where the result of a run lies."""
        return self.folder / f"{run.key}.json"

    def get(self, run: Run) -> dict | None:
        """The result of a run, or None."""
        path = self.path(run)
        return json.loads(path.read_text()) if path.exists() else None

    def put(self, run: Run, result: dict) -> None:
        """Keeps a result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.path(run), json.dumps(result, indent=1) + "\n")


def carry_out(results: Results, studies: Iterable[Study], seeds: int, work: Path, screen: Console, **changed) -> None:
    """Runs what has no result yet, seed by seed; ``work`` takes checkpoints. Ctrl-C saves one; the next call continues there."""
    todo = [(study, seed) for seed in range(1, seeds + 1) for study in studies]
    for number, (study, seed) in enumerate(todo, start=1):
        run = study.run(seed, **changed)
        if results.get(run) is None:
            screen.print(f"[bold]{study.network}, {study.name}, seed {seed}[/] ({run.options.device}; run {number} of {len(todo)})")
            results.put(run, trained(run, work / run.key, screen))


def trained(run: Run, folder: Path, screen: Console) -> dict:
    """A run's result: its summary, and what is measured over training where the device shows its network: of rule ttfs the
    similarity of gradients, of sparse-bptt activity, of rate similarity to gradients through time; and of that the accuracies in
    floating point."""
    options = run.options
    core = options.core_config()
    data = options.data_set()
    checkpoint = load_checkpoint(folder) if (folder / CHECKPOINT_NAME).exists() else None
    with screen.status(f"preparing the {options.device} device") as status:
        device = open_device(options.device, core, status=status.update, exact_choice=run.exact_choice,
                             rehearse=rehearsal(options, data))
    try:
        with stop_requests() as request, TrainingDisplay(screen) as display:
            measure = MEASURES[options.rule](device, data.test, folder)

            def watch(progress: Progress) -> None:
                display.batch(progress)
                measure(progress)

            trainer = Trainer(Accelerator(device), data, options, folder, checkpoint=checkpoint, watch=watch,
                              finished=display.epoch, warn=display.warning, request=request)
            measure.forget((trainer.state.epoch * trainer.batches) + trainer.state.batch)
            summary = trainer.run()
            measured = measure.result()
    finally:
        device.close()
    if options.rule == Rule.RATE and options.device == "golden":
        screen.print("the same in floating point, by rate-based backpropagation and by backpropagation through time")
        measured["float"] = {kind: [epoch.test for epoch in train_float(options, data, through_time=kind == "bptt")]
                             for kind in ("rate", "bptt")}
    dropped = (*DROPPED, *["warnings"] * (not summary["warnings"]))
    summary = {name: value for name, value in summary.items() if name not in dropped}
    return summary | {"test_accuracies": [row["test_accuracy"] for row in trainer.state.rows]} | measured

