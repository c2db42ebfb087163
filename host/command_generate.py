"""``coldspike generate``: synthesizable Verilog and its description."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..spec.config import Optimizer, Rule, Schedule
from ..spec.transport import Precision
from .builds import build, joined, layer_sizes
from .files import write_whole
from .problems import OptionError

__all__ = ["generate"]


def generate(
    layers: Annotated[str, typer.Option(help="largest network of the build")] = "784-256-10",
    lanes: Annotated[int, typer.Option(help="multiply-accumulate lanes, a power of two")] = 32,
    optimizer: Annotated[str, typer.Option(help="sgd or sign-momentum")] = str(Optimizer.SIGN_MOMENTUM),
    gradient_memory: Annotated[bool, typer.Option(help="off: update after every sample")] = True,
    weight_fraction: Annotated[int, typer.Option(help="fractional bits of the 16-bit weights")] = 12,
    feedback_precision: Annotated[str, typer.Option(help=f"feedback weights: {', '.join(Precision)}")] = str(Precision.FULL),
    partial_transport: Annotated[bool, typer.Option(help="build the choice of single weights: top-k, random, change")] = False,
    rule: Annotated[str, typer.Option(help=f"learning rules, one or a comma-separated list: {', '.join(Rule)}")] = str(Rule.TTFS),
    max_steps: Annotated[int, typer.Option(help="sparse-bptt, rate: most time steps of a sample")] = 128,
    schedule: Annotated[str, typer.Option(help=f"rate: order of layers and steps, {' or '.join(Schedule)}"),
                        ] = str(Schedule.SINGLE_STEP),
    spike_entries: Annotated[int, typer.Option(help="sparse-bptt: spikes of a sample that the tape holds; rate: levels and input "
                                                    "spikes of a sample")] = 4096,
    job_entries: Annotated[int, typer.Option(help="sparse-bptt: active neurons that each half of the tape holds")] = 4096,
    rate_loss: Annotated[bool, typer.Option(help="sparse-bptt: build losses of firing rates")] = False,
    out: Annotated[Path, typer.Option(help="folder for coldspike.v and coldspike.json")] = Path("build"),
) -> None:
    """Write the accelerator as Verilog, with a JSON description: configuration, register map, digest."""
    rules = rule.split(",")
    for name, value, known in (("optimizer", optimizer, Optimizer), ("feedback-precision", feedback_precision, Precision),
                               ("schedule", schedule, Schedule), *(("rule", each, Rule) for each in rules)):
        if value not in set(known):
            raise OptionError(f"--{name} {value!r} is unknown; choose one of: {', '.join(known)}")
    given = {Rule.SPARSE_BPTT: {"max_steps": max_steps, "spike_entries": spike_entries, "job_entries": job_entries},
             Rule.RATE: {"max_steps": max_steps, "spike_entries": spike_entries, "schedule": schedule}}
    config = build(layer_sizes(layers), lanes=lanes, optimizer=Optimizer(optimizer), gradient_memory=gradient_memory,
                   weight_fraction=weight_fraction, feedback_precision=feedback_precision, partial_transport=partial_transport,
                   rules=rules, rate_loss=rate_loss, **joined([given[rule] for rule in given if rule in rules]))
    from ..hw import verilog  # Amaranth is needed only here

    text, facts = verilog.generate(config), verilog.description(config)
    try:
        write_whole(out / "coldspike.v", text)
        write_whole(out / "coldspike.json", json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise OptionError(f"--out {out}: cannot be written ({error.strerror})") from error
    print(f"{out / 'coldspike.v'}: {len(text.splitlines()):,} lines; {out / 'coldspike.json'}: its description")
