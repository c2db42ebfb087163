"""Cycles of a sample of rule sparse-bptt, from what its neurons did. Mirrors the schedules of hw/forward/step_engine.py,
hw/readout/over_time.py, hw/backward/step_engine.py and its sweeps."""

import numpy as np

from ..spec import pipeline as at
from ..spec.lif import OverTime
from .exact.over_time import OverTimeRecord, SparseBpttNetwork

__all__ = ["backward", "forward", "gradient_sweep", "jobs_written"]


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
    jobs = [each.numpy() for each in record.jobs]
    cycles[:] = at.STEP_LOOK
    learned = record.learned.numpy()
    for layer in network.layout:
        spikes = record.spikes[layer.index - 1].numpy()
        gradients = np.array([gradient_sweep(layer, network.config.lanes, spikes[n], jobs[layer.index - 1][n]) if learned[n] else 0
                              for n in range(record.samples)], np.int64)
        errors = np.zeros_like(gradients)
        if layer.index > 1:
            reach = jobs[layer.index - 1][:, 1:].sum((1, 2))  # those of m = 0 meet no look
            looks = record.active[layer.index - 2].numpy().sum((1, 2))
            errors = at.ERROR_SWEEP + reach * max(layer.in_blocks, at.ERROR_DEPTH) + looks
        cycles += learned * (np.maximum(gradients, errors) + at.STEP_LAYER_SWEEPS)
    return cycles - learned * at.STEP_LOOK


def gradient_sweep(layer, lanes: int, spikes: np.ndarray, jobs: np.ndarray) -> int:
    """Cycles of one sample's gradient sweep of ``layer``: ``spikes`` [T, n_in] before it, its ``jobs`` [T, n_out]."""
    steps = jobs.nonzero()[0].tolist()
    if not steps:
        return 1
    spike_steps, neurons = (axis.tolist() for axis in spikes[:steps[-1] + 1].nonzero())
    blocks, written, reuse, safe, spike = layer.in_blocks, {}, 0, 0, 0
    now = begin = max(blocks, at.SWEEP_FILL)
    for step in steps:
        while spike < len(neurons) and spike_steps[spike] <= step:
            i = neurons[spike]
            begin = max(now, written.get(i, 0))
            written[i] = begin + at.TRACE_WRITTEN
            safe, now, spike = max(safe, begin + at.TRACE_WRITTEN - i // lanes), begin + 1, spike + 1
        begin = max(now, safe, reuse)
        reuse, now = begin + at.GRADIENT_REUSE, begin + blocks
    return begin + blocks + at.SWEEP_DRAIN
