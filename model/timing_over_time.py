"""Cycles of a sample of rule sparse-bptt, from what its neurons did. Mirrors the schedules of hw/forward/step_engine.py,
hw/readout/over_time.py, hw/backward/step_engine.py and its sweeps."""

import numpy as np

from ..spec import pipeline as at
from ..spec.lif import GradientForm, OverTime
from .exact.arithmetic import counts
from .exact.over_time import OverTimeRecord, SparseBpttNetwork

__all__ = ["backward", "forward", "gradient_sweep", "ideal_backward", "jobs_written"]


def forward(network: SparseBpttNetwork, record: OverTimeRecord) -> np.ndarray:
    """[n] cycles of the forward engine."""
    cycles = counts(record.spikes[0]).numpy() + at.STEP_LOAD
    for layer, spikes in zip(network.layout, record.spikes, strict=True):
        events = spikes.sum(2).numpy()                                     # [n, T]
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
    jobs, form = [each.numpy() for each in record.jobs], network.settings.gradients
    cycles[:] = at.STEP_LOOK
    learned = record.learned.numpy()
    for layer in network.layout:
        spikes = record.spikes[layer.index - 1].numpy()
        gradients = np.zeros(record.samples, np.int64)
        for n in learned.nonzero()[0]:
            gradients[n] = gradient_sweep(layer, network.config.lanes, spikes[n], jobs[layer.index - 1][n], form)
        errors = np.zeros_like(gradients)
        if layer.index > 1:
            reach = counts(record.jobs[layer.index - 1][:, 1:]).numpy()  # those of m = 0 meet no look
            looks = counts(record.active[layer.index - 2]).numpy()
            errors = at.ERROR_SWEEP + reach * max(layer.in_blocks, at.ERROR_DEPTH) + looks
        cycles += learned * (np.maximum(gradients, errors) + at.STEP_LAYER_SWEEPS)
    return cycles - learned * at.STEP_LOOK


def ideal_backward(network: SparseBpttNetwork, record: OverTimeRecord) -> np.ndarray:
    """[n] cycles that the backward engine cannot do without, one a word of P gradients or errors and one an entry that makes none:
    the longer sweep of each layer. What lies between it and ``backward`` is filling and draining, and waiting for memories."""
    cycles = np.zeros(record.samples, np.int64)
    for layer in network.layout:
        jobs, spikes = (counts(each).numpy() for each in (record.jobs[layer.index - 1], record.spikes[layer.index - 1]))
        by_spikes = np.array([network.settings.gradients.by_spikes(*each, layer.n_in, layer.n_out)
                              for each in zip(jobs.tolist(), spikes.tolist(), strict=True)])
        gradients = np.where(by_spikes, spikes * layer.out_blocks + jobs, jobs * layer.in_blocks + spikes)
        errors = np.zeros_like(gradients)
        if layer.index > 1:
            reach = counts(record.jobs[layer.index - 1][:, 1:]).numpy()
            errors = reach * layer.in_blocks + counts(record.active[layer.index - 2]).numpy()
        cycles += np.maximum(gradients, errors)
    return cycles * record.learned.numpy()


def gradient_sweep(layer, lanes: int, spikes: np.ndarray, jobs: np.ndarray, form: GradientForm) -> int:
    """Cycles of one sample's gradient sweep of ``layer``: ``spikes`` [T, n_in] before it, its ``jobs`` [T, n_out]."""
    by_spikes = form.by_spikes(jobs.sum(), spikes.sum(), layer.n_in, layer.n_out)
    if by_spikes:
        growing, reading, blocks = jobs[::-1], spikes[::-1], layer.out_blocks
    else:
        growing, reading, blocks = spikes, jobs, layer.in_blocks
    # Each step's growths, then its readings; by spikes from the last index to the first.
    most, entries = max(layer.n_in, layer.n_out), []
    for is_reader, each in enumerate((growing, reading)):
        step, index = each.nonzero()
        entries.append((2 * step + is_reader) * most + (most - 1 - index if by_spikes else index))
    entries = np.sort(np.concatenate(entries))
    if not by_spikes:
        if not reading.any():
            return 1
        entries = entries[:int((entries // most % 2).nonzero()[0][-1]) + 1]  # nobody looks at what grows later
    indices = entries % most
    written, read, safe, grown, end = {}, {}, 0, False, 0
    now = max(blocks, at.SWEEP_FILL)
    order = (entries // most % 2).tolist(), (most - 1 - indices if by_spikes else indices).tolist()
    for is_reader, index in zip(*order, strict=True):
        if is_reader and not grown:
            now += 1
        elif is_reader:
            begin = max(now, safe, read.get(index, 0))
            read[index], now = begin + at.GRADIENT_REUSE, begin + blocks
            end = now + at.SWEEP_DRAIN - 1
        else:
            begin = max(now, written.get(index, 0))
            written[index], grown = begin + at.SUM_WRITTEN, True
            safe, now = max(safe, begin + at.SUM_WRITTEN - index // lanes), begin + 1
            end = now + at.SWEEP_DRAIN - 1
    return max(end, now if len(entries) else 0) + 1
