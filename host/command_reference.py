"""``coldspike reference``: the floating-point yardstick of a training run."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from ..spec.config import Rule
from .command_options import parameter, signature
from .options import resolve
from .problems import OptionError
from .reference import train_float

__all__ = ["reference"]


def reference(config: Path | None, through_time: bool, as_json: bool, **given) -> None:
    """Train the floating-point model on the same initial weights, batches and schedule as a run of ``train``.

    With --config, the config.toml of a run's folder, it repeats that run.
    """
    options = resolve(given, config)
    if through_time and options.rule != Rule.RATE:
        raise OptionError(f"--through-time: rule {options.rule} has no other gradients; leave it out, or choose --rule rate")
    data = options.data_set()
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True) as progress:
        task = progress.add_task("training", total=options.epochs * -(-len(data.train) // options.batch_size))
        epochs = train_float(options, data, lambda batch: progress.update(task, completed=batch),
                             lambda result: screen.print(f"training {result.train:.2%}  test [bold]{result.test:.2%}[/]",
                                                         highlight=False), through_time=through_time)
    last = epochs[-1]
    if as_json:
        print(json.dumps({"options": options.plain(), "test_accuracy": last.test, "train_accuracy": last.train,
                          "epochs": [asdict(epoch) for epoch in epochs]}, indent=2))
    else:
        print(f"test accuracy {last.test:.2%} after {len(epochs)} epoch{'s' * (len(epochs) != 1)} in floating point")


reference.__signature__ = signature(
    parameter("config", Path | None, None, help="TOML file with options by these names"),
    parameter("through_time", bool, False, "--through-time", help="rate: gradients by backpropagation through time, which "
              "rate-based backpropagation comes near"),
    parameter("as_json", bool, False, "--json", help="print the accuracies as JSON"),
    without=("device", "lanes", "gradient_memory", "schedule", "checkpoint_seconds", "plot"),
)
