"""Cycles of a sample of rule sparse-bptt, from what its neurons did. Mirrors the schedules of hw/forward/step_engine.py,
hw/readout/over_time.py, hw/backward/step_engine.py and its sweeps."""

import numpy as np
from torch import Tensor

from ..spec import pipeline as at
from ..spec.lif import GradientForm, OverTime
from .exact.arithmetic import any_of, counts, places
from .exact.over_time import OverTimeRecord, SparseBpttNetwork

__all__ = ["backward", "by_sample", "forward", "gradient_sweep", "jobs_written", "least_backward"]


def forward(network: SparseBpttNetwork, record: OverTimeRecord) -> np.ndarray:
    """[n] cycles of the forward engine."""
    cycles = counts(record.spikes[0]).numpy() + at.STEP_LOAD
    for layer, spikes in zip(network.layout, record.spikes, strict=True):
        events = spikes.numpy().sum(2)                                     # [n, T]
        adding = at.STEP_TURN + layer.out_blocks * (1 + events)
        if layer.index < network.depth:
            sent = record.scanned[layer.index - 1]
            padding = layer.out_blocks * network.config.lanes - layer.n_out
            blocks = np.pad(sent.numpy(), ((0, 0), (0, 0), (0, padding))).reshape(*sent.shape[:2], layer.out_blocks, -1).sum(3)
            scanning = at.STEP_SCAN + np.maximum(blocks, 1).sum(2)
        else:
            adding = np.pad(adding, ((0, 0), (0, 1)), constant_values=at.STEP_TURN + layer.out_blocks)
            scanning = np.full(adding.shape, at.STEP_SCAN + layer.n_out)
        scanning[:, 0] = 0
        cycles += at.STEP_LAYER + np.maximum(adding, scanning).sum(1)
    return cycles


def jobs_written(network: SparseBpttNetwork) -> int:
    """Cycles in which the readout's errors become jobs."""
    steps = network.settings.steps if network.settings.over_time is OverTime.SUM else 1
    return steps * network.layers[-1] + at.JOBS_DRAIN


def backward(network: SparseBpttNetwork, record: OverTimeRecord) -> np.ndarray:
    """[n] cycles of the backward engine; 0 for samples that are not trained on."""
    cycles = np.zeros(record.samples, np.int64)
    if not record.train:
        return cycles
    cycles[:] = at.STEP_LOOK
    learned, form = record.learned.numpy(), network.settings.gradients
    for layer in network.layout:
        entries = zip(by_sample(record.spikes[layer.index - 1]), by_sample(record.jobs[layer.index - 1]), strict=True)
        gradients = np.array([gradient_sweep(layer, network.config.lanes, *each, form) for each in entries]) * learned
        errors = np.zeros_like(gradients)
        if layer.index > 1:
            reach = counts(record.jobs[layer.index - 1][:, 1:]).numpy()  # those of m = 0 meet no look
            looks = counts(record.active[layer.index - 2]).numpy()
            errors = at.ERROR_SWEEP + reach * max(layer.in_blocks, at.ERROR_DEPTH) + looks
        cycles += learned * (np.maximum(gradients, errors) + at.STEP_LAYER_SWEEPS)
    return cycles - learned * at.STEP_LOOK


def least_backward(network: SparseBpttNetwork, record: OverTimeRecord, words_only: bool = False) -> np.ndarray:
    """[n] cycles that a sample's entries demand of the backward engine, a lower bound of ``backward``: layer after layer the longer
    one of its two sweeps, which run side by side, without filling, draining and waiting.

    Demanded are a cycle for each word of P gradients that is added to (those of GRADIENT_WORDS) and one for each entry that grows a
    trace or delta which is read later, in the form that the network's settings choose; a cycle for each word of P error sums that
    is added to for an active neuron to look at, and one for each look. Entries that nothing comes of are none: jobs before the
    first spike, spikes behind the last job, jobs before the first look. ``words_only`` : words alone, as if entries were free.
    """
    cycles, entry = np.zeros(record.samples, np.int64), 0 if words_only else 1
    for layer in network.layout:
        jobs, spikes = record.jobs[layer.index - 1], record.spikes[layer.index - 1]
        by_spikes = np.array([network.settings.gradients.by_spikes(*each, layer.n_in, layer.n_out)
                              for each in zip(counts(jobs).tolist(), counts(spikes).tolist(), strict=True)])
        # Of both lists what meets something of the other one.
        i, j = counts(spikes & _from_now_on(jobs)).numpy(), counts(jobs & _so_far(spikes)).numpy()
        gradients = np.where(by_spikes, i * layer.out_blocks + entry * j, j * layer.in_blocks + entry * i)
        errors = np.zeros_like(gradients)
        if layer.index > 1:
            active = record.active[layer.index - 2]
            errors = counts(jobs & _so_far(active)).numpy() * layer.in_blocks + entry * counts(active).numpy()
        cycles += np.maximum(gradients, errors)
    return cycles * record.learned.numpy()


def _so_far(entries: Tensor) -> Tensor:
    """bool [n, T, 1], whether a sample has any of ``entries`` bool [n, T, neurons] in this step or before."""
    return (any_of(entries).cumsum(1) > 0)[:, :, None]


def _from_now_on(entries: Tensor) -> Tensor:
    """The same of this step or later."""
    return _so_far(entries.flip(1)).flip(1)


def by_sample(entries: Tensor) -> list[np.ndarray]:
    """Of each sample of bool [n, T, neurons] the entries' step and neuron, [2, entries], in order."""
    sample, step, neuron = (axis.numpy() for axis in places(entries))
    return np.split(np.stack([step, neuron]), np.searchsorted(sample, np.arange(1, len(entries))), axis=1)


def gradient_sweep(layer, lanes: int, spikes: np.ndarray, jobs: np.ndarray, form: GradientForm) -> int:
    """Cycles of one sample's gradient sweep of ``layer``, from the ``spikes`` before it and its ``jobs`` (see ``by_sample``)."""
    by_spikes = form.by_spikes(jobs.shape[1], spikes.shape[1], layer.n_in, layer.n_out)
    growing, reading, blocks = (jobs, spikes, layer.out_blocks) if by_spikes else (spikes, jobs, layer.in_blocks)
    if not by_spikes:
        if not reading.size:
            return 1
        growing = growing[:, growing[0] <= reading[0, -1]]  # nobody looks at what grows later
    # Each step's growths, then its readings; by spikes from the last step and index to the first.
    most = max(layer.n_in, layer.n_out)
    keys = np.concatenate([step * 2 * most + neuron for step, neuron in (growing, reading)])
    readers = np.arange(len(keys)) >= growing.shape[1]
    keys = (2 * (keys // (2 * most)) + (readers ^ by_spikes)) * most + keys % (2 * most)
    order = keys.argsort()[::-1 if by_spikes else 1]
    written, read, safe, grown = [0] * most, [0] * most, 0, False
    now = max(blocks, at.SWEEP_FILL)
    for is_reader, index in zip(readers[order].tolist(), (keys[order] % most).tolist(), strict=True):
        if not is_reader:
            begin = written[index]
            begin = now if now > begin else begin
            written[index], now, grown = begin + at.SUM_WRITTEN, begin + 1, True
            known = begin + at.SUM_WRITTEN - index // lanes
            safe = known if known > safe else safe
        elif grown:
            begin = max(now, safe, read[index])
            read[index], now = begin + at.GRADIENT_REUSE, begin + blocks
        else:
            now += 1
    if grown:
        return now + at.SWEEP_DRAIN
    return (now if len(order) else 0) + 1
