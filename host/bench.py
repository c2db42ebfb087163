"""Measurements of one network on the simulated accelerator: its schedule against the ideal, and simulation speed."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from . import measures, packets
from .data import DataSet
from .device import Device
from .driver import Accelerator
from .initial import prepare
from .options import TrainOptions

__all__ = ["measure"]

GOLDEN_BATCHES, PACKET_BATCHES = 8, 8
BARE_ROUNDS, BARE_SAMPLES = 8, 3


def measure(options: TrainOptions, data: DataSet, simulated: Device, stepped: Device, golden: Device,
            watch: Callable[[str], None] = lambda text: None) -> dict:
    """Trains every sample of ``data.train`` once on the simulated device; returns plain values.

    ``stepped``, another instance of the same library, runs in a bare loop between the batches, so that a change of the
    machine's speed shows in both alike.
    """
    accelerator = prepare(simulated, options)
    prepare(stepped, options)
    driver, bare = Clock(simulated), Clock(stepped)
    for batch in batches(data, options):
        watch(f"simulated device: {accelerator.read('SEQUENCE')} packets")
        with driver:
            train(accelerator, *batch)
        step_bare(stepped, bare, batch, driver.latest // options.batch_size)
    counters = accelerator.counters()
    streams = Clock(simulated)
    for times, labels in list(batches(data, options))[:PACKET_BATCHES]:
        watch("simulated device: packets encoded beforehand")
        words = packets.concatenate(packets.encode_samples(times, labels, train=True), packets.encode_update())
        with streams:
            simulated.exchange(*words, len(labels) + 1)
    watch("golden device")
    accelerator, speed = prepare(golden, options), Clock(golden)
    golden_batches = list(batches(data, options))[:GOLDEN_BATCHES]
    with speed:
        for batch in golden_batches:
            train(accelerator, *batch)
    layers, lanes, trained = options.layers, options.lanes, counters["SAMPLES_TRAINED"]
    updating = counters["UPDATE_CYCLES"] + counters["TRANSPORT_CYCLES"]
    interval = (counters["TOTAL_CYCLES"] - updating) / trained
    ideal = measures.ideal_interval(counters, layers, lanes)
    return {
        "data": options.data, "layers": "-".join(map(str, layers)), "lanes": lanes, "batch_size": options.batch_size,
        "feedback": options.feedback, "interval": options.interval, "optimizer": options.optimizer, "samples": trained,
        "overlapped_interval_cycles": interval, "ideal_interval_cycles": ideal, "interval_ratio": interval / ideal,
        "update_cycles_per_batch": counters["UPDATE_CYCLES"] / counters["UPDATES"],
        "transport_cycles_per_transport": counters["TRANSPORT_CYCLES"] / max(1, counters["TRANSPORTS"]),
        "cycles_per_sample": counters["TOTAL_CYCLES"] / trained,
        "forward_cycles_per_sample": counters["FORWARD_CYCLES"] / trained,
        "backward_cycles_per_sample": counters["BACKWARD_CYCLES"] / trained,
        "lane_utilization": measures.lane_utilization(counters, layers, lanes),
        "events_per_sample": measures.events_per_sample(counters, layers),
        "active_fraction": measures.active_fraction(counters, layers),
        "driver_cycles_per_second": driver.rate, "bare_cycles_per_second": bare.rate,
        "driver_ratio": driver.rate / bare.rate, "packets_cycles_per_second": streams.rate,
        "simulated_samples_per_second": trained / driver.seconds,
        "golden_samples_per_second": len(golden_batches) * options.batch_size / speed.seconds,
        "counters": counters,
    }


def step_bare(device: Device, clock: "Clock", batch: tuple[np.ndarray, np.ndarray], interval: int) -> None:
    """Times a loop that does nothing but step the clock of a device at work.

    Samples sent beforehand keep both engines busy: when the last one is accepted, the one before it is in the forward and the
    first in the backward engine. (Registers of an idle core stand still, so that stepping it costs less.)
    """
    words = packets.encode_samples(batch[0][:BARE_SAMPLES], batch[1][:BARE_SAMPLES], train=True)
    nothing = words[0][:0], words[1][:0]
    for _ in range(BARE_ROUNDS):
        device.exchange(*words, 0)
        with clock:
            device.step(interval)
        device.exchange(*nothing, BARE_SAMPLES)


class Clock:
    """Adds up seconds and clock cycles of the blocks that it is entered for.

    Members
    -------
    seconds, cycles : sums; a device without a clock has 0 cycles.
    latest : cycles of the last block.
    """

    def __init__(self, device: Device):
        self.device, self.seconds, self.cycles, self.latest = device, 0.0, 0, 0

    def __enter__(self) -> None:
        self._begin, self._first = time.perf_counter(), getattr(self.device, "cycles", 0)

    def __exit__(self, *exception) -> None:
        self.latest = getattr(self.device, "cycles", 0) - self._first
        self.seconds += time.perf_counter() - self._begin
        self.cycles += self.latest

    @property
    def rate(self) -> float:
        """Cycles per second."""
        return self.cycles / self.seconds


def batches(data: DataSet, options: TrainOptions) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and labels of the whole batches of one epoch, in a shuffled order."""
    size, order = options.batch_size, np.random.RandomState(options.seed).permutation(len(data.train))
    for begin in range(0, len(order) - size + 1, size):
        chosen = order[begin:begin + size]
        yield data.train.times[chosen], data.train.labels[chosen]


def train(accelerator: Accelerator, times: np.ndarray, labels: np.ndarray) -> None:
    """What the trainer does with a batch."""
    results = accelerator.train(times, labels)
    measures.cross_entropy(results.logits, results.labels)
