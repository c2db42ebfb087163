"""Devices and tasks that the host's tests share."""

import numpy as np
import pytest
import torch
from hypothesis import settings

from coldspike.host.data import DataSet, Split, load
from coldspike.host.devices import open_device
from coldspike.host.driver import Accelerator
from coldspike.host.options import resolve
from coldspike.spec.config import CoreConfig
from coldspike.spec.packets import Kind
from coldspike.spec.registers import core_digest, register_map

# Cores are shared with other test processes and long runs: threads would only wait for each other, and a slow example
# is no failure.
torch.set_num_threads(1)
settings.register_profile("coldspike", deadline=None)
settings.load_profile("coldspike")


class ScriptedDevice:
    """Registers that hold what is written, a core that starts at once, and results that a test prescribes."""

    def __init__(self, config: CoreConfig):
        self.config = config
        self.registers = {r.address: r.reset for r in register_map(config)}
        self.addresses = {r.name: r.address for r in register_map(config)}
        self.registers[self.addresses["DIGEST"]] = core_digest(config)
        self.registers[self.addresses["STATUS"]] = 3
        self.results: list[list[int]] = []
        self.sent: list[np.ndarray] = []

    def read_register(self, address):
        return self.registers[address]

    def write_register(self, address, value):
        if address != self.addresses["CONTROL"]:
            self.registers[address] = value
        else:
            running = value & 1 or self.registers[self.addresses["STATUS"]] & 1 and not value & 2
            self.registers[self.addresses["STATUS"]] = 2 | running

    def exchange(self, words, last, results):
        self.sent.append(words)
        packets, self.results = self.results[:results], self.results[results:]
        flat = [word for packet in packets for word in packet]
        ends = [n == len(packet) - 1 for packet in packets for n in range(len(packet))]
        return np.array(flat, np.uint32), np.array(ends, bool)

    def close(self):
        pass


@pytest.fixture
def config() -> CoreConfig:
    return CoreConfig.for_network((5, 4, 3), lanes=2)


@pytest.fixture
def scripted(config) -> ScriptedDevice:
    return ScriptedDevice(config)


@pytest.fixture
def dropped():
    """A result packet that says that packet ``number`` was dropped."""
    return lambda number, code: [int(Kind.ERROR) | int(code) << 8, number]


@pytest.fixture
def small_options():
    """Options of a run that takes a second, on the golden device."""
    def make(**given):
        return resolve({"device": "golden", "layers": "64-12-10", "epochs": 2, "samples": 96, "test_samples": 40,
                        "batch_size": 16, "interval": 4, "lanes": 4, "plot": False, **given})
    return make


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load("digits", 8)


@pytest.fixture
def small_task(digits):
    """The task of ``small_options``."""
    def part(split: Split, count: int) -> Split:
        return split.first(count, "samples")
    return DataSet(name="digits", inputs=64, classes=10, train=part(digits.train, 96), test=part(digits.test, 40))


@pytest.fixture
def accelerator():
    """Opens the golden device for options."""
    return lambda options: Accelerator(open_device("golden", options.core_config()))
