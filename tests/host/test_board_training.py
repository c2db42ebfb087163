"""Training on a simulated board at the other end of a serial wire: whatever happens to the wire and the host, the same weights."""

import json
import subprocess
import sys
import threading
import time

import pytest

from coldspike.host.cli import main
from coldspike.sim.board import SimulatedBoard
from coldspike.sim.terminal import Terminal
from coldspike.spec.config import CoreConfig
from coldspike.spec.link import BoardFacts

CONFIG = CoreConfig.for_network((64, 8, 10), lanes=4, optimizer="sign-momentum", weight_decay=False)
FACTS = BoardFacts(name="simulated", clock=12_000_000)
RUN = ["--data", "digits", "--layers", "64-8-10", "--samples", "48", "--test-samples", "8", "--epochs", "1", "--batch-size", "8",
       "--no-plot", "--json", "--checkpoint-seconds", "0"]


@pytest.fixture(scope="module")
def board():
    with SimulatedBoard(CONFIG, FACTS) as board:
        yield board


def trained(capfd, port, *more):
    """Weights digest of a run on the board at ``port``."""
    assert main(["train", "--device", f"serial:{port}", *more]) == 0
    return json.loads(capfd.readouterr().out)["weights_digest"]


@pytest.fixture(scope="module")
def digest(board, tmp_path_factory):
    """That of a run that nothing disturbed."""
    room = tmp_path_factory.mktemp("undisturbed")
    with Terminal(board, room / "port"):
        done = subprocess.run([sys.executable, "-c", "import sys; from coldspike.host.cli import main; sys.exit(main())", "train",
                               "--device", f"serial:{room / 'port'}", *RUN, "--out", room / "run"],
                              stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["weights_digest"]


def test_bytes_are_lost_changed_and_doubled(board, digest, tmp_path, capfd):
    with Terminal(board, tmp_path / "port", faults=0.01, seed=3) as terminal:
        assert trained(capfd, tmp_path / "port", *RUN, "--out", str(tmp_path / "run")) == digest
        assert all(wire.broken > 20 for wire in terminal.wires)


def test_cable_is_pulled_in_the_middle(board, digest, tmp_path, capfd):
    pulled = []
    with Terminal(board, tmp_path / "port") as terminal:
        begin = board.cycles

        def pull():
            for cycles in (300_000, 600_000):
                while board.cycles < begin + cycles:
                    time.sleep(0.01)
                terminal.unplug()
                pulled.append(board.cycles - begin)
                time.sleep(0.3)
                terminal.plug()

        hand = threading.Thread(target=pull, daemon=True)
        hand.start()
        assert trained(capfd, tmp_path / "port", *RUN, "--out", str(tmp_path / "run")) == digest
        end = board.cycles - begin
        hand.join(10)
    assert len(pulled) == 2 and pulled[1] < end


def test_host_is_killed_and_started_again(board, digest, tmp_path, capfd):
    run = tmp_path / "run"
    with Terminal(board, tmp_path / "port"):
        host = subprocess.Popen([sys.executable, "-c", "import sys; from coldspike.host.cli import main; sys.exit(main())", "train",
                                 "--device", f"serial:{tmp_path / 'port'}", *RUN, "--out", run], stdout=subprocess.DEVNULL)
        while not (run / "checkpoint.safetensors").exists() and host.poll() is None:
            time.sleep(0.01)
        host.kill()
        assert host.wait() == -9, "it was over before it could be killed"
        assert trained(capfd, tmp_path / "port", "--resume", str(run), "--json") == digest
