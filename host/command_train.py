"""``coldspike train``: a network learns on an accelerator."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from .board import differences
from .checkpoint import CHECKPOINT_NAME, Checkpoint, load_checkpoint
from .command_options import parameter, signature
from .device import Device
from .devices import is_serial, open_device, open_serial
from .display import TrainingDisplay, summary_table
from .driver import Accelerator
from .options import TrainOptions, chosen_device, resolve, resume
from .plots import plot_run
from .problems import CheckpointError, OptionError
from .rehearsal import rehearsal
from .report import SUMMARY_NAME
from .signals import stop_requests
from .trainer import Trainer

__all__ = ["train"]

RUNS = Path("runs")


def train(config: Path | None, out: Path | None, resume_from: Path | None, as_json: bool, **given) -> None:
    """Train a network on the simulated accelerator (or another device) and record the run in a folder.

    An option on the command line is preferred to the file, the file to the default. Ctrl-C saves a checkpoint.
    """
    checkpoint = load_checkpoint(resume_from) if resume_from else None
    begun = resume(checkpoint.facts["options"], given, config) if checkpoint else None
    screen = Console(stderr=True)
    with board(begun.device if begun else chosen_device(given, config)) as device:
        core = device and device.config
        options = dataclasses.replace(begun, core=core) if begun else resolve(given, config, core)
        folder = run_folder(options, out, resume_from)
        if checkpoint:
            check_build(checkpoint, options, folder)
        summary, rows = run(options, folder, checkpoint, screen, device)
    if options.plot:
        title = f"{options.data}, {'-'.join(map(str, options.layers))}, {options.feedback}, {options.device} device"
        plot_run(folder, rows, title)
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        Console().print(summary_table(summary))
        print(f"{folder}: summary.json, metrics.csv, config.toml, {CHECKPOINT_NAME}")


@contextlib.contextmanager
def board(name: str) -> Iterator[Device | None]:
    """The device by a name, open before there are options, if it is a board: its build decides theirs."""
    if not is_serial(name):
        yield None
        return
    with contextlib.closing(open_serial(name)) as device:
        yield device


def run_folder(options: TrainOptions, out: Path | None, resume_from: Path | None) -> Path:
    """Where a run is recorded. Raises OptionError for a folder that holds another."""
    if resume_from:
        if out and out.resolve() != resume_from.resolve():
            raise OptionError(f"--out {out}: a run continues in its own folder, {resume_from}; leave --out out")
        return resume_from
    folder = out or free_folder(options)
    for name in (CHECKPOINT_NAME, SUMMARY_NAME):
        if (folder / name).exists():
            raise OptionError(f"--out {folder}: holds a run already; continue it with --resume {folder}, or choose another folder")
    return folder


def check_build(checkpoint: Checkpoint, options: TrainOptions, folder: Path) -> None:
    """Raises CheckpointError where a run began on another build than its options have now."""
    began, core = checkpoint.facts["core"], options.core_config().as_dict()
    if began == core:
        return
    if is_serial(options.device):
        raise CheckpointError(f"{folder / CHECKPOINT_NAME} belongs to another build than the board's: {differences(began, core)}; "
                              "configure the board with the build that the run began on, or train again")
    raise CheckpointError(f"{folder / CHECKPOINT_NAME} belongs to another build: its release configured the "
                          "accelerator differently; continue with that release, or train again")


def run(options: TrainOptions, folder: Path, checkpoint: Checkpoint | None, screen: Console,
        device: Device | None = None) -> tuple[dict, list[dict]]:
    """Trains, on ``device`` if it is open already; returns the summary and the rows of metrics.csv."""
    core = options.core_config()
    with screen.status(f"loading {options.data}") as status:
        data = options.data_set(status.update)
    if device is None:
        with screen.status(f"preparing the {options.device} device") as status:
            device = open_device(options.device, core, status=status.update, rehearse=rehearsal(options, data))
    try:
        with stop_requests() as request, TrainingDisplay(screen) as display:
            trainer = Trainer(Accelerator(device), data, options, folder, checkpoint=checkpoint,
                              watch=display.batch, finished=display.epoch, warn=display.warning, request=request)
            return trainer.run(), trainer.state.rows
    finally:
        device.close()


def free_folder(options: TrainOptions) -> Path:
    """The first of runs/DATA-FEEDBACK-1, -2, ... that does not exist."""
    number = 1
    while (folder := RUNS / f"{options.data}-{options.feedback}-{number}").exists():
        number += 1
    return folder


train.__signature__ = signature(
    parameter("config", Path | None, None, help="TOML file with options by these names"),
    parameter("out", Path | None, None, help="folder for the run", show_default="runs/DATA-FEEDBACK-NUMBER"),
    parameter("resume_from", Path | None, None, "--resume", metavar="DIR", help="continue the run in this folder"),
    parameter("as_json", bool, False, "--json", help="print the summary as JSON"),
)
