"""``coldspike verify``: simulated RTL against the exact golden model, every state after every batch."""

import inspect
import json
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..spec.config import Optimizer, Rule, Schedule
from ..spec.transport import Precision
from .builds import build, joined, layer_sizes
from .devices import open_device
from .measures import cycles
from .option_values import comma_numbers, flag, options_of, spelled
from .options import READOUTS, TrainOptions
from .over_time import GRADIENTS, OVER_TIME, OverTimeOptions
from .problems import OptionError
from .rate_based import CODINGS, RateOptions
from .schemes import FEEDBACKS, TRANSPORTS, needs_choice, schemes
from .stimuli import random_settings
from .verify import Verification

__all__ = ["verify"]


def verify(
    layers: Annotated[str, typer.Option(help="neurons of each layer, inputs first")] = "37-19-5",
    feedback: Annotated[str, typer.Option(help=f"one for all layers or a list: {', '.join(FEEDBACKS)}")] = "fbp",
    transport: Annotated[str, typer.Option(help=f"one for all layers or a list: {', '.join(TRANSPORTS)}")] = "full",
    interval: Annotated[int, typer.Option(min=1, help="updates between transports")] = 3,
    fraction: Annotated[str | None, typer.Option(help="top-k: share of the weights")] = None,
    probability: Annotated[str | None, typer.Option(help="random: probability of a weight")] = None,
    alpha: Annotated[str | None, typer.Option(help="change: temperature")] = None,
    feedback_precision: Annotated[str, typer.Option(help=f"feedback weights: {', '.join(Precision)}")] = str(Precision.FULL),
    lanes: Annotated[int, typer.Option(help="lanes of the build, a power of two")] = 4,
    batches: Annotated[int, typer.Option(min=1, help="batches to run and compare")] = 4,
    batch_size: Annotated[int, typer.Option(min=1, help="training samples of a batch")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="seed of weights, rates and samples")] = 7,
    stall: Annotated[float, typer.Option(help="probability that a channel is held back for a cycle")] = 0.0,
    readout: Annotated[str, typer.Option(help="potential or spike-time")] = "potential",
    optimizer: Annotated[str, typer.Option(help="sgd or sign-momentum")] = "sgd",
    weight_decay: Annotated[bool, typer.Option(help="off: a build that cannot")] = True,
    gradient_memory: Annotated[bool, typer.Option(help="off: update after every sample")] = True,
    weight_fraction: Annotated[int, typer.Option(help="fractional bits of the 16-bit weights")] = 12,
    gradient_bits: Annotated[int, typer.Option(help="bits of the gradient memory, 8 to 32")] = 32,
    time_bits: Annotated[int, typer.Option(help="a window has 2**this ticks")] = 8,
    rule: Annotated[str, typer.Option(help=f"learning rule: {', '.join(Rule)}; or a list: a build of several, which takes turns "
                                           "with them")] = str(Rule.TTFS),
    timesteps: Annotated[int, typer.Option(min=1, help="sparse-bptt, rate: time steps T")] = 20,
    window: Annotated[float, typer.Option(min=0, help="sparse-bptt: active neurons have |V - 1| < w; inf: all")] = 0.2,
    tau: Annotated[float, typer.Option(help="sparse-bptt: time constant of a potential, in steps")] = 10.0,
    over_time: Annotated[str, typer.Option(help=f"sparse-bptt: logits of the readout's {' or '.join(OVER_TIME)}")] = "max",
    gradients: Annotated[str, typer.Option(help=f"sparse-bptt: gradients are summed as is {' or by '.join(GRADIENTS)}"),
                         ] = "cheaper",
    spike_entries: Annotated[int | None, typer.Option(help="sparse-bptt, rate: spikes of a sample that the build holds")] = None,
    job_entries: Annotated[int | None, typer.Option(help="sparse-bptt: active neurons that each half of the tape holds")] = None,
    rate_upper: Annotated[float, typer.Option(min=0, help="sparse-bptt: strength of the loss of neurons that fire too often")] = 0,
    rate_lower: Annotated[float, typer.Option(min=0, help="sparse-bptt: strength of the loss of those that fire too rarely")] = 0,
    rate_least: Annotated[int, typer.Option(help="sparse-bptt: fewer spikes of a neuron in a sample cost")] = 1,
    rate_most: Annotated[int, typer.Option(help="sparse-bptt: more spikes of a neuron in a sample cost")] = 10,
    leak: Annotated[float, typer.Option(help="rate: what a potential keeps from step to step")] = 0.2,
    coding: Annotated[str, typer.Option(help=f"rate: inputs are {' or '.join(CODINGS)}")] = "current",
    schedule: Annotated[str, typer.Option(help=f"rate: {' or '.join(Schedule)}")] = str(Schedule.SINGLE_STEP),
    corrupt: Annotated[bool, typer.Option("--corrupt", help="flip one bit of what is compared: must fail")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> int:
    """Run random data through the simulated RTL and the exact golden model and compare every state.

    Exit code 0 only if all values are equal, cycle counts of every phase included.
    """
    rules = checked_rules(locals())
    sizes = layer_sizes(layers)
    sparse = OverTimeOptions(timesteps, tau, window, over_time, gradients, rate_upper, rate_lower, rate_least, rate_most,
                             spike_entries, job_entries)
    rate = RateOptions(timesteps, leak, coding, schedule, spike_entries)
    needs = [each.build(sizes) for name, each in ((Rule.SPARSE_BPTT, sparse), (Rule.RATE, rate)) if name in rules]
    config = build(sizes, lanes=lanes, optimizer=Optimizer(optimizer), weight_decay=weight_decay, gradient_memory=gradient_memory,
                   weight_fraction=weight_fraction, gradient_bits=gradient_bits, time_bits=time_bits,
                   feedback_precision=feedback_precision, partial_transport=needs_choice(transport),
                   **joined(needs) | {"rules": rules})
    numbers = (comma_numbers(name, text) for name, text in (("fraction", fraction), ("probability", probability), ("alpha", alpha)))
    settings = random_settings(np.random.default_rng([seed, 2]), config, sizes, batch_size=batch_size,
                               readout=READOUTS[readout], interval=interval,
                               schemes=schemes(len(sizes) - 1, feedback, transport, *numbers),
                               over_time=sparse.random_settings(config, np.random.default_rng([seed, 3]), sizes)
                               if Rule.SPARSE_BPTT in rules else None, rate=rate.settings() if Rule.RATE in rules else None)
    turns = [settings.of(Rule(each)) for each in rules]
    for turn in turns:
        turn.registers(config)  # refuses by name, before anything is built
    screen = Console(stderr=True)
    with screen.status("preparing the simulated device") as status:
        simulated = open_device("simulated", config, stall=stall, stall_seed=seed, status=status.update)
        try:
            check = Verification(open_device("golden", config), simulated, turns, seed=seed,
                                 total_cycles=not stall, corrupt=corrupt)
            check.run(batches, batch_size, lambda done: status.update(f"compared {done} of {batches} batches"))
            phases = cycles(check.sides[1].counters())
        finally:
            simulated.close()
    if as_json:
        print(json.dumps(as_dict(check, layers, batches, phases), indent=2))
    else:
        report(check, phases)
    return 1 if check.mismatches else 0


def checked_rules(given: dict) -> list[str]:
    """The learning rules. Raises OptionError for a word that is unknown, for a rule that is named twice or has no batch, and for an
    option that none of them knows, unless it is at its default: as ``train`` does."""
    rules = given["rule"].split(",")
    choices = {"feedback_precision": list(Precision), "readout": READOUTS, "optimizer": list(Optimizer), "over_time": OVER_TIME,
               "gradients": GRADIENTS, "coding": CODINGS, "schedule": list(Schedule)}
    words = [("rule", rule, list(Rule)) for rule in rules] + [(name, given[name], known) for name, known in choices.items()]
    for name, word, known in words:
        if word not in known:
            raise OptionError(f"{flag(name)} {word!r} is unknown; choose one of: {', '.join(known)}")
    if twice := [rule for n, rule in enumerate(rules) if rule in rules[:n]]:
        raise OptionError(f"--rule {given['rule']}: {twice[0]} is there twice; name each rule once")
    if given["batches"] < len(rules):
        raise OptionError(f"--batches {given['batches']}: of the {len(rules)} rules {given['rule']} each needs one at least")
    defaults = inspect.signature(verify).parameters
    for name, option in options_of(TrainOptions).items():
        value = given.get(name)
        if name in given and not set(rules) & set(option.metadata["rules"]) and value != defaults[name].default:
            know = f"rule {rules[0]} knows" if len(rules) == 1 else f"rules {', '.join(rules)} know"
            raise OptionError(f"{spelled(name, value)}: {know} none; leave it out, or choose another --rule")
    return rules


def as_dict(check: Verification, layers: str, batches: int, phases: dict[str, int]) -> dict:
    """The result as plain values."""
    return {
        "layers": layers, "batches": batches, "values": check.values, "mismatches": check.mismatches,
        "equal": not check.mismatches, "corrupted": check.corrupted, "cycles": phases,
        "states": {kind: vars(tally) for kind, tally in check.tallies.items()},
    }


def report(check: Verification, phases: dict[str, int]) -> None:
    """Prints the result for people."""
    console = Console()
    table = Table("state", "values compared", "of these not 0", "mismatches")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, tally in check.tallies.items():
        table.add_row(kind, f"{tally.values:,}", f"{tally.nonzero:,}",
                      f"[red]{tally.mismatches:,}[/]" if tally.mismatches else "0")
    console.print(table)
    print("simulated cycles: " + ", ".join(f"{phase} {count:,}" for phase, count in phases.items()))
    if check.corrupted:
        print(f"corrupted on purpose: {check.corrupted}")
    for kind, tally in check.tallies.items():
        if tally.first:
            print(f"first mismatch in {kind}: {tally.first}")
    verdict = f"{check.mismatches:,} of {check.values:,} values differ" if check.mismatches else "all equal"
    print(f"{check.values:,} values compared: {verdict}")
