"""``coldspike bench``: cycles against the ideal schedule, lane utilisation, simulation speed."""

import contextlib
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .bench import measure
from .devices import open_device
from .options import resolve
from .problems import OptionError
from .rehearsal import rehearsal

__all__ = ["bench"]


def bench(
    data: Annotated[str, typer.Option(help="fashion-mnist or digits")] = "fashion-mnist",
    layers: Annotated[str | None, typer.Option(help="neurons of each layer", show_default="the data set's")] = None,
    lanes: Annotated[int, typer.Option(help="multiply-accumulate lanes of the build")] = 32,
    samples: Annotated[int, typer.Option(help="training samples to run")] = 1024,
    batch_size: Annotated[int, typer.Option(help="samples of one weight update")] = 64,
    feedback: Annotated[str | None, typer.Option(help="bp or fbp", show_default="fbp")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd or sign-momentum", show_default="as for train")] = None,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="compile the device for what the samples make it do, as for training "
                                                              "runs of 50,000 samples and more")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Measure the schedule against its ideal, and the simulation against a bare loop, while training."""
    options = resolve({"data": data, "layers": layers, "lanes": lanes, "batch_size": batch_size, "samples": samples,
                       "feedback": feedback, "optimizer": optimizer, "epochs": 1})
    if samples < batch_size:
        raise OptionError(f"--samples {samples}: at least one batch of {batch_size} is needed")
    core = options.core_config()
    task = options.data_set()
    with Console(stderr=True).status("preparing the simulated device") as status, contextlib.ExitStack() as stack:
        played = rehearsal(options, task, always=True) if rehearse else None
        devices = [stack.enter_context(contextlib.closing(open_device(name, core, status=status.update, rehearse=played)))
                   for name in ("simulated", "simulated", "golden")]
        result = measure(options, task, *devices, status.update)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        Console().print(table(result))


def table(result: dict) -> Table:
    """The result for people."""
    out = Table(show_header=False, title=f"{result['data']}, {result['layers']}, {result['lanes']} lanes, "
                                         f"batches of {result['batch_size']}", title_justify="left")
    out.add_column()
    out.add_column(justify="right")
    use = result["lane_utilization"]
    for name, text in (
        ("overlapped sample interval, cycles", f"{result['overlapped_interval_cycles']:,.1f}"),
        ("ideal interval, cycles", f"{result['ideal_interval_cycles']:,.1f}"),
        ("ratio", f"[bold]{result['interval_ratio']:.3f}[/]"),
        ("forward / backward busy cycles per sample",
         f"{result['forward_cycles_per_sample']:,.1f} / {result['backward_cycles_per_sample']:,.1f}"),
        ("update cycles per batch", f"{result['update_cycles_per_batch']:,.0f}"),
        ("transport cycles per transport", f"{result['transport_cycles_per_transport']:,.0f}"),
        ("cycles per sample, update and transport included", f"{result['cycles_per_sample']:,.1f}"),
        ("lane utilisation, forward / backward", f"{use['forward']:.1%} / {use['backward']:.1%}"),
        ("simulated cycles/s through the driver", f"{result['driver_cycles_per_second']:,.0f}"),
        ("simulated cycles/s in a bare loop", f"{result['bare_cycles_per_second']:,.0f}"),
        ("ratio", f"[bold]{result['driver_ratio']:.2f}[/]"),
        ("simulated cycles/s, packets encoded beforehand", f"{result['packets_cycles_per_second']:,.0f}"),
        ("training samples/s, simulated device", f"{result['simulated_samples_per_second']:,.0f}"),
        ("training samples/s, golden device", f"{result['golden_samples_per_second']:,.0f}"),
    ):
        out.add_row(name, text)
    return out
