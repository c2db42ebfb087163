"""``coldspike board`` as a person uses it: one process serves, this one trains on it."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("serial")

from coldspike.host.cli import main
from coldspike.host.devices import serve_board
from coldspike.host.problems import OptionError
from coldspike.sim.terminal import Terminal
from coldspike.spec.config import CoreConfig

CONFIG = CoreConfig.for_network((64, 8, 10), lanes=4, optimizer="sign-momentum", weight_decay=False)
RUN = ["train", "--data", "digits", "--layers", "64-8-10", "--samples", "16", "--test-samples", "8", "--epochs", "1",
       "--batch-size", "8", "--lanes", "4", "--no-plot", "--json"]


@pytest.fixture
def build(tmp_path):
    path = tmp_path / "coldspike.json"
    path.write_text(json.dumps({"configuration": CONFIG.as_dict()}))
    return path


@contextlib.contextmanager
def serving(*arguments):
    process = subprocess.Popen([sys.executable, "-c", "import sys; from coldspike.host.cli import main; sys.exit(main())", "board",
                                *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("a board serves at ")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def trained(capfd, *more):
    assert main([*RUN, *map(str, more)]) == 0
    return json.loads(capfd.readouterr().out)["weights_digest"]


def test_a_network_trains_on_the_served_board(build, tmp_path, capfd):
    port = tmp_path / "port"
    with serving(port, "--build", build, "--faults", "0.002", "--seed", "5") as process:
        assert main(["probe", str(port), "--json"]) == 0
        facts = json.loads(capfd.readouterr().out)
        assert (facts["board"], facts["clock"], facts["core"]) == ("simulated", 12_000_000, CONFIG.as_dict())
        digest = trained(capfd, "--device", f"serial:{port}", "--out", tmp_path / "board")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        cycles, broken = (int(part.split()[0].replace(",", "")) for part in process.stdout.read().split(", ") if part)
        assert cycles > 100_000 and broken > 10
    assert not port.is_symlink()
    assert digest == trained(capfd, "--device", "golden", "--out", tmp_path / "golden")


@pytest.mark.parametrize(("arguments", "line"), [
    (["--clock", "11999999"], "--clock 11999999: 3,000,000 baud need at least 12000000"),
    (["--faults", "1"], "--faults 1.0: a probability from 0 to below 1 is needed"),
    (["--build", "none.json"], "--build none.json: cannot be read (No such file or directory)"),
])
def test_refusals(arguments, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["board", "port", *arguments]) == 2
    assert capsys.readouterr().err == f"coldspike: {line}\n"
    assert not (tmp_path / "port").is_symlink()


@pytest.mark.parametrize(("text", "why"), [
    ("{", "Expecting property name"), ("[]", "it has no configuration"), ('{"configuration": []}', "a configuration is an object"),
    ('{"configuration": {}}', "another release's configuration, it differs in "),
    (json.dumps({"configuration": CONFIG.as_dict() | {"lanes": 3}}), "lanes = 3"),
    (json.dumps({"configuration": CONFIG.as_dict() | {"lanes": None}}), "no description of a build"),
])
def test_descriptions_that_are_none(text, why, tmp_path, capsys):
    path = tmp_path / "odd.json"
    path.write_text(text)
    assert main(["board", str(tmp_path / "port"), "--build", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"coldspike: --build {path}: no description of a build of this release (") and why in error
    assert error.endswith("write one with 'coldspike generate'\n") and error.count("\n") == 1


def test_what_is_no_port_is_not_replaced(build, tmp_path, capsys):
    port = tmp_path / "precious"
    port.write_text("data")
    assert main(["board", str(port), "--build", str(build)]) == 2
    assert port.read_text() == "data"
    assert "is there already and is no serial port of a simulated board; name another" in capsys.readouterr().err


class Silent:
    def run(self, data, cycles):
        return b""


def test_a_port_that_is_served_is_left_alone(tmp_path):
    port = tmp_path / "port"
    with Terminal(Silent(), port):
        target = os.readlink(port)
        with pytest.raises(OptionError, match=rf"^{port} leads to {target}, which is in use: end the board that serves there, "), \
             serve_board(port, CONFIG, clock=12_000_000):
            pass
        with pytest.raises(FileExistsError) as error:
            Terminal(Silent(), port)
        assert os.readlink(port) == target and error.value.filename == str(port)
    assert not port.is_symlink()


def test_a_link_is_removed_by_whom_it_belongs_to(tmp_path):
    port = tmp_path / "port"
    port.symlink_to("/dev/pts/none")  # of a board that was killed
    with Terminal(Silent(), port) as terminal:
        assert os.readlink(port) != "/dev/pts/none"
        terminal.unplug()
        terminal.plug()
        port.unlink()
        port.symlink_to("another")
    assert os.readlink(port) == "another"


def test_a_folder_that_is_missing_is_named(build, tmp_path, capsys):
    port = tmp_path / "none" / "port"
    assert main(["board", str(port), "--build", str(build)]) == 2
    assert capsys.readouterr().err == f"coldspike: {port}: there is no folder {port.parent}; make it, or name another place\n"
    with pytest.raises(FileNotFoundError) as error:
        Terminal(None, port)
    assert error.value.filename == str(port)
