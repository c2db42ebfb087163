"""``coldspike reference``: the floating-point yardstick of a training run."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from .command_options import parameter, signature
from .data import load
from .options import resolve
from .reference import train_float

__all__ = ["reference"]


def reference(config: Path | None, as_json: bool, **given) -> None:
    """Train the floating-point model on the same initial weights, batches and schedule as a run of ``train``.

    With --config, the config.toml of a run's folder, it repeats that run.
    """
    options = resolve(given, config)
    data = load(options.data, options.core_config().time_bits, options.samples, options.test_samples, options.steps)
    data.check(options.layers)
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True) as progress:
        task = progress.add_task("training", total=options.epochs * -(-len(data.train) // options.batch_size))
        epochs = train_float(options, data, lambda batch: progress.update(task, completed=batch),
                             lambda result: screen.print(f"training {result.train:.2%}  test [bold]{result.test:.2%}[/]",
                                                         highlight=False))
    last = epochs[-1]
    if as_json:
        print(json.dumps({"options": options.plain(), "test_accuracy": last.test, "train_accuracy": last.train,
                          "epochs": [asdict(epoch) for epoch in epochs]}, indent=2))
    else:
        print(f"test accuracy {last.test:.2%} after {len(epochs)} epochs in floating point")


reference.__signature__ = signature(
    parameter("config", Path | None, None, help="TOML file with options by these names"),
    parameter("as_json", bool, False, "--json", help="print the accuracies as JSON"),
    without=("device", "lanes", "gradient_memory", "checkpoint_seconds", "plot"),
)
