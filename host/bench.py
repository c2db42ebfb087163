"""Measurements of one network on the simulated accelerator: its schedule against the ideal, and simulation speed."""

import time
from collections.abc import Callable

import numpy as np

from . import measures
from .data import DataSet
from .device import Device
from .driver import Accelerator
from .initial import initial_memories
from .memories import write_memories
from .options import TrainOptions

__all__ = ["measure"]

GOLDEN_BATCHES = 8


def measure(options: TrainOptions, data: DataSet, simulated: Device, golden: Device,
            watch: Callable[[str], None] = lambda text: None) -> dict:
    """Trains every sample of ``data.train`` once on the simulated device; returns plain values.

    The bare loop (the same library stepped without packets) is timed before and after the training, for as many cycles
    as the training takes, so that a change of the machine's speed shows in neither alone.
    """
    watch("training on the simulated device")
    accelerator = prepare(simulated, options)
    pilot = train(accelerator, data, options, range(1), watch)
    cycles_per_batch = pilot[1]
    batches = len(data.train) // options.batch_size
    watch("bare loop")
    before = bare_loop(simulated, cycles_per_batch * max(1, batches // 2))
    accelerator.clear_counters()
    seconds, cycles = train(accelerator, data, options, range(batches), watch)
    counters = accelerator.counters()
    watch("bare loop")
    after = bare_loop(simulated, cycles_per_batch * max(1, batches // 2))
    watch("golden device")
    golden_batches = min(batches, GOLDEN_BATCHES)
    golden_seconds, _ = train(prepare(golden, options), data, options, range(golden_batches), watch)
    bare = (before[1] + after[1]) / (before[0] + after[0])
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
        "driver_cycles_per_second": cycles / seconds, "bare_cycles_per_second": bare,
        "driver_ratio": cycles / seconds / bare,
        "simulated_samples_per_second": trained / seconds,
        "golden_samples_per_second": golden_batches * options.batch_size / golden_seconds,
        "counters": counters,
    }


def prepare(device: Device, options: TrainOptions) -> Accelerator:
    """The network of ``options`` with its initial weights on a device."""
    accelerator = Accelerator(device)
    accelerator.configure(options.settings(0))
    write_memories(accelerator, initial_memories(accelerator, options.seed))
    accelerator.clear_counters()
    return accelerator


def train(accelerator: Accelerator, data: DataSet, options: TrainOptions, batches: range,
          watch: Callable[[str], None]) -> tuple[float, int]:
    """Seconds and clock cycles (0: no clock) that whole batches take, encoding and decoding included."""
    size, order = options.batch_size, np.random.RandomState(options.seed).permutation(len(data.train))
    first, begin = getattr(accelerator.device, "cycles", 0), time.perf_counter()
    for batch in batches:
        chosen = order[batch * size:(batch + 1) * size]
        results = accelerator.train_batch(data.train.times[chosen], data.train.labels[chosen])
        measures.cross_entropy(results.logits, results.labels)  # the trainer's share of the work
        watch(f"batch {batch + 1} of {len(batches)}")
    return time.perf_counter() - begin, getattr(accelerator.device, "cycles", 0) - first


def bare_loop(device: Device, cycles: int) -> tuple[float, int]:
    """Seconds, and the number of cycles, of an idle accelerator's clock."""
    begin = time.perf_counter()
    device.step(cycles)
    return time.perf_counter() - begin, cycles
