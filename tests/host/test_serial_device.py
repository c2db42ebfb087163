"""The serial device at a pseudo-terminal, with a model of the board behind it (board_model.py)."""

import dataclasses
import fcntl
import json
import struct
import sys
import termios
import time
import zlib

import numpy as np
import pytest

pytest.importorskip("serial")
import serial

from coldspike.host import serial_device
from coldspike.host.board import build_options, differences, fitting_layers
from coldspike.host.cli import main
from coldspike.host.data import load
from coldspike.host.device import Device
from coldspike.host.devices import open_device, open_serial
from coldspike.host.driver import Accelerator
from coldspike.host.initial import initial_memories
from coldspike.host.memories import read_memories, write_memories
from coldspike.host.options import resolve, resume
from coldspike.host.pace import Times
from coldspike.host.problems import DriverError, OptionError, Problem
from coldspike.host.serial_device import Description, SerialDevice
from coldspike.host.settings import NetworkSettings
from coldspike.model.device import GoldenDevice
from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.registers import VERSION

from .board_model import HELLO, Board, Served, description

SOON = Times(first=0.05, floor=0.005, opening=0.6, silence=1.0, progress=1.0, patience=1.0, again=0.02)
LARGER = CoreConfig.for_network((64, 22, 10), lanes=4, optimizer=Optimizer.SIGN_MOMENTUM, weight_decay=False)
"""A board's build, larger than the networks that run on it."""


@pytest.fixture
def port(tmp_path):
    return tmp_path / "port"


@pytest.fixture
def undisturbed(config):
    return learn(GoldenDevice(config))


def learn(device):
    """What a device's memories hold after some batches."""
    unit, random = Accelerator(device), np.random.default_rng(5)
    unit.configure(NetworkSettings(layers=(5, 4, 3), learning_rates=(0.25,), batch_size=3))
    write_memories(unit, initial_memories(unit, 3))
    for _ in range(4):
        unit.train(random.integers(0, 257, (6, 5)), random.integers(0, 3, 6), batch_size=3)
    assert unit.read("PACKETS_DROPPED") == 0
    return read_memories(unit)


def opened(port, **more):
    return SerialDevice(str(port), times=SOON, **more)


def same(one, two):
    return all(np.array_equal(one[name], two[name]) for name in one | two)


def once(board, device):
    """Whether each request was carried out once."""
    return sum(board.carried.values()) - board.carried[HELLO] == device.link.counts.requests - 1


@pytest.mark.parametrize("faults", [0.0, 0.004])
def test_a_board_learns_what_the_golden_device_does(config, port, undisturbed, faults):
    board = Board(config)
    with Served(board, port, faults):
        device = opened(port)
        assert device.config == config and (device.description.board, device.description.clock) == ("model", 50_000_000)
        assert same(learn(device), undisturbed) and once(board, device)
        assert isinstance(device, Device) and (device.link.counts.resent > 0) >= (device.link.counts.bad > 0) == (faults > 0)
        device.close()
        device.close()
        with pytest.raises(RuntimeError, match="^the serial port is closed; open the device anew$"):
            device.read_register(0)


def pulled(served, data, seconds=0.1, carried=False):
    """The cable is pulled before or after a request is carried out, and plugged in later, as another terminal."""
    if carried:
        served.board.feed(data)
    served.pull()
    time.sleep(seconds)
    served.plug_in()
    return True


@pytest.mark.parametrize("carried", [False, True])
def test_a_cable_that_is_pulled_and_plugged_in(config, port, undisturbed, carried):
    board = Board(config)
    event = lambda served, data: pulled(served, data, carried=carried)  # noqa: E731
    with Served(board, port, events={20: event, 170: event, 180: event}):
        device = opened(port)
        assert same(learn(device), undisturbed) and once(board, device)
        assert device.link.counts.reopened >= 3 and board.repeated >= carried
        device.close()


def test_a_cable_that_stays_out(config, port):
    with Served(Board(config), port, events={150: lambda served, data: pulled(served, data, 1.5)}):
        device = opened(port)
        with pytest.raises(DriverError, match=r"port: the connection broke and did not come back within 1 s \(.*\): check"):
            learn(device)
        device.close()


