"""Cycles of a sample of rule sparse-bptt, from what its neurons did. Mirrors the schedules of hw/forward/step_engine.py,
hw/readout/over_time.py, hw/backward/step_engine.py and its sweeps."""

from heapq import merge

import numpy as np

from ..spec import pipeline as at
from ..spec.lif import GradientForm, OverTime
from .exact.over_time import OverTimeRecord, SparseBpttNetwork

__all__ = ["backward", "forward", "gradient_sweep", "ideal_backward", "jobs_written"]


def forward(network: SparseBpttNetwork, record: OverTimeRecord) -> np.ndarray:
    """[n] cycles of the forward engine."""
    cycles = record.spikes[0].sum((1, 2)).numpy() + at.STEP_LOAD
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
            reach = jobs[layer.index - 1][:, 1:].sum((1, 2))  # those of m = 0 meet no look
            looks = record.active[layer.index - 2].numpy().sum((1, 2))
            errors = at.ERROR_SWEEP + reach * max(layer.in_blocks, at.ERROR_DEPTH) + looks
        cycles += learned * (np.maximum(gradients, errors) + at.STEP_LAYER_SWEEPS)
    return cycles - learned * at.STEP_LOOK


def ideal_backward(network: SparseBpttNetwork, record: OverTimeRecord) -> np.ndarray:
    """[n] cycles that the backward engine cannot do without, one a word of P gradients or errors and one an entry that makes none:
    the longer sweep of each layer. What lies between it and ``backward`` is filling and draining, and waiting for memories."""
    cycles = np.zeros(record.samples, np.int64)
    for layer in network.layout:
        jobs, spikes = (each.sum((1, 2)).numpy() for each in (record.jobs[layer.index - 1], record.spikes[layer.index - 1]))
        by_spikes = np.array([network.settings.gradients.by_spikes(*each, layer.n_in, layer.n_out)
                              for each in zip(jobs.tolist(), spikes.tolist(), strict=True)])
        gradients = np.where(by_spikes, spikes * layer.out_blocks + jobs, jobs * layer.in_blocks + spikes)
        errors = np.zeros_like(gradients)
        if layer.index > 1:
            reach = record.jobs[layer.index - 1][:, 1:].sum((1, 2)).numpy()
            errors = reach * layer.in_blocks + record.active[layer.index - 2].sum((1, 2)).numpy()
        cycles += np.maximum(gradients, errors)
    return cycles * record.learned.numpy()


def gradient_sweep(layer, lanes: int, spikes: np.ndarray, jobs: np.ndarray, form: GradientForm) -> int:
    """Cycles of one sample's gradient sweep of ``layer``: ``spikes`` [T, n_in] before it, its ``jobs`` [T, n_out]."""
    by_spikes = form.by_spikes(jobs.sum(), spikes.sum(), layer.n_in, layer.n_out)
    if by_spikes:
        growing, reading, blocks = jobs[::-1], spikes[::-1], layer.out_blocks
    else:
        growing, reading, blocks = spikes, jobs, layer.in_blocks
    growers, readers = ([(step, index) for step, index in zip(*(axis.tolist() for axis in each.nonzero()), strict=True)]
                        for each in (growing, reading))
    if by_spikes:  # within a step, too, from the last to the first
        growers, readers = (sorted(each, key=lambda entry: (entry[0], -entry[1])) for each in (growers, readers))
    elif readers:
        growers = [entry for entry in growers if entry[0] <= readers[-1][0]]
    else:
        return 1
    written, read, safe, grown, end = {}, {}, 0, False, 0
    now = max(blocks, at.SWEEP_FILL)
    for _, is_reader, index in merge(((step, 0, index) for step, index in growers), ((step, 1, index) for step, index in readers),
                                     key=lambda entry: entry[:2]):
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
    return max(end, now if growers or readers else 0) + 1
