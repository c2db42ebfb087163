"""``coldspike probe``: what is at the other end of a serial port."""

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..spec.registers import VERSION, core_digest, register_map
from .devices import SERIAL, open_serial
from .link import OTHER_RELEASE
from .problems import Interrupted, Problem

__all__ = ["probe"]

ROUNDS = 32  # reads that a round trip is the mean of


def probe(
    port: Annotated[str, typer.Argument(help="serial port, such as /dev/ttyUSB0", show_default=False)],
    baud: Annotated[int | None, typer.Option(help="bits/s of the line", show_default="3000000")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print as JSON")] = False,
) -> None:
    """Say what is at the other end of a serial port. This resets the accelerator: do not probe a board that trains."""
    try:
        facts = collect(port, baud)
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted before the board was known", f"coldspike probe {port}") from stop
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        Console().print(table(facts))
    if facts["register_version"] != VERSION or facts["digest"] != facts["expected_digest"]:
        raise Problem(f"{port}: the board's core is not what this release makes of its configuration: {OTHER_RELEASE}")


def collect(port: str, baud: int | None = None) -> dict:
    """Facts by name. Raises Problem, with one line, when the board cannot be spoken with."""
    device = open_serial(SERIAL + port, **({} if baud is None else {"baud": baud}))
    try:
        addresses = {register.name: register.address for register in register_map(device.config)}
        digest, version = (device.read_register(addresses[name]) for name in ("DIGEST", "VERSION"))
        begin = time.perf_counter()
        for _ in range(ROUNDS):
            device.read_register(addresses["VERSION"])
        seconds = (time.perf_counter() - begin) / ROUNDS
        counts, description = device.link.counts, device.description
        return {
            "port": port, "board": description.board, "clock": description.clock, "baud": description.baud,
            "register_version": version, "digest": f"{digest:08x}", "expected_digest": f"{core_digest(device.config):08x}",
            "core": device.config.as_dict(),
            "round_trip_ms": round(1000 * seconds, 3),
            "frames_sent": counts.sent, "frames_resent": counts.resent, "bad_frames": counts.bad, "bytes_received": counts.bytes,
        }
    except RuntimeError as error:
        raise Problem(str(error)) from error
    finally:
        device.close()


def table(facts: dict) -> Table:
    """The facts for people."""
    core, own = facts["core"], facts["expected_digest"]
    out = Table(show_header=False)
    for name, text in (
        ("board", facts["board"]),
        ("clock", f"{facts['clock'] / 1e6:g} MHz"),
        ("baud", f"{facts['baud']:,}"),
        ("core", f"{facts['digest']}, this release makes {'the same' if facts['digest'] == own else own}"),
        ("register map version", f"{facts['register_version']}, this release has {VERSION}"),
        ("rules", ", ".join(core["rules"])),
        ("lanes", f"{core['lanes']}"),
        ("networks", f"up to {core['max_layers']} weight layers, {core['max_neurons']} neurons a layer, {core['max_outputs']} "
                     f"outputs, {core['weight_tiles'] * core['lanes'] ** 2:,} weights"),
        ("optimizer", core["optimizer"] + ", weight decay" * core["weight_decay"]
         + ", update after every sample" * (not core["gradient_memory"])),
        ("feedback weights", core["feedback_precision"] + ", chosen singly" * core["partial_transport"]),
        ("round trip", f"{facts['round_trip_ms']:.3f} ms"),
        ("frames", f"{facts['frames_sent']} sent, {facts['frames_resent']} of them again; {facts['bad_frames']} bad ones came"),
    ):
        out.add_row(name, escape(text))
    return out
