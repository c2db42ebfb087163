"""``python -m coldspike.fpga synth``, ``paths``, ``pnr`` and ``bitstream``: area by component, estimated paths, clock rate and
critical path, a board's bitstream."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..hw.verilog import generate
from ..spec.config import CoreConfig, Optimizer, Rule, Schedule
from ..spec.transport import Precision
from .boards import BOARDS, find_board
from .harness import CHIP, chip
from .paths import paths as estimates
from .placement import Placement, place
from .synthesis import Netlist, synthesize
from .targets import RESOURCES, TARGETS, Target
from .tools import ToolError

ROOM = Path("build") / "fpga"
BOARD_ROOM = Path("build") / "boards"
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

TargetName = Annotated[str, typer.Option(help=f"device: {', '.join(TARGETS)}")]
Layers = Annotated[str, typer.Option(help="largest network of the build")]
Lanes = Annotated[int, typer.Option(help="multiply-accumulate lanes, a power of two")]
Optimizers = Annotated[str, typer.Option(help="sgd or sign-momentum")]
Gradients = Annotated[bool, typer.Option(help="accumulate gradients over a batch; without, weights are updated every sample")]
Feedback = Annotated[str, typer.Option("--feedback-precision", help=f"feedback weights: {', '.join(Precision)}")]
Partial = Annotated[bool, typer.Option("--partial-transport", help="build the choice of single weights: top-k, random, change")]
Decay = Annotated[bool, typer.Option("--weight-decay", help="build weight decay")]
Learns = Annotated[str, typer.Option("--rule", help=f"learning rules, one or a comma-separated list: {', '.join(Rule)}")]
Steps = Annotated[int, typer.Option(help="sparse-bptt, rate: most time steps of a sample")]
Schedules = Annotated[str, typer.Option("--schedule", help=f"rate: order of layers and steps, {' or '.join(Schedule)}")]
Spikes = Annotated[int, typer.Option(help="sparse-bptt: spikes of a sample that the tape holds; rate: levels and input spikes")]
Jobs = Annotated[int, typer.Option(help="sparse-bptt: active neurons that each half of the tape holds")]
AsJson = Annotated[bool, typer.Option("--json", help="print as JSON")]


@app.command()
def synth(target: TargetName = "ecp5-85k", layers: Layers = "784-64-10", lanes: Lanes = 16,
          optimizer: Optimizers = str(Optimizer.SIGN_MOMENTUM), gradient_memory: Gradients = True,
          feedback_precision: Feedback = str(Precision.FULL), partial_transport: Partial = False, weight_decay: Decay = False,
          rule: Learns = str(Rule.TTFS), max_steps: Steps = 100, spike_entries: Spikes = 4096, job_entries: Jobs = 2048,
          schedule: Schedules = str(Schedule.SINGLE_STEP), as_json: AsJson = False) -> None:
    """Synthesise the accelerator; print its area by component."""
    device, config, room = settle(target, layers, lanes, optimizer=optimizer, gradient_memory=gradient_memory,
                                  feedback_precision=feedback_precision, partial_transport=partial_transport,
                                  weight_decay=weight_decay, rules=rule.split(","), max_steps=max_steps,
                                  spike_entries=spike_entries, job_entries=job_entries, schedule=schedule)
    with Console(stderr=True).status("synthesising"):
        netlist = synthesize(generate(config), device, room)
    if as_json:
        print(json.dumps(facts(netlist, config), indent=2))
    else:
        Console().print(area_table(netlist, device, config))


@app.command()
def pnr(target: TargetName = "ecp5-85k", layers: Layers = "784-64-10", lanes: Lanes = 16,
        optimizer: Optimizers = str(Optimizer.SIGN_MOMENTUM), gradient_memory: Gradients = True,
        feedback_precision: Feedback = str(Precision.FULL), partial_transport: Partial = False, weight_decay: Decay = False,
        rule: Learns = str(Rule.TTFS), max_steps: Steps = 100, spike_entries: Spikes = 4096, job_entries: Jobs = 2048,
        schedule: Schedules = str(Schedule.SINGLE_STEP),
        freq: Annotated[float, typer.Option(help="clock to aim at, MHz")] = 100.0,
        seeds: Annotated[int, typer.Option(help="placements to try; the fastest counts")] = 1,
        insist: Annotated[float, typer.Option(min=0, help="minutes to place, and to route again what is too late for --freq, "
                                                          "which must be within reach; 0: route once")] = 0,
        planned: Annotated[bool | None, typer.Option("--floorplan/--no-floorplan",
                                                     help="give memories and multipliers rows; default from 8 lanes on")] = None,
        as_json: AsJson = False) -> None:
    """Synthesise, place and route; print area, clock rate and the critical path."""
    device, config, room = settle(target, layers, lanes, optimizer=optimizer, gradient_memory=gradient_memory,
                                  feedback_precision=feedback_precision, partial_transport=partial_transport,
                                  weight_decay=weight_decay, rules=rule.split(","), max_steps=max_steps,
                                  spike_entries=spike_entries, job_entries=job_entries, schedule=schedule)
    screen = Console(stderr=True)
    with screen.status("synthesising") as status:
        netlist = synthesize(generate(config) + chip(), device, room, top=CHIP)
        tries = []
        for seed in range(1, seeds + 1):
            status.update(f"placing and routing, seed {seed} of {seeds}")
            tries.append(place(netlist, device, room, goal=freq, seed=seed, insist=insist,
                               planned=lanes >= 8 if planned is None else planned))
            screen.print(f"seed {seed}: {tries[-1].fmax:.1f} MHz", highlight=False)
    best = max(tries, key=lambda p: p.fmax)
    if as_json:
        print(json.dumps(facts(netlist, config) | {"fmax": best.fmax, "goal": best.goal, "seed": best.seed, "used": best.used,
                                                   "tries": {p.seed: p.fmax for p in tries}, "fmax_by_component": best.components,
                                                   "critical_path": [asdict(step) for step in best.critical]}, indent=2))
    else:
        Console().print(area_table(netlist, device, config))
        Console().print(path_table(best), clock_table(best))
    if best.fmax < freq:
        raise ToolError(f"the clock reaches {best.fmax:.1f} MHz, {freq:g} were asked for; the critical path is above")


@app.command()
def paths(layers: Layers = "784-64-10", lanes: Lanes = 16, optimizer: Optimizers = str(Optimizer.SIGN_MOMENTUM),
          gradient_memory: Gradients = True,
          count: Annotated[int, typer.Option(help="paths to show")] = 10, as_json: AsJson = False) -> None:
    """Synthesise for ECP5 and estimate the longest paths, without place and route."""
    device, config, room = settle("ecp5-85k", layers, lanes, optimizer=optimizer, gradient_memory=gradient_memory)
    with Console(stderr=True).status("synthesising"):
        found = list(estimates(synthesize(generate(config) + chip(), device, room, top=CHIP).path, count))
    if as_json:
        print(json.dumps([asdict(path) for path in found], indent=2))
    for path in () if as_json else found:
        print(f"{path.delay:.1f} ns into {path.end}")
        for delay, kind, net, fanout in path.steps:
            print(f"    {delay:5.1f}  {kind:16} {fanout:5}  {net}")


@app.command()
def bitstream(board: Annotated[str, typer.Option(help=f"board: {', '.join(BOARDS)}")] = "ulx3s",
              seed: Annotated[int, typer.Option(help="of the placement")] = 1, as_json: AsJson = False) -> None:
    """Write the bitstream of a board, build/boards/NAME/coldspike-NAME.bit, and beside it what is in it (.json)."""
    from .bitstream import make_bitstream  # here: it needs the board's hardware, which the other commands do not
    chosen = find_board(board)
    with Console(stderr=True).status("") as status:
        facts = make_bitstream(chosen, BOARD_ROOM / board, seed=seed, tell=status.update)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        used = ", ".join(f"{count:,.0f} of {chosen.target.capacity[name]:,} {name}" for name, count in facts["total"].items()
                         if name in chosen.target.capacity)
        print(f"{BOARD_ROOM / board / f'coldspike-{board}.bit'}: {facts['digest']}\n{chosen.text} at {facts['clock'] / 1e6:g} MHz "
              f"({facts['fmax']:.1f} are possible), {facts['baud']:,} baud; {used}")


def settle(target: str, layers: str, lanes: int, *, weight_decay: bool = False, **options) -> tuple[Target, CoreConfig, Path]:
    """Device, build and folder; ``options`` : further parameters of the build. Raises ToolError for a value that does not exist."""
    if target not in TARGETS:
        raise ToolError(f"--target {target!r} is unknown; choose one of: {', '.join(TARGETS)}")
    try:
        sizes = tuple(int(size) for size in layers.split("-"))
        config = CoreConfig.for_network(sizes, lanes=lanes, weight_decay=weight_decay, **options)
    except ValueError as error:
        raise ToolError(f"--layers {layers} --lanes {lanes} --optimizer {options.get('optimizer')}: {error}") from error
    parts = [target, layers, str(lanes), str(config.optimizer), *["every-sample"] * (not config.gradient_memory),
             *(map(str, config.rules) if config.rules != (Rule.TTFS,) else ()),
             *[str(config.schedule)] * (config.schedule is not Schedule.SINGLE_STEP), *["partial"] * config.partial_transport,
             *["decay"] * weight_decay,
             *[str(config.feedback_precision)] * (config.feedback_precision != Precision.FULL)]
    return TARGETS[target], config, ROOM / "-".join(parts)


def facts(netlist: Netlist, config: CoreConfig) -> dict:
    """The result of synthesis for programs."""
    return {"digest": netlist.digest, "configuration": config.as_dict(), "total": netlist.total,
            "luts_per_lane": netlist.total["LUT"] / config.lanes, "components": netlist.components}


def area_table(netlist: Netlist, target: Target, config: CoreConfig) -> Table:
    """The result of synthesis for people."""
    out = Table(title=f"{netlist.digest}, {target.text}", title_justify="left")
    out.add_column("component")
    for name in RESOURCES:
        out.add_column(name, justify="right")
    for name, area in sorted(netlist.components.items(), key=lambda item: -item[1]["LUT"]):
        out.add_row(name or "(around them)", *(f"{area[r]:,.4g}" if area[r] < 1000 else f"{area[r]:,.0f}" for r in RESOURCES))
    total = netlist.total
    out.add_section()
    out.add_row("total", *(f"{total[r]:,.0f}" for r in RESOURCES))
    out.add_row("share of the device", *(f"{total[r] / target.capacity[r]:.1%}" if r in target.capacity else "" for r in RESOURCES))
    out.add_row("per lane", *(f"{total[r] / config.lanes:,.1f}" for r in RESOURCES))
    return out


def path_table(placement: Placement) -> Table:
    """Clock rate and critical path for people."""
    start, end = placement.ends
    out = Table(title=f"{placement.fmax:.1f} MHz (goal {placement.goal:g}, seed {placement.seed}); critical path from "
                      f"{start or 'a port'} to {end or 'a port'}", title_justify="left")
    for name in ("ns", "step", "from", "to"):
        out.add_column(name, overflow="fold")
    for step in placement.critical:
        out.add_row(f"{step.delay:.2f}", step.kind, step.source, step.sink)
    return out


def clock_table(placement: Placement) -> Table:
    """Clock rate by component for people, slowest first."""
    out = Table(title="slowest path into each component", title_justify="left")
    out.add_column("component")
    out.add_column("MHz", justify="right")
    for name, clock in sorted(placement.components.items(), key=lambda item: item[1]):
        out.add_row(name or "(around them)", f"{clock:.1f}")
    return out


def main() -> int:
    """Runs one command line; an expected failure is one line."""
    try:
        app(prog_name="python -m coldspike.fpga", standalone_mode=False)
    except (ToolError, typer.BadParameter) as problem:
        print(f"coldspike: {problem}", file=sys.stderr)
        return 1
    except typer.Exit as done:
        return done.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
