"""Cycles of a sample of rule rate, from what its neurons did. Mirrors the schedule of hw/forward/rate_engine.py."""

import numpy as np

from ..spec import pipeline as at
from ..spec.config import Schedule
from .exact.rate import RateNetwork
from .exact.record import RateRecord

__all__ = ["forward"]


def turns(schedule: Schedule, depth: int, steps: int) -> list[tuple[int, int]]:
    """Layers l (1 to L) and steps in the order of their turns; the output layer has one."""
    hidden, inner = range(1, depth), range(steps)
    order = [(l, t) for t in inner for l in hidden] if schedule is Schedule.SINGLE_STEP else [(l, t) for l in hidden for t in inner]
    return [*order, (depth, 0)]


def accumulated(events: np.ndarray, arrival: np.ndarray, blocks: int) -> np.ndarray:
    """Cycle in which a turn's sums are complete; ``arrival`` [n] cycle in which the end token is taken. A turn without ``events``
    takes one null event."""
    return arrival + np.where(events > 0, 1, blocks) + at.ACCUMULATOR_DRAIN


def scanned(shown: np.ndarray, lanes: int) -> np.ndarray:
    """[n] slots of a scan: of each block the ``shown`` neurons, bool [n, neurons], one where there are none."""
    return np.maximum(np.add.reduceat(shown, np.arange(0, shown.shape[1], lanes), axis=1, dtype=np.int64), 1).sum(1)


def heard(first: np.ndarray, shown: np.ndarray, event: np.ndarray, lanes: int, blocks: int) -> np.ndarray:
    """Cycle in which the sums of a turn are complete that hears a scan through the queue; ``first`` [n] cycle of the scan's first
    slot, ``event`` bool [n, neurons] which of the ``shown`` neurons became an event."""
    total, rank = event.sum(1), event.cumsum(1) - event
    slot = shown.cumsum(1) - shown  # besides one of each empty block before
    for begin in range(lanes, shown.shape[1], lanes):
        slot[:, begin:] += ~shown[:, begin - lanes:begin].any(1)[:, None]
    # An event is taken when it is readable and the one before is through: max-plus over the events.
    ready = np.where(event, slot + (total[:, None] - rank) * blocks, 0).max(1)
    return accumulated(total, first + at.SPIKE_QUEUE + np.maximum(scanned(shown, lanes), ready), blocks)


def given(network: RateNetwork, record: RateRecord, step: int, opened: np.ndarray) -> np.ndarray:
    """The same of a turn of the first layer, which hears the packet's words."""
    levels, inputs, blocks = record.events.numpy(), record.inputs.numpy(), network.layout[0].out_blocks
    first = opened + 1
    if network.settings.coded and network.depth > 1:
        first = first + levels * (step == 0)  # the levels pass by
        return accumulated(inputs[:, step], first + inputs[:, step] * blocks, blocks)
    if step:
        return opened
    # Where the inputs reach the output layer, spikes behind the last level pass by; three levels wait ahead of the walk.
    taken = np.where(levels > 0, np.maximum(levels, 3 + (levels - 4) * blocks + 1), 0)
    return accumulated(levels, first + np.maximum(levels * blocks, (taken + inputs.sum(1)) * (inputs.sum(1) > 0)), blocks)


def forward(network: RateNetwork, record: RateRecord) -> tuple[np.ndarray, np.ndarray]:
    """[n] cycles from the engine's start to the scan of the output layer, and of that scan; waiting excluded."""
    layout, lanes, steps = network.layout, network.config.lanes, network.settings.steps
    spikes, shown = ([each.numpy() for each in part] for part in (record.spikes, record.shown))
    opened = idle = through = scan = np.zeros(record.samples, np.int64)  # the turn opens; pass and scan are over; last scan begins
    for l, step in turns(network.config.schedule, network.depth, steps):
        blocks, last = layout[l - 1].out_blocks, step == steps - 1
        if l == 1:
            done = given(network, record, step, opened)
        elif l < network.depth:
            fired = spikes[l - 2][:, step]
            done = heard(opened + at.LANE_SCAN, fired, fired, lanes, blocks)
        else:
            done = heard(scan + at.RATE_SCAN, shown[-1], spikes[-1].any(1), lanes, blocks)
        if l == network.depth:
            break
        start = np.maximum(done + 1, idle)
        if last:
            start = np.maximum(start, through)
            scan = start + at.TRACE_DEPTH
            through = scan + at.RATE_SCAN + scanned(shown[l - 1], lanes)
        idle, opened = start + blocks + at.TRACE_DEPTH, start + at.TRACE_DEPTH + 1
    return done + 1, np.full_like(done, at.RATE_SCAN + layout[-1].n_out)