def test_a_port_that_could_not_be_opened_anew_is_tried_again(config, port):
    """After the cable was out for too long: the next call opens the port, or says why not."""
    with Served(Board(config), port) as served:
        device = opened(port)
        served.events[served.frames + 1] = lambda served, data: pulled(served, data, 1.4, carried=True)
        with pytest.raises(RuntimeError, match="the connection broke and did not come back within 1 s"):
            device.read_register(4)
        with pytest.raises(OSError, match="the port is closed"):
            device._wire.read()
        assert device.read_register(4) == VERSION and device.link.counts.reopened == 1
        device.close()


def excluded(served):
    """Whether nobody else may open the port."""
    mark = fcntl.ioctl(served.slave, getattr(termios, "TIOCGEXCL", 0x80045440), struct.pack("i", 0))
    return struct.unpack("i", mark)[0] != 0


@pytest.mark.skipif(sys.platform != "linux", reason="the mark can be asked for on Linux alone")
def test_a_port_is_for_one_process_alone(config, port, monkeypatch):
    with Served(Board(config), port) as served:
        opened(port).close()
        assert not excluded(served)  # a pseudo-terminal, which would keep the mark of a killed host
        monkeypatch.setattr(serial_device, "PSEUDO", "/elsewhere/")
        device = opened(port)
        assert excluded(served)
        device.close()


def test_a_board_that_is_switched_off_and_on(config, port):
    with Served(Board(config), port, events={170: lambda served, data: served.board.power_up()}):
        device = opened(port)
        with pytest.raises(DriverError, match=r"the board was reset and has lost its network \(status CLOSED\); .* --resume DIR$"):
            learn(device)
        device.close()


def test_a_host_that_was_killed_is_forgotten(config, port, undisturbed):
    """In the midst of a packet, then in the midst of a frame."""
    board = Board(config)
    with Served(board, port):
        device = opened(port)
        Accelerator(device).configure(NetworkSettings(layers=(5, 4, 3), learning_rates=(0.25,)))
        device.link._exchange(np.zeros(3, np.uint32), np.zeros(3, bool))
        device._wire.write(b"\x7e\x01\x04\x7d")
        device.close()
        device = opened(port)
        assert same(learn(device), undisturbed) and board.carried[HELLO] == 2
        device.close()


def test_silence_is_an_error(config, port):
    with Served(None, port):
        with pytest.raises(RuntimeError, match=r"port: no answer within 0\.6 s: 0 bytes and 0 bad frames came; check cable, power"):
            opened(port)
    served = Served(Board(config), port, events={150: lambda served, data: setattr(served, "board", None)})
    with served:
        device = opened(port)
        with pytest.raises(DriverError, match=r"port: no answer within 1 s: 0 bytes"):
            learn(device)
        device.close()


# -- ports and boards that will not do -----------------------------------------------------------------
def test_ports_that_cannot_be_opened(config, port, monkeypatch):
    with pytest.raises(OptionError, match=r"^serial port \S+port is not there: connect the board"):
        open_serial(f"serial:{port}")
    port.write_text("")
    with pytest.raises(OptionError, match=r"port cannot be opened as a serial port with 9600 baud \(.*\): name another port, or"):
        open_serial(f"serial:{port}@9600")
    port.unlink()
    with pytest.raises(OptionError, match=r"port with 0 baud: 1 or more are needed \(serial:\S+port@BAUD; of probe: --baud\)$"):
        open_serial(f"serial:{port}@0")
    with Served(Board(config), port):
        device = opened(port)
        with pytest.raises(OptionError, match=r"^serial port \S+port is busy: end the program"):
            open_serial(f"serial:{port}")
        device.close()

    def denied(*_, **__):
        raise serial.SerialException(13, "could not open port")
    monkeypatch.setattr(serial, "Serial", denied)
    with pytest.raises(OptionError, match=r"may not be opened: join its group \(sudo usermod -aG dialout \$USER\)"):
        open_serial("serial:here")


def test_pyserial_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    monkeypatch.delitem(sys.modules, "coldspike.host.serial_device")
    with pytest.raises(Problem, match=r"^device serial:x: serial ports need pyserial; run 'make setup', or 'pip install"):
        open_serial("serial:x")


