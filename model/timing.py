"""Timing model: how many cycles each phase takes, exactly, from event counts. Mirrors the schedules of hw/forward/engine.py,
hw/readout/softmax.py, hw/backward/engine.py, hw/update/engine.py, hw/transport/controller.py and hw/control/sequencer.py.

Phase counters do not depend on when packets come. TOTAL_CYCLES and EXPOSED_CYCLES do: they are exact for an exchange that is sent
and received without pauses, of samples and updates, the last of them an UPDATE or a training sample.
"""

import numpy as np

from ..spec import pipeline as at
from ..spec.transport import BINS
from . import timing_over_time as over_time
from . import timing_rate as rate
from .exact.arithmetic import counts
from .exact.network import ExactNetwork
from .exact.over_time import OverTimeRecord, SparseBpttNetwork
from .exact.record import AccessRecord, RateRecord, SampleRecord, UpdateRecord

__all__ = ["TimingModel", "backward", "forward", "transport"]


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
        if isinstance(record, OverTimeRecord):
            return self._over_time(network, record)
        if isinstance(record, UpdateRecord):
            update, moving = _update(network, record), transport(network, record)
            return {"UPDATE_CYCLES": update, "TRANSPORT_CYCLES": moving} | self._line.update(network, update, moving)
        self.begin()  # memory accesses wait until all else is through, and do not count
        return {}

    def _samples(self, network: ExactNetwork, record: SampleRecord) -> dict[str, int]:
        before, after = (rate.forward if isinstance(record, RateRecord) else forward)(network, record)
        behind, linger = backward(network, record)
        readout = 2 * network.layout[-1].n_out + at.READOUT_FIXED if record.train else 0
        return {
            "FORWARD_CYCLES": int((before + after).sum()),
            "READOUT_CYCLES": readout * record.samples,
            "BACKWARD_CYCLES": int(behind.sum()),
        } | self._line.extend(network, record, readout, *(x.tolist() for x in (before, after, behind, linger)))


    def _over_time(self, network: SparseBpttNetwork, record: OverTimeRecord) -> dict[str, int]:
        """Samples of rule sparse-bptt, one after the other."""
        ahead, behind = over_time.forward(network, record), over_time.backward(network, record)
        outputs = network.layout[-1].n_out
        errors = 2 * outputs + at.READOUT_FIXED if record.train else 0
        writing = record.written.numpy() * over_time.jobs_written(network)
        return {
            "FORWARD_CYCLES": int(ahead.sum()), "READOUT_CYCLES": errors * record.samples + int(writing.sum()),
            "BACKWARD_CYCLES": int(behind.sum()),
        } | self._line.follow(network, record, errors, *(x.tolist() for x in (ahead, writing, behind)))


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
    """When the units work on the packets of one exchange; cycles count from the first packet's second word."""

    def __init__(self):
        self.sample = 0
        self.offered = self.started = -1       # last descriptor offered, last one taken
        self.forward_free = self.readout_free = self.backward_free = self.settled = self.transport_free = 0
        self.updated: int | None = None        # cycle in which the sequencer came to the last packet's transport
        self.moving = (0, -1)                  # first and last cycle of the last transport
        self.slot_free = [0] * at.SLOTS
        self.spans: list[tuple[int, int]] = []  # first and last busy cycles
        self.counted = 0

    def extend(self, network, record, readout: int, before: list[int], after: list[int], behind: list[int],
               linger: list[int]) -> dict[str, int]:
        """Busy cycles that these samples add, and exposed cycles of transport (none or fewer: they hide it)."""
        config = network.config
        blocks = -(-network.layers[0] // config.lanes)
        send = at.RESULT_HEADER + at.RESULT_WORD * network.layout[-1].n_out
        hidden = 0
        for k, words in enumerate(record.words.tolist()):
            slot = self.sample % at.SLOTS
            self.sample += 1
            self._offer(words + blocks, self.slot_free[slot])
            self._end_update(self.offered + 1)
            # Without a gradient memory samples do not overlap; that all is settled is known a cycle later.
            ready = self.forward_free if config.gradient_memory else max(self.forward_free, self.settled + 1)
            self.started = max(self.offered + 1 + (words > 0), ready)
            scan = max(self.started + 1 + before[k], self.readout_free)
            through = scan + after[k] - 1
            self.forward_free = through + 1
            self.spans.append((self.started + 1, through))
            hidden += self._under_transport(self.started + 1, self.started + before[k])
            hidden += self._under_transport(scan, through)
            if record.train:
                handed = max(through + 1 + readout, self.backward_free, self.transport_free)
                ended = handed + behind[k]
                self.backward_free = self.slot_free[slot] = ended + 1
                self.spans.append((handed + 1, ended + linger[k]))
                self.settled = max(self.settled, ended + linger[k] + 1)
            else:
                handed, self.slot_free[slot] = through, through + 1
            self.readout_free = handed + 1 + send
            self.settled = max(self.settled, self.readout_free)
            self.spans.append((scan + 1, self.readout_free - 1))
        return {"TOTAL_CYCLES": self._union(), "EXPOSED_CYCLES": -hidden}

    def follow(self, network, record, errors: int, ahead: list[int], writing: list[int], behind: list[int]) -> dict[str, int]:
        """Busy and exposed cycles as of ``extend``, of samples that begin when the one before is through."""
        outputs, hidden = network.layout[-1].n_out, 0
        send = at.RESULT_HEADER + at.RESULT_WORD * outputs
        for k, events in enumerate(counts(record.spikes[0]).tolist()):
            self._offer(events, 0)
            self._end_update(self.offered + 1)
            self.started = max(self.offered + 1 + (events > 0), self.forward_free, self.settled + 1)
            through = self.started + ahead[k]
            self.spans.append((self.started + 1, through))
            hidden += self._under_transport(self.started + 1, through)
            handed = through + at.LOGITS + outputs
            if record.train:
                handed = max(handed + errors + writing[k] + at.HANDOVER + (writing[k] > 0), self.transport_free)
                self.spans.append((handed + 1, handed + behind[k]))
                self.settled = handed + behind[k] + 1
            self.settled = max(self.settled, handed + 1 + send)
            self.spans.append((through, handed + send))
        self.forward_free = self.settled
        return {"TOTAL_CYCLES": self._union(), "EXPOSED_CYCLES": -hidden}

    def update(self, network, update: int, moving: int) -> dict[str, int]:
        """Busy cycles that an UPDATE adds; of its transport all are exposed until samples hide them."""
        self._offer(0, 0)
        self._end_update(None)
        self.started = max(self.offered, self.settled, self.transport_free) + 1
        self.spans.append((self.started + 1, self.started + update))
        self.updated = self.started + update + 3
        self.moving = (self.updated, self.updated + moving - 1)
        self.transport_free = self.moving[1] + 1
        self.spans.append(self.moving)
        return {"TOTAL_CYCLES": self._union(), "EXPOSED_CYCLES": moving}

    def _offer(self, body: int, slot_free: int) -> None:
        """The decoder offers the next packet; ``body``: words and blocks that it takes time for."""
        length_seen = max(self.offered + 2, slot_free)
        self.offered = max(length_seen + body + 2, self.started + 1)

    def _end_update(self, sample: int | None) -> None:
        """The sequencer leaves an UPDATE when its transport ends, or when a sample waits from cycle ``sample`` on."""
        if self.updated is not None:
            left = self.transport_free if sample is None else max(self.updated, min(self.transport_free, sample))
            self.forward_free = max(self.forward_free, left + at.UPDATE_RESULT)
            self.settled = max(self.settled, left + at.UPDATE_RESULT)
            self.updated = None

    def _under_transport(self, first: int, last: int) -> int:
        """Cycles of a span in which the last transport moves weights."""
        return max(0, min(last, self.moving[1]) - max(first, self.moving[0]) + 1)

    def _union(self) -> int:
        """Cycles in any span that were not counted before."""
        total, until = 0, -1
        for first, last in sorted(self.spans):
            total += max(0, last - max(first, until + 1) + 1)
            until = max(until, last)
        fresh, self.counted = total - self.counted, total
        return fresh


def _update(network: ExactNetwork, record: UpdateRecord) -> int:
    if not network.config.gradient_memory:
        return 0
    # A word or a skipped column a cycle; the pipeline drains under the columns skipped last.
    skipped = sum(layer.n_out for layer in network.layout) - sum(record.columns)
    drain = max(0, at.UPDATE_DRAIN - record.skipped_tail) if sum(record.words) else 0
    return at.WALK_START + sum(record.words) + skipped + drain


def transport(network: ExactNetwork, record: UpdateRecord) -> int:
    """Cycles of the transport that follows an update: passes over the words of each layer that moves anything."""
    if not record.due:
        return 0
    config, cycles = network.config, at.TRANSPORT_END
    walk = at.TRANSPORT_PASS + (at.CHOICE_DRAIN if config.partial_transport else at.TRANSPORT_DRAIN)
    for layer, moved in zip(network.layout[1:], record.moved[1:], strict=True):
        cycles += at.TRANSPORT_LOOK + moved.passes * (walk + layer.words)
        if moved.passes > 1:
            cycles += 2 * BINS + at.HISTOGRAM + config.lanes.bit_length() - 1
    return cycles
