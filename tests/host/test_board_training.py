"""Training on a simulated board at the other end of a serial wire: whatever happens to the wire and the host, the same weights."""

import json
import subprocess
import sys
import threading
import time

import pytest

from coldspike.host.checkpoint import load_checkpoint
from coldspike.host.cli import main
from coldspike.host.driver import Accelerator
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


def wait_for(reached, seconds=120):
    """Until something is true; false if it is not in time."""
    end = time.monotonic() + seconds
    while not reached() and time.monotonic() < end:
        time.sleep(0.002)
    return reached()


def test_cable_is_pulled_in_the_midst_of_training(board, digest, tmp_path, capfd, monkeypatch):
    """Twice while the samples' packets and results pass, in the midst of whatever byte."""
    made, links, pulled, ended = Accelerator.train, [], [], []
    with Terminal(board, tmp_path / "port") as terminal:

        def pull():
            for reopened in (0, 1):
                assert wait_for(lambda: links and links[0].counts.reopened == reopened)  # noqa: B023
                begin = board.cycles
                assert wait_for(lambda: board.cycles > begin + 60_000)  # noqa: B023
                terminal.unplug()
                pulled.append(board.cycles)
                time.sleep(0.3)
                terminal.plug()

        def train(accelerator, *samples, **more):
            begin = board.cycles
            links.append(accelerator.device.link)
            results = made(accelerator, *samples, **more)
            ended.append((begin, board.cycles))
            return results

        monkeypatch.setattr(Accelerator, "train", train)
        hand = threading.Thread(target=pull, daemon=True)
        hand.start()
        assert trained(capfd, tmp_path / "port", *RUN, "--out", str(tmp_path / "run")) == digest
        hand.join(10)
    (begin, end), = ended
    assert len(pulled) == 2 and all(begin < cycle < end for cycle in pulled) and links[0].counts.reopened >= 2


HOST = """
import sys
from coldspike.host.cli import main
from coldspike.host.driver import Accelerator

made = Accelerator.train

def train(*samples, **more):
    print("begun", flush=True)
    results = made(*samples, **more)
    print("ended", flush=True)
    return results

Accelerator.train = train
sys.exit(main())
"""


def test_host_is_killed_in_the_midst_of_training_and_started_again(board, tmp_path, capfd, monkeypatch):
    """In the second of two epochs, each one exchange; the checkpoint is of the first."""
    run, twice = tmp_path / "run", [*RUN, "--epochs", "2"]
    made, samples = Accelerator.train, []

    def train(accelerator, inputs, labels, **more):
        samples.append(len(labels))
        return made(accelerator, inputs, labels, **more)

    with Terminal(board, tmp_path / "port"):
        host = subprocess.Popen([sys.executable, "-c", HOST, "train", "--device", f"serial:{tmp_path / 'port'}", *twice,
                                 "--out", run], stdout=subprocess.PIPE, text=True)
        with host.stdout as said:
            assert [said.readline() for _ in range(3)] == ["begun\n", "ended\n", "begun\n"]
            begin = board.cycles
            assert wait_for(lambda: board.cycles > begin + 60_000)
            host.kill()
            assert (host.wait(), said.read()) == (-9, ""), "training was over before the host could be killed"
        state = load_checkpoint(run).facts["state"]
        assert (state["epoch"], state["batch"], state["run_counters"]["SAMPLES_TRAINED"]) == (1, 0, 48)
        monkeypatch.setattr(Accelerator, "train", train)
        resumed = trained(capfd, tmp_path / "port", "--resume", str(run), "--json")
    assert samples == [48]
    assert main(["train", "--device", "golden", "--lanes", "4", *twice, "--out", str(tmp_path / "whole")]) == 0
    assert samples == [48, 48, 48] and resumed == json.loads(capfd.readouterr().out)["weights_digest"]