CONFIG = CoreConfig.for_network((5, 4, 3), lanes=2)


@pytest.mark.parametrize("text, message", [
    (b"garbage", "incorrect header"), (description(CONFIG)[:-9], "its end is missing"), (zlib.compress(b"{"), "Expecting property"),
    (zlib.compress(b"[]"), "list indices"), (zlib.compress(b"{}"), "'board' is missing"),
    (description(CONFIG, clock="fast"), "board, clock or baud is of another type"),
    (description(CONFIG, core=[]), "a configuration is an object"),
    (description(CONFIG, core=CONFIG.as_dict() | {"colour": 1}), "another release's configuration, it differs in colour"),
    (description(CONFIG, core={k: v for k, v in CONFIG.as_dict().items() if k != "rules"}), "it differs in rules"),
    (description(CONFIG, core=CONFIG.as_dict() | {"lanes": 3}), "lanes = 3: the lane count"),
])
def test_a_description_of_another_release_is_one_line(text, message):
    with pytest.raises(ValueError, match=message) as error:
        Description.of(text)
    assert "\n" not in str(error.value)


def test_boards_that_will_not_do(config, port):
    with Served(Board(config, text=b"garbage"), port):
        with pytest.raises(Problem, match=r"port: the board's description cannot be read \(.*\): load a bitstream"):
            opened(port)
    with Served(Board(config, text=b""), port):
        with pytest.raises(RuntimeError, match="the board's description has 0 bytes"):
            opened(port)
    with Served(Board(config), port):
        with pytest.raises(Problem, match="port: the board has another build: lanes is 2, not 4, time_bits is 8, not 6; configure"):
            open_device(f"serial:{port}", dataclasses.replace(config, lanes=4, time_bits=6))
        open_device(f"serial:{port}", config).close()
        with pytest.raises(OptionError, match="a board knows neither"):
            open_device(f"serial:{port}", config, stall=0.5)


# -- options -------------------------------------------------------------------------------------------
def test_a_board_decides_the_build():
    options = resolve({"device": "serial:x", "samples": 64}, core=LARGER)
    assert options.core_config() == LARGER and options.layers == (64, 20, 10) and options.lanes == 4
    both = dataclasses.replace(LARGER, rules=("rate", "sparse-bptt"), max_steps=7, spike_entries=900)
    options = resolve({"device": "serial:x"}, core=both)
    assert (options.rule, options.rules, options.timesteps) == ("sparse-bptt", "sparse-bptt,rate", 7)
    assert (options.spike_entries, options.job_entries) == (900, both.job_entries) and options.core_config() == both
    options = resolve({"device": "serial:x", "rule": "rate", "layers": "64-9-10"}, core=both)
    assert (options.max_steps, options.layers) == (7, (64, 9, 10)) and options.core_config() == both
    small = resolve({"layers": "64-20-10"})
    assert dataclasses.replace(small, core=LARGER).core_config() == LARGER != small.core_config()


@pytest.mark.parametrize("given, message", [
    ({"lanes": 8}, r"^--lanes 8: the board has 4; leave the option out, or configure the board with another build$"),
    ({"weight_fraction": 11}, "^--weight-fraction 11: the board has 12;"),
    ({"optimizer": "sgd"}, "^--optimizer sgd: the board has sign-momentum;"),
    ({"rule": "rate"}, "^--rule rate: the board has ttfs;"),
    ({"gradient_memory": False}, "^--gradient-memory False: the board has True;"),
    ({"feedback_precision": "8-bit"}, "^--feedback-precision 8-bit: the board has full;"),
    ({"rules": "ttfs,rate"}, "^--rules ttfs,rate: the board has ttfs;"),
    ({"weight_decay": 0.5}, "^weight decay 0.5: this build cannot"),
    ({"transport": "random", "probability": "0.5"}, "^--transport random: this build cannot choose single weights"),
    ({"layers": "64-24-10"}, "^network 64-24-10 needs .*, this build has .*; use fewer or smaller layers"),
    ({"data": "fashion-mnist"}, "^network 784-256-10 needs 784 neurons in the largest layer, this build has 64;"),
])
def test_what_a_board_contradicts_is_refused_by_name(given, message):
    with pytest.raises(OptionError, match=message):
        resolve({"device": "serial:x", **given}, core=LARGER).core_config()


