"""Carries out an experiment's runs and keeps their results, one small file each: what is there is not run again."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from ..checkpoint import CHECKPOINT_NAME, load_checkpoint
from ..data import load
from ..devices import open_device
from ..display import TrainingDisplay
from ..driver import Accelerator
from ..files import write_whole
from ..signals import stop_requests
from ..trainer import Progress, Trainer
from .plan import Run, Study
from .similarity import gradient_similarity

__all__ = ["Results", "carry_out"]

MEASURES_PER_EPOCH = 10
PROBE_SAMPLES = 64
DROPPED = ("core", "warnings", "simulated_cycles_per_second", "samples_per_second", "train_seconds", "wall_seconds")


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
    """A run's result: its summary, and the similarity of gradients over training where the device shows its network."""
    options = run.options
    core = options.core_config()
    data = load(options.data, core.time_bits, options.samples, options.test_samples, options.steps)
    checkpoint = load_checkpoint(folder) if (folder / CHECKPOINT_NAME).exists() else None
    with screen.status(f"preparing the {options.device} device") as status:
        device = open_device(options.device, core, status=status.update, exact_choice=run.exact_choice)
    try:
        with stop_requests() as request, TrainingDisplay(screen) as display:
            measure = Measure(device, data.test.times[:PROBE_SAMPLES], data.test.labels[:PROBE_SAMPLES], folder)

            def watch(progress: Progress) -> None:
                display.batch(progress)
                measure(progress)

            trainer = Trainer(Accelerator(device), data, options, folder, checkpoint=checkpoint, watch=watch,
                              finished=display.epoch, request=request)
            measure.forget((trainer.state.epoch * trainer.batches) + trainer.state.batch)
            summary = trainer.run()
    finally:
        device.close()
    summary = {name: value for name, value in summary.items() if name not in DROPPED}
    return summary | {"test_accuracies": [row["test_accuracy"] for row in trainer.state.rows], "similarity": measure.rows}


class Measure:
    """Similarity of gradients a few times an epoch, kept in a file beside the checkpoint."""

    def __init__(self, device, times, labels, folder: Path):
        self._device, self._times, self._labels, self._path = device, times, labels, folder / "similarity.json"
        self.rows: list[dict] = json.loads(self._path.read_text()) if self._path.exists() else []

    def forget(self, updates: int) -> None:
        """Drops what was measured after the checkpoint from which a run continues."""
        self.rows = [row for row in self.rows if row["update"] <= updates]

    def __call__(self, progress: Progress) -> None:
        """Measures when a tenth of an epoch has passed."""
        network = getattr(self._device, "network", None)
        tenth = progress.batches // MEASURES_PER_EPOCH or 1
        update = (progress.epoch - 1) * progress.batches + progress.batch
        if network is None or (self.rows and update // tenth == self.rows[-1]["update"] // tenth):
            return
        layers = gradient_similarity(network, self._times, self._labels)
        if layers is not None:
            self.rows.append({"update": update, "layers": [round(value, 5) for value in layers]})
            write_whole(self._path, json.dumps(self.rows))
