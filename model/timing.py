"""Timing model: how many cycles each phase takes, exactly, from event counts. Mirrors the schedules of hw/forward/engine.py,
hw/readout/softmax.py, hw/backward/engine.py, hw/update/engine.py, hw/transport/controller.py and hw/control/sequencer.py.

Phase counters do not depend on when packets come. TOTAL_CYCLES does: it is exact for an exchange that is sent and received
without pauses and has at most one UPDATE, its last packet.
"""

import numpy as np

from ..spec import pipeline as at
from .exact.network import ExactNetwork
from .exact.record import AccessRecord, SampleRecord, UpdateRecord

__all__ = ["TimingModel", "backward", "forward"]


class TimingModel:
    """Cycles of one accelerator. Called with the record of each operation, in packet order.

    ``begin`` says that an exchange starts with an idle accelerator.
    """

    def __init__(self):
        self.begin()

    def begin(self) -> None:
        """Forget what is in flight: the next packet finds the accelerator idle."""
        self._line = _Timeline()

    def __call__(self, network: ExactNetwork, record: SampleRecord | UpdateRecord | AccessRecord) -> dict[str, int]:
        """Cycles that ``record`` adds to the ``*_CYCLES`` counters, by name."""
        if isinstance(record, SampleRecord):
            return self._samples(network, record)
        self.begin()  # everything else waits until the samples are through
        return _update(network, record) if isinstance(record, UpdateRecord) else {}

    def _samples(self, network: ExactNetwork, record: SampleRecord) -> dict[str, int]:
        before, after = forward(network, record)
        behind, linger = backward(network, record)
        readout = 2 * network.layout[-1].n_out + at.READOUT_FIXED if record.train else 0
        return {
            "FORWARD_CYCLES": int((before + after).sum()),
            "READOUT_CYCLES": readout * record.samples,
            "BACKWARD_CYCLES": int(behind.sum()),
            "TOTAL_CYCLES": self._line.extend(network, record, readout, *(x.tolist() for x in (before, after, behind, linger))),
        }


def _accumulated(events: np.ndarray, arrival: np.ndarray, blocks: int) -> np.ndarray:
    """Cycle, counted from the layer's first, in which a layer's sums are complete.

    ``events`` [n] spikes; ``arrival`` [n] cycle in which the end token is taken. A layer without events takes one
    null event.
    """
    return arrival + np.where(events > 0, 1, blocks) + at.ACCUMULATOR_DRAIN


def forward(network: ExactNetwork, record: SampleRecord) -> tuple[np.ndarray, np.ndarray]:
    """[n] cycles from the engine's start to the scan of the output layer, and of that scan; waiting excluded."""
    layout = network.layout
    events = record.events.numpy()
    done = _accumulated(events, events * layout[0].out_blocks, layout[0].out_blocks)
    for before, layer in zip(layout, layout[1:]):
        fired = record.fired[before.index - 1].numpy()                       # [n, blocks]
        slots = np.maximum(fired, 1)
        first = done[:, None] + at.SCAN_TO_SPIKE + slots.cumsum(1) - slots   # a block's first spike leaves the rule
        earlier = fired.cumsum(1) - fired
        total = fired.sum(1)
        # A spike is taken when it is readable and the one before is through: max-plus over the blocks' first spikes.
        ready = np.where(fired > 0, first + at.SPIKE_QUEUE + (total[:, None] - earlier) * layer.out_blocks, 0)
        end = done + at.SCAN_TO_SPIKE + slots.sum(1) + at.SPIKE_QUEUE
        done = _accumulated(total, np.maximum(end, ready.max(1)), layer.out_blocks)
    return done + 1, np.full_like(done, at.SCAN_TO_SPIKE + layout[-1].n_out)