@pytest.mark.parametrize("given, message", [
    ({"schedule": "multi-step"}, "^--schedule multi-step: the board has single-step;"),
    ({"max_steps": 9}, "^--max-steps 9: the board has 7;"), ({"spike_entries": 9}, "^--spike-entries 9: the board has 2048;"),
    ({"timesteps": 9}, "^--max-steps 7: at least --timesteps 9|steps = 9: this build has 1 to 7$"),
])
def test_a_board_of_rule_rate(given, message):
    core = dataclasses.replace(LARGER, rules=("rate",), max_steps=7)
    assert build_options({}, core)["rule"] == "rate"
    with pytest.raises(OptionError, match=message):
        resolve({"device": "serial:x", **given}, core=core).core_config()


def test_the_default_network_is_cut_to_the_board():
    assert fitting_layers((64, 22, 10), LARGER) == (64, 22, 10) and fitting_layers((64, 23, 10), LARGER) == (64, 20, 10)
    assert fitting_layers((784, 256, 10), LARGER) == (784, 256, 10) and fitting_layers((64, 10), LARGER) == (64, 10)
    assert fitting_layers((64, 4, 30, 10), dataclasses.replace(LARGER, max_layers=3)) == (64, 4, 16, 10)
    assert differences({"a": 1, "b": 2}, {"a": 1, "c": 3}) == "c is 3, not None, b is None, not 2"


def test_a_run_goes_on_at_another_port():
    stored = resolve({"device": "serial:x"}, core=LARGER).plain()
    assert resume(stored, {"device": "serial:y"}).device == "serial:y"
    with pytest.raises(OptionError, match="^--device golden: this run began with serial:x"):
        resume(stored, {"device": "golden"})


@pytest.mark.parametrize("device", ["serial", "serial:", "tty"])
def test_names_that_are_no_ports(device):
    with pytest.raises(OptionError, match=r" is unknown; choose one of: simulated, golden, serial:PORT$"):
        resolve({"device": device})


def test_the_command_trains_on_a_board_and_continues(port, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    load("digits", 8)
    short = ["--samples", "40", "--test-samples", "10", "--json", "--no-plot"]

    def run(*arguments):
        capsys.readouterr()
        code = main(["train", *arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if code == 0 else err

    with Served(Board(LARGER, room=512, burst=256, pace=512), port):
        on_board = run("--device", f"serial:{port}", "--epochs", "1", "--out", "run", *short)[1]
    assert (on_board["layers"], on_board["lanes"], on_board["core"]) == ([64, 20, 10], 4, LARGER.as_dict())
    other = tmp_path / "other"
    with Served(Board(LARGER, room=512, burst=256, pace=512), other):
        assert run("--resume", "run", "--lanes", "8")[1].startswith("coldspike: --lanes 8: this run began with 4;")
        resumed = run("--resume", "run", "--epochs", "2", "--device", f"serial:{other}@115200", "--json")[1]
    whole = run("--device", "golden", "--layers", "64-20-10", "--lanes", "4", "--epochs", "2", "--out", "whole", *short)[1]
    assert resumed["weights_digest"] == whole["weights_digest"] != on_board["weights_digest"]
    assert resumed["device"] == f"serial:{other}@115200" and resumed["test_accuracy"] == whole["test_accuracy"]
    for name in ("SAMPLES_TRAINED", "UPDATES", "EVENTS_1", "PACKETS_DROPPED"):
        assert resumed["counters"][name] == whole["counters"][name]
    with Served(Board(dataclasses.replace(LARGER, max_outputs=11)), port):
        code, err = run("--resume", "run", "--epochs", "3", "--device", f"serial:{port}")
    assert code == 1 and "belongs to another build than the board's: max_outputs is 11, not 10; configure" in err
    code, err = run("--device", f"serial:{port}")
    assert code == 2 and err.endswith("is not there: connect the board, or name another port\n") and err.count("\n") == 1
