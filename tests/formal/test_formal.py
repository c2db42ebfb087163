"""The cheap parts of formal verification; ``make formal`` runs the whole."""

import ast
from collections import Counter
from dataclasses import replace

import pytest

from tests.faulty import mutated

from . import run
from .catalogue import PROOFS
from .structure import Netlist

FAULTS = [pytest.param(proof, fault, id=f"{proof.name}-{fault.name}") for proof in PROOFS.values() for fault in proof.faults]
ROOM = run.ROOM / "pytest"  # not where 'make formal' works, which may be running
needs_tools = pytest.mark.skipif(run.missing_tools() is not None, reason=str(run.missing_tools()))

PROVEN_STREAMS = {
    "hw/backward/feed.py", "hw/control/sequencer.py", "hw/core.py", "hw/io/memory_access.py", "hw/io/packet_decoder.py",
    "hw/io/result_queue.py", "hw/io/stream_buffer.py", "hw/io/stream_register.py", "hw/memory/packet_fifo.py",
    "hw/link/frame_sender.py", "hw/link/replay_queue.py", "hw/link/reply_writer.py", "hw/link/serial_link.py",
    "hw/readout/softmax.py",
}
"""Files with a stream output whose rule has a proof; serial_link.py has those of a frame sender and a replay queue."""


@pytest.mark.parametrize("proof", PROOFS.values(), ids=lambda proof: proof.name)
def test_every_proof_has_a_broken_variant(proof):
    assert proof.faults and proof.mode in ("prove", "bmc", "structure")
    assert max(Counter(fault.name for fault in proof.faults).values()) == 1


@pytest.mark.parametrize("proof, fault", FAULTS)
def test_a_fault_fits_the_sources(proof, fault):
    before, after = (run.SOURCES / fault.file).read_text(), mutated(fault, run.SOURCES)
    compile(after, fault.file, "exec")
    assert sum(a != b for a, b in zip(before.splitlines(), after.splitlines(), strict=True)) == 1


def test_every_file_with_a_stream_output_has_a_proof():
    found = set()
    for path in (run.SOURCES / "hw").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node).startswith("Out(stream.Signature("):
                found.add(str(path.relative_to(run.SOURCES)))
    assert found == PROVEN_STREAMS


def test_the_walk_stops_at_registers_only():
    directions = {"A": "input", "B": "input", "D": "input", "C": "input", "Y": "output", "Q": "output"}

    def cell(kind, **bits):
        return {"type": kind, "parameters": {}, "connections": {pin: [bit] for pin, bit in bits.items()},
                "port_directions": {pin: directions[pin] for pin in bits}}

    cells = {"and": cell("$_AND_", A=1, B=2, Y=3), "not": cell("$_NOT_", A=3, Y=4), "register": cell("$_DFF_P_", D=4, C=5, Q=6)}
    net = Netlist({"ports": {}, "netnames": {}, "cells": cells})
    assert net.cone([4]) == {1, 2, 3, 4}
    assert net.cone([6]) == {6}
    with pytest.raises(ValueError, match="not known"):
        Netlist({"ports": {}, "netnames": {}, "cells": {"latch": cell("$_DLATCH_P_", D=1, Q=2)}})


@needs_tools
def test_no_valid_waits_for_a_ready():
    outcome = run.prove(PROOFS["valid-before-ready"], room=ROOM)
    assert outcome.verdict == run.HOLDS, outcome.detail


@needs_tools
def test_a_proof_holds_and_its_broken_variant_fails():
    proof = PROOFS["stream-register"]
    sound, broken = run.prove(proof, room=ROOM), run.prove(proof, proof.faults[0], room=ROOM)
    assert sound.verdict == run.HOLDS, sound.detail
    assert broken.verdict == run.FAILS, broken.detail
    trace = broken.detail.rpartition("trace ")[2]
    assert (run.SOURCES / trace).read_text().startswith("$")


@needs_tools
def test_a_fault_that_breaks_the_sources_is_no_counterexample():
    proof = PROOFS["stream-register"]
    nonsense = replace(proof.faults[0], new="self.i.ready.eq(no_such_name)")
    assert run.prove(proof, nonsense, room=ROOM).verdict == run.UNKNOWN


def test_unknown_names_are_an_error(capsys):
    with pytest.raises(SystemExit):
        run.main(["--only", "no-such-proof"])
    assert "no-such-proof" in capsys.readouterr().err


def test_the_list_names_every_proof(capsys):
    assert run.main(["--list"]) == 0
    text = capsys.readouterr().out
    assert all(f"{proof.name} ({proof.mode})" in text for proof in PROOFS.values())
