import json
import time

import pytest

pytest.importorskip("serial")

from coldspike.host import serial_device
from coldspike.host.cli import main
from coldspike.host.pace import Times
from coldspike.spec.registers import VERSION, core_digest

from .board_model import Board, Served, description


@pytest.fixture
def port(tmp_path):
    return tmp_path / "port"


@pytest.fixture
def run(capsys, monkeypatch, port):
    """Probes the port; exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "150")
    made, times = serial_device.SerialDevice, Times(opening=0.5, patience=0.5)
    monkeypatch.setattr(serial_device, "SerialDevice", lambda *names, **more: made(*names, times=times, **more))

    def run(*arguments):
        capsys.readouterr()
        code = main(["probe", str(port), *arguments])
        return code, *capsys.readouterr()
    return run


def test_a_board_is_shown(config, port, run):
    with Served(Board(config), port):
        code, out, err = run()
    assert code == 0 and not err
    for text in ("model", "50 MHz", f"{core_digest(config):08x}, this release makes the same",
                 f"{VERSION}, this release has {VERSION}", "ttfs", "sgd",
                 "up to 2 weight layers, 5 neurons a layer, 3 outputs, 40 weights", " ms", "of them again; 0 bad"):
        assert text in out


def test_a_board_is_shown_to_programs(config, port, run):
    with Served(Board(config), port):
        code, out, _ = run("--json", "--baud", "115200")
    facts = json.loads(out)
    assert code == 0 and facts["core"] == config.as_dict() and facts["digest"] == facts["expected_digest"]
    assert facts["round_trip_ms"] > 0 == facts["bad_frames"] and facts["baud"] == 3_000_000
    assert facts["frames_sent"] - facts["frames_resent"] > 100 and facts["bytes_received"] > 1000


def test_a_core_of_another_release_is_shown_and_refused(config, port, run):
    board = Board(config, text=description(config, core=config.as_dict() | {"time_bits": 9}))
    with Served(board, port):
        code, out, err = run()
    assert code == 1 and f"{core_digest(config):08x}, this release makes " in out
    assert err.endswith("the board's core is not what this release makes of its configuration: load a bitstream of this release\n")


class Babble:
    def feed(self, data):
        return b"\x7e\x00\xff\x7e" * 3


@pytest.mark.parametrize("board, line", [
    (None, "no answer within 0.5 s: 0 bytes and 0 bad frames came; check cable, power and the board's bitstream"),
    (Babble(), "is 3000000 the board's baud?"),
    ("version", "the board speaks version 9 of the link, this release 1: load a bitstream"),
])
def test_why_nobody_can_be_spoken_with_is_one_line(config, port, run, board, line):
    with Served(Board(config, version=9) if board == "version" else board, port):
        code, out, err = run()
    assert code == 1 and not out and err.startswith("coldspike: ") and line in err and err.count("\n") == 1


def test_a_port_that_is_missing_is_named(port, run):
    code, _, err = run()
    assert code == 2 and err == f"coldspike: serial port {port} is not there: connect the board, or name another port\n"


@pytest.mark.parametrize("baud", ["0", "-9"])
def test_a_baud_that_is_none_is_one_line(config, port, run, baud):
    with Served(Board(config), port):
        code, out, err = run("--baud", baud)
    assert code == 2 and not out and err.startswith(f"coldspike: {port} with {baud} baud: 1 or more are needed")
    assert err.count("\n") == 1


def test_a_cable_that_is_pulled_is_no_run_to_resume(config, port, run):
    def pulled(served, data):
        served.pull()
        time.sleep(1)
        served.plug_in()
        return True
    with Served(Board(config), port, events={9: pulled}):
        code, out, err = run()
    assert code == 1 and not out and "the connection broke and did not come back within 0.5 s" in err and "check cable" in err
    assert "resume" not in err and err.count("\n") == 1


def test_an_interrupt_is_said(config, port, run, monkeypatch):
    def interrupted(wire):
        raise KeyboardInterrupt
    monkeypatch.setattr(serial_device.SerialWire, "read", interrupted)
    with Served(Board(config), port):
        code, out, err = run()
    assert (code, out) == (130, "")
    assert err == f"coldspike: interrupted before the board was known; continue with: coldspike probe {port}\n"


def test_the_help_warns(capsys):
    main(["probe", "--help"])
    assert "resets the accelerator" in " ".join(capsys.readouterr().out.split())
