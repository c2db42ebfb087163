"""Sessions: everything that passed the ports of a golden device, to be played to the core's ports."""

import json
from pathlib import Path

import numpy as np

from coldspike.host import packets
from coldspike.host.driver import Accelerator
from coldspike.host.memories import memory_shapes, write_memories
from coldspike.host.settings import NetworkSettings
from coldspike.host.states import read_states
from coldspike.host.stimuli import random_batch, random_memories, random_settings
from coldspike.model.device import GoldenDevice
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import Readout
from coldspike.spec.packets import Kind, Space, header
from coldspike.spec.registers import register_map

__all__ = ["ERRORS", "TRAINING", "load_session", "write_sessions"]

TRAINING, ERRORS = "training", "errors"


class Recorder:
    """A golden device that notes every access: (name, arguments and result as plain values)."""

    def __init__(self, config: CoreConfig):
        self._device, self.config, self.steps = GoldenDevice(config), config, []
        # The golden device has no clock; whether a core is idle at the moment of a read is not its business either.
        self._unknown = {r.address for r in register_map(config) if "_CYCLES" in r.name}

    def read_register(self, address):
        value = self._device.read_register(address)
        if address not in self._unknown:
            self.steps.append(("read", address, value))
        return value

    def write_register(self, address, value):
        self._device.write_register(address, value)
        self.steps.append(("write", address, value))

    def exchange(self, words, last, results):
        out, ends = self._device.exchange(words, last, results)
        split = [[p.tolist() for p in np.split(w, np.flatnonzero(e) + 1)[:-1]] for w, e in ((words, last), (out, ends))]
        self.steps.append(("exchange", *split))
        return out, ends

    def send(self, *packed: list[int]) -> None:
        """Packets as lists of words."""
        last = np.zeros(sum(map(len, packed)), bool)
        last[np.cumsum([len(p) for p in packed]) - 1] = True
        self.exchange(np.array([w & 0xFFFFFFFF for p in packed for w in p], np.uint32), last, len(packed))


def prepared(recorder: Recorder, layers, readout, rng) -> tuple[Accelerator, NetworkSettings]:
    """A started network with random settings and memories."""
    side = Accelerator(recorder)
    settings = random_settings(rng, recorder.config, layers, interval=2, batch_size=3, readout=readout)
    side.configure(settings)
    write_memories(side, random_memories(rng, recorder.config, memory_shapes(side)))
    return side, settings


def training(config: CoreConfig, layers: tuple[int, ...], readout: Readout, seed: int) -> list:
    """Random batches, after each of which every state is read."""
    recorder, rng = Recorder(config), np.random.default_rng(seed)
    side, settings = prepared(recorder, layers, readout, rng)
    for number in range(3):
        batch = random_batch(rng, config, settings.layers, number, 3)
        samples = packets.encode_samples(batch.times, batch.labels, train=batch.train, fired=batch.fired)
        kinds = [Kind.SAMPLE] * len(batch.labels) + [Kind.UPDATE]
        side.exchange(packets.concatenate(samples, packets.encode_update()), np.array(kinds))
        read_states(side, total_cycles=False)
    return recorder.steps


def errors(config: CoreConfig, layers: tuple[int, ...], seed: int) -> list:
    """Bad packets of every kind between good ones, then every state: nothing may have changed but the counters."""
    recorder, rng = Recorder(config), np.random.default_rng(seed)
    recorder.send([header(Kind.UPDATE), 0])  # not started yet
    side, _ = prepared(recorder, layers, Readout.POTENTIAL, rng)
    inputs, outputs, window = layers[0], layers[-1], config.window
    good = [header(Kind.SAMPLE, 1, 0), 2, 0 | 5 << 16, 1 | window << 16]
    column = [header(Kind.WRITE, Space.WEIGHT, 1), 0, *range(1, inputs + 1)]
    bad = [
        [0, 0], [header(7), 0], [header(Kind.ERROR), 0], [0xFFFFFFFF],                       # unknown kinds
        good[:1], good[:2], good[:-1], [header(Kind.UPDATE)], column[:-1], column[:2],       # too short
        [*good, 0], [header(Kind.UPDATE), 0, 0], [*column, 1], [*good, *range(200)],         # too long
        [header(Kind.SAMPLE), 1, inputs | 3 << 16], [header(Kind.SAMPLE), 1, 0xFFFF],        # index
        [header(Kind.SAMPLE), 1, (window + 1) << 16], [header(Kind.SAMPLE), 1, 0xFFFF << 16],  # time
        [header(Kind.SAMPLE, 1, outputs), 0], [header(Kind.SAMPLE, 1, 0xFFFF), 0],           # label
        [header(Kind.SAMPLE), 2, 1, 0], [header(Kind.SAMPLE), 2, 1, 1],                      # order
        [header(Kind.READ, 15), 0], [header(Kind.READ, Space.WEIGHT, 9), 0],                 # address
        [header(Kind.READ, Space.FEEDBACK, 1), 0], [header(Kind.READ, Space.WEIGHT, 1), layers[1]],
        [header(Kind.WRITE, Space.SLOPE, 1), 0, 1],
    ]
    for packet in bad:  # one by one, then its error is read and cleared
        recorder.send(packet)
        side.status("ERROR")
        side.command(2)
    for n in rng.permutation(len(bad)):  # in a row, between good ones
        recorder.send(bad[n], good, bad[n - 1], [header(Kind.READ, Space.WEIGHT, 1), 0])
    recorder.send(column, [header(Kind.UPDATE), 0])
    for name in ("SEQUENCE", "PACKETS_DROPPED", "SAMPLES_TRAINED"):
        side.read(name)
    side._packets = recorder.read_register(0x18)
    read_states(side, total_cycles=False)
    return recorder.steps


def write_sessions(path: Path, config: CoreConfig, layers: tuple[int, ...], seed: int = 1) -> None:
    """Writes a file of sessions for ``load_session``."""
    sessions = {f"{TRAINING} {readout.name}": training(config, layers, readout, seed) for readout in Readout}
    path.write_text(json.dumps(sessions | {ERRORS: errors(config, layers, seed)}))


def load_session(path: str, name: str) -> list:
    """Steps of one session."""
    return json.loads(Path(path).read_text())[name]