def backward(network: ExactNetwork, record: SampleRecord) -> tuple[np.ndarray, np.ndarray]:
    """[n] cycles of the backward engine, and for how many more its last word keeps an update-every-sample unit busy."""
    total, linger = np.zeros(record.samples, np.int64), np.zeros(record.samples, np.int64)
    if record.train:
        lowest = record.lowest.numpy()
        for layer in reversed(network.layout):
            listed, visited = record.listed[layer.index - 1].numpy(), layer.index >= lowest
            walks = visited & (listed > 0)
            total += np.where(walks, at.BACKWARD_LAYER + listed * layer.in_blocks, visited)  # an empty list: one look
            linger = np.where(walks, at.UPDATE_LINGER, np.maximum(linger - visited, 0))
    return total, linger if not network.config.gradient_memory else np.zeros_like(linger)


class _Timeline:
    """When the units work on the samples of one exchange; cycles count from the first packet's second word."""

    def __init__(self):
        self.sample = 0
        self.offered = self.started = -1       # last descriptor offered, last sample started
        self.forward_free = self.readout_free = self.backward_free = self.quiet = 0
        self.slot_free = [0] * at.SLOTS
        self.spans: list[tuple[int, int]] = []  # first and last busy cycles
        self.counted = 0

    def extend(self, network, record, readout: int, before: list[int], after: list[int], behind: list[int],
               linger: list[int]) -> int:
        """Busy cycles (of forward engine, readout or backward engine) that these samples add."""
        config = network.config
        blocks = -(-network.layers[0] // config.lanes)
        send = at.RESULT_HEADER + at.RESULT_WORD * network.layout[-1].n_out
        for k, events in enumerate(record.events.tolist()):
            slot = self.sample % at.SLOTS
            self.sample += 1
            length_seen = max(self.offered + 2, self.slot_free[slot])
            self.offered = max(length_seen + events + blocks + 2, self.started + 1)
            # Without a gradient memory samples do not overlap; that all is quiet is known a cycle later.
            ready = self.forward_free if config.gradient_memory else max(self.forward_free, self.quiet + 1)
            self.started = max(self.offered + 1 + (events > 0), ready)
            scan = max(self.started + 1 + before[k], self.readout_free)
            through = scan + after[k] - 1
            self.forward_free = through + 1
            self.spans.append((self.started + 1, through))
            if record.train:
                handed = max(through + 1 + readout, self.backward_free)
                ended = handed + behind[k]
                self.backward_free = self.slot_free[slot] = ended + 1
                self.spans.append((handed + 1, ended + linger[k]))
                self.quiet = max(self.quiet, ended + linger[k] + 1)
            else:
                handed, self.slot_free[slot] = through, through + 1
            self.readout_free = handed + 1 + send
            self.quiet = max(self.quiet, self.readout_free)
            self.spans.append((scan + 1, self.readout_free - 1))
        return self._union()

    def _union(self) -> int:
        """Cycles in any span that were not counted before."""
        total, until = 0, -1
        for first, last in sorted(self.spans):
            total += max(0, last - max(first, until + 1) + 1)
            until = max(until, last)
        fresh, self.counted = total - self.counted, total
        return fresh


def _update(network: ExactNetwork, record: UpdateRecord) -> dict[str, int]:
    update = transport = 0
    if network.config.gradient_memory:
        # A word or a skipped column a cycle; the pipeline drains under the columns skipped last.
        skipped = sum(layer.n_out for layer in network.layout) - sum(record.columns)
        drain = max(0, at.UPDATE_DRAIN - record.skipped_tail) if sum(record.words) else 0
        update = at.WALK_START + sum(record.words) + skipped + drain
    if record.due:
        words = sum(moved.passes * layer.words for moved, layer in zip(record.moved, network.layout, strict=True))
        transport = at.WALK_START + words + at.TRANSPORT_DRAIN if words else 0
    return {"UPDATE_CYCLES": update, "TRANSPORT_CYCLES": transport, "TOTAL_CYCLES": update + transport}
