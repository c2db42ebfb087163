"""The driver: settings, memories, batches and counters of an accelerator, the same on every device."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..spec.config import Rule
from ..spec.errors import REMEDIES
from ..spec.packets import Kind, Space
from ..spec.registers import VERSION, Control, core_digest, counters, register_map
from . import packets
from .device import Device
from .packets import SampleResults, Stream
from .problems import DriverError
from .settings import NetworkSettings

__all__ = ["Accelerator"]

Samples = np.ndarray | list[np.ndarray]

POLLS = 100_000        # reads of STATUS before the driver gives up on a change
CHUNK_SAMPLES = 256    # inference samples per exchange: keeps stream buffers small and Ctrl-C prompt
CHUNK_COLUMNS = 1024   # memory columns per exchange


@contextlib.contextmanager
def device_failures() -> Iterator[None]:
    """A device that does not answer is an expected failure."""
    try:
        yield
    except RuntimeError as error:
        raise DriverError(f"the device failed: {error}") from error


class Accelerator:
    """An accelerator behind a device: the object that trains.

    Parameters
    ----------
    device : any ``Device``; it stays the caller's to close.

    Raises
    ------
    DriverError : the device's register map or build is not the one that ``device.config`` describes.
    """

    def __init__(self, device: Device):
        self.device = device
        self.config = device.config
        self.settings: NetworkSettings | None = None
        registers = register_map(self.config)
        self._addresses = {register.name: register.address for register in registers}
        self._fields = {(register.name, field.name): field for register in registers for field in register.fields}
        self._packets = 0  # sent since start: the next packet's sequence number
        version, digest, expected = self.read("VERSION"), self.read("DIGEST"), core_digest(self.config)
        if version != VERSION:
            raise DriverError(f"the device has register map version {version}, this driver speaks {VERSION}; "
                              "generate the core again with this release")
        if digest != expected:
            raise DriverError(f"the device's digest is {digest:08x}, this configuration's {expected:08x}: "
                              "it was built for another configuration; generate the core again")

    # -- registers ---------------------------------------------------------------------------------
    def read(self, name: str) -> int:
        """Value of the register ``name``."""
        with device_failures():
            return self.device.read_register(self._addresses[name])

    def write(self, name: str, value: int) -> None:
        """Writes the register ``name``."""
        with device_failures():
            self.device.write_register(self._addresses[name], value)

    def command(self, bit: int) -> None:
        """Gives one command of CONTROL (a bit position of ``Control``)."""
        self.write("CONTROL", 1 << bit)

    def status(self, name: str) -> int:
        """Value of one field of STATUS."""
        field = self._fields["STATUS", name]
        return self.read("STATUS") >> field.low & (1 << field.bits) - 1

    def _wait(self, name: str, value: int, what: str) -> None:
        for _ in range(POLLS):
            if self.status(name) == value:
                return
        raise DriverError(f"the accelerator did not {what} (STATUS = {self.read('STATUS'):08x}); reset the device")

    def stop(self) -> None:
        """Finishes the work in flight and stops; memories keep their contents."""
        if self.status("RUNNING"):
            self.command(Control.STOP)
            self._wait("RUNNING", 0, "stop")

    def configure(self, settings: NetworkSettings) -> None:
        """Stops, writes the network description, starts, and checks that the core accepted it.

        Raises OptionError for what does not fit (nothing is written then), DriverError when the core refuses.
        """
        values = settings.registers(self.config)
        self.stop()
        self.command(Control.CLEAR_ERROR)
        for name, value in values.items():
            self.write(name, value)
        self.command(Control.START)
        for _ in range(POLLS):  # the core checks the description layer by layer
            code, running = self.status("ERROR"), self.status("RUNNING")
            if code or running:
                break
        if code or not running:
            text = REMEDIES.get(code, f"unknown error code {code}") if code else "it did not start, without an error"
            raise DriverError(f"the accelerator refused network {'-'.join(map(str, settings.layers))}: {text}")
        self.settings = settings
        self._packets = 0
        if settings.decays:
            self.write_space(Space.DECAY, 0, np.array(settings.decays)[:, None])

    # -- packets -----------------------------------------------------------------------------------
    def exchange(self, stream: Stream, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sends packets of the given kinds; returns result words and each result's start position.

        Raises DriverError for dropped, missing and misplaced packets.
        """
        if self.settings is None:
            raise DriverError("the accelerator is stopped: configure a network first")
        with device_failures():
            words, last = self.device.exchange(*stream, len(kinds))
        first, self._packets = self._packets, self._packets + len(kinds)
        return words, packets.check_results(words, last, kinds, first)

    def train(self, times: Samples, labels: np.ndarray, fired: np.ndarray | None = None,
              batch_size: int | None = None) -> SampleResults:
        """Trains on one batch after another and updates the weights after each, all in one exchange: the transport after an update
        goes on under the next batch's forward pass.

        Parameters
        ----------
        times : (samples, inputs) ticks before the window's end, 0 to T, or of rule rate levels in ticks; of rule sparse-bptt a list
            with each sample's spikes, uint32, index | step << 16, ascending, of rule rate with coded inputs one with each sample's
            words as of ``events.with_levels``.
        labels : (samples,) output neurons.
        fired : (samples, inputs) which inputs fire or are sent; ``times > 0`` unless given.
        batch_size : samples of a batch, the last may have fewer; all samples are one batch unless given.
        """
        self._check_samples(times, labels)
        if not len(labels) or (batch_size is not None and batch_size < 1):
            raise DriverError(f"{len(labels)} samples in batches of {batch_size}: at least one of each is needed")
        parts, kinds = [], []
        for begin in range(0, len(labels), batch_size or max(1, len(labels))):
            part = slice(begin, begin + (batch_size or len(labels)))
            now = None if fired is None else fired[part]
            parts += [self._encode(times[part], labels[part], True, now), packets.encode_update()]
            kinds += [Kind.SAMPLE] * len(labels[part]) + [Kind.UPDATE]
        words, starts = self.exchange(packets.concatenate(*parts), np.array(kinds))
        samples, layers = np.array(kinds) == Kind.SAMPLE, self.settings.layers
        return replace(packets.decode_samples(words, starts[samples], layers[-1]),
                       active=packets.decode_active(words, starts[~samples], len(layers) - 1))

    def infer(self, times: Samples, labels: np.ndarray, fired: np.ndarray | None = None) -> Iterator[SampleResults]:
        """Results of samples without learning, in chunks; parameters as for ``train``."""
        self._check_samples(times, labels)
        for begin in range(0, len(labels), CHUNK_SAMPLES):
            part = slice(begin, begin + CHUNK_SAMPLES)
            stream = self._encode(times[part], labels[part], False, None if fired is None else fired[part])
            words, starts = self.exchange(stream, np.full(len(labels[part]), Kind.SAMPLE))
            yield packets.decode_samples(words, starts, self.settings.layers[-1])

    def _encode(self, samples: Samples, labels: np.ndarray, train: bool, fired: np.ndarray | None) -> Stream:
        if self.settings.listed:
            return packets.encode_events(samples, labels, train=train)
        return packets.encode_samples(samples, labels, train=train, fired=fired)

    def _check_samples(self, times: Samples, labels: np.ndarray) -> None:
        if self.settings is None:
            raise DriverError("the accelerator is stopped: configure a network first")
        inputs, outputs = self.settings.layers[0], self.settings.layers[-1]
        if self.settings.listed:
            return self._check_events(times, labels)
        if not isinstance(times, np.ndarray):
            raise DriverError(f"{len(times)} samples are a list: this network needs an array ({len(labels)}, {inputs})")
        if times.shape != (len(labels), inputs):
            raise DriverError(f"samples of shape {times.shape}: this network needs ({len(labels)}, {inputs})")
        for what, values, high in (("time", times, self.config.window), ("label", labels, outputs - 1)):
            if values.size and not 0 <= values.min() <= values.max() <= high:
                wrong = np.argwhere((values < 0) | (values > high))[0]
                raise DriverError(f"{what} {values[tuple(wrong)]} of sample {wrong[0]}: 0 to {high} is allowed")

    def _check_events(self, samples: list[np.ndarray], labels: np.ndarray) -> None:
        if not isinstance(samples, list) or len(samples) != len(labels):
            raise DriverError(f"{len(samples)} samples with {len(labels)} labels: rule {self.settings.rule} needs a list of each "
                              "sample's spikes")
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.settings.layers[-1]:
            raise DriverError(f"labels from {labels.min()} to {labels.max()}: 0 to {self.settings.layers[-1] - 1} is allowed")
        room = self.config.spike_entries
        for number, spikes in enumerate(samples):
            if len(spikes) > room:
                has = "spikes" if self.settings.rule is Rule.SPARSE_BPTT else "levels and spikes"
                raise DriverError(f"sample {number} has {len(spikes)} {has}, this build holds {room}: use --spike-entries")

    # -- memories ----------------------------------------------------------------------------------
    def read_space(self, space: Space, layer: int = 0, columns: int = 1) -> np.ndarray:
        """Elements of columns 0 to ``columns - 1``: (elements, columns), int64."""
        parts = []
        for begin in range(0, columns, CHUNK_COLUMNS):
            count = min(CHUNK_COLUMNS, columns - begin)
            words, last = packets.encode_reads(space, layer, count)
            words[1::2] += np.uint32(begin)
            received, _ = self.exchange((words, last), np.full(count, Kind.READ))
            parts.append(packets.decode_elements(received, space, count))
        return np.concatenate(parts, axis=1)

    def write_space(self, space: Space, layer: int, values: np.ndarray) -> None:
        """Writes a matrix (elements, columns). Raises DriverError for elements that the memory cannot hold."""
        values = np.asarray(values)
        low, high = packets.element_limits(self.config, space)
        if values.size and not low <= values.min() <= values.max() <= high:
            raise DriverError(f"{space.name.lower()} of layer {layer}: values from {values.min()} to {values.max()}; "
                              f"this build holds {low} to {high}")
        for begin in range(0, values.shape[1], CHUNK_COLUMNS):
            part = values[:, begin:begin + CHUNK_COLUMNS]
            words, last = packets.encode_writes(space, layer, part)
            words.reshape(part.shape[1], -1)[:, 1] += np.uint32(begin)
            self.exchange((words, last), np.full(part.shape[1], Kind.WRITE))

    def read_matrix(self, space: Space, layer: int) -> np.ndarray:
        """W, B or G of weight ``layer`` (1 to L): (n_in, n_out), int64."""
        return self.read_space(space, layer, self.settings.layers[layer])

    def read_random(self) -> np.ndarray:
        """Generator state of each lane: (lanes,), int64."""
        return self.read_space(Space.RANDOM)[:, 0]

    def write_random(self, states: np.ndarray) -> None:
        """Sets the generator state of each lane, 1 to 2**32 - 1."""
        self.write_space(Space.RANDOM, 0, np.asarray(states, np.int64)[:, None])

    # -- counters ----------------------------------------------------------------------------------
    def counters(self) -> dict[str, int]:
        """All counters by name, read when no work is in flight."""
        self._wait("IDLE", 1, "become idle")
        return {name: self.read(name) | self.read(f"{name}_HI") << 32 for name, _ in counters(self.config)}

    def clear_counters(self) -> None:
        """Zeroes all counters when no work is in flight."""
        self._wait("IDLE", 1, "become idle")
        self.command(Control.CLEAR_COUNTERS)

