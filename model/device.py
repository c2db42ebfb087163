"""The golden device: behaves at the ports as the accelerator does, on the exact model."""

from collections import deque

import numpy as np

from ..spec.config import CoreConfig, Rule
from ..spec.errors import ErrorCode
from ..spec.lif import STRENGTH_BITS, GradientForm, LifSettings, OverTime, RateLoss
from ..spec.network import Readout
from ..spec.packets import Kind, Space
from ..spec.rate import RateSettings
from ..spec.registers import Access, Control, Interrupt, core_digest, counters, register_map
from ..spec.transport import LayerTransport
from .exact import (
    AccessRecord,
    ExactNetwork,
    OverTimeRecord,
    RateNetwork,
    SampleRecord,
    SparseBpttNetwork,
    TtfsNetwork,
    UpdateRecord,
)
from .exact.transport import exactly_largest, largest
from .memories import read_column, write_column
from .packets import Header, SampleStream, judge
from .timing import TimingModel

__all__ = ["GoldenDevice"]


class GoldenDevice:
    """Registers and streams of one accelerator build; cycles are counted by model/timing.py, not lived through.

    START keeps the memories when the layer sizes are those of the network that ran before, whatever its rule, else weights,
    feedback weights and gradients are zero (the accelerator leaves them unspecified). Random states and counters stay.

    Parameters
    ----------
    config : the build.
    exact_choice : top-K transport takes exactly the largest changes, in place of the histogram's choice; no hardware does so.

    Members
    -------
    network : the network that was started last (its state may be looked at), or None.
    """

    def __init__(self, config: CoreConfig, exact_choice: bool = False):
        self._top_k = exactly_largest if exact_choice else largest
        self.config, self.timing = config, TimingModel()
        self.network: ExactNetwork | None = None
        self._networks: dict[Rule, ExactNetwork] = {}  # of one size, one for each rule that ran: each keeps its own sums and lists
        self._registers = {r.address: r for r in register_map(config)}
        self._values = {r.name: r.reset for r in self._registers.values()}
        self._values["DIGEST"] = core_digest(config)
        self._counters = {name: 0 for name, _ in counters(config)}
        self._running, self._error, self._pending, self._sequence = False, ErrorCode.NONE, 0, 0
        self._unfinished: list[tuple[np.ndarray, np.ndarray]] = []
        self._results: deque[np.ndarray] = deque()

    def close(self) -> None:
        """Nothing is held open; devices are used alike."""

    # -- registers ---------------------------------------------------------------------------------
    def read_register(self, address: int) -> int:
        """Value of the register at a byte address; 0 where there is none."""
        register = self._registers.get(address)
        if register is None:
            return 0
        name = register.name
        if name in self._counters:
            return self._counters[name] & 0xFFFFFFFF
        if name.removesuffix("_HI") in self._counters:
            return self._counters[name.removesuffix("_HI")] >> 32 & 0xFFFFFFFF
        match name:
            case "CONTROL":
                return 0
            case "STATUS":
                return int(self._running) | (not self._unfinished) << 1 | int(self._error) << 8
            case "INTERRUPT_STATUS":
                return self._pending
            case "SEQUENCE":
                return self._sequence
            case "INTERVAL_POSITION":
                return self.network.transport.position if self.network else 0
        return self._values[name]

    def write_register(self, address: int, value: int):
        """Write a register. Read-only and absent registers ignore it; CONFIG registers refuse it while running."""
        register = self._registers.get(address)
        if register is None or register.access is Access.READ_ONLY:
            return
        value &= (1 << register.bits) - 1
        if register.name == "CONTROL":
            self._command(value)
        elif register.name == "INTERRUPT_STATUS":
            self._pending &= ~value
        elif register.access is Access.CONFIG and self._running:
            self._report(ErrorCode.BUSY)
        else:
            self._values[register.name] = value

    @property
    def interrupt(self) -> bool:
        """Level of the irq pin."""
        return bool(self._pending & self._values["INTERRUPT_ENABLE"])

    def _command(self, value: int):
        if value >> Control.CLEAR_ERROR & 1:
            self._error = ErrorCode.NONE
        if value >> Control.CLEAR_COUNTERS & 1:
            for name in self._counters:
                self._counters[name] = 0
        if value >> Control.STOP & 1:
            self._running = False
        if value >> Control.START & 1:
            if self._running:
                self._report(ErrorCode.BUSY)
            else:
                self._start()

    def _start(self):
        get = self._values.__getitem__
        depth = get("LAYERS")
        if not 1 <= depth <= self.config.max_layers:
            return self._report(ErrorCode.NETWORK)
        layers = tuple(get(f"SIZE_{l}") for l in range(depth + 1))
        rule = self._rule()
        if rule is None or min(layers) < 1 or self.config.misfit(layers) or self._bad_over_time(rule, depth):
            return self._report(ErrorCode.NETWORK)
        self._choose(rule, layers)
        rates = [get(f"RATE_{l}") for l in range(1, depth + 1)]
        self.network.load(
            [(r & 0xFF, r >> 8) for r in rates], [self._values.get(f"DECAY_{l}", 0) for l in range(1, depth + 1)],
            get("INTERVAL"), get("INTERVAL_START"), [LayerTransport(), *map(self._scheme, range(2, depth + 1))])
        if rule is Rule.SPARSE_BPTT:
            self.network.settings = self._over_time(depth)
        elif rule is Rule.RATE:
            self.network.set_rule(RateSettings(steps=get("STEPS"), coded=bool(get("CODING"))), get("TICKS"))
        else:
            self.network.set_rule(Readout(get("READOUT")), get("LEVEL_CLIP"), get("SLOPE_CLIP"))
        self._running, self._sequence = True, 0

    def _rule(self) -> Rule | None:
        """The rule that the registers name, if the build has it."""
        code = self._values.get("RULE", self.config.rules[0].code)
        return next((rule for rule in self.config.rules if rule.code == code), None)

    def _choose(self, rule: Rule, layers: tuple[int, ...]):
        """Make the network of this rule and these layers the one that runs, with the memories of the one before."""
        before = self.network
        if before is None or before.layers != layers:
            self._networks = {}
        if rule not in self._networks:
            kind = {Rule.TTFS: TtfsNetwork, Rule.SPARSE_BPTT: SparseBpttNetwork, Rule.RATE: RateNetwork}[rule]
            self._networks[rule] = kind(self.config, layers, top_k=self._top_k)
            self._networks[rule].counters = self._counters
        self.network = self._networks[rule]
        if before is not None:
            self.network.random, self.network.transport_random = before.random, before.transport_random
            if before.layers == layers:
                for memory in ("weights", "feedback", "gradients", "output_error"):
                    setattr(self.network, memory, getattr(before, memory))

    def _bad_over_time(self, rule: Rule, depth: int) -> bool:
        if rule is Rule.TTFS:
            return False
        shifts = [self._values[f"ERROR_SHIFT_{l}"] for l in range(2, depth + 1)] if rule is Rule.SPARSE_BPTT else []
        return not 1 <= self._values["STEPS"] <= self.config.max_steps or not all(shifts)

    def _over_time(self, depth: int) -> LifSettings:
        """What the registers say of rule sparse-bptt."""
        logit = self._values["LOGIT"]
        scales = [logit >> 5]
        for l in range(depth, 1, -1):
            scales.insert(0, scales[0] + LifSettings.base_shift(self.config) - self._values[f"ERROR_SHIFT_{l}"])
        rates = None
        if self.config.rate_loss:
            bounds, losses = self._values["RATE_BOUNDS"], [self._values[f"RATE_LOSS_{l}"] for l in range(2, depth + 1)]
            rates = RateLoss(least=bounds & 0xFFFF, most=bounds >> 16, upper=tuple(loss >> STRENGTH_BITS for loss in losses),
                             lower=tuple(loss & (1 << STRENGTH_BITS) - 1 for loss in losses))
        return LifSettings(steps=self._values["STEPS"], window=self._values["WINDOW"], scales=tuple(scales),
                           over_time=OverTime(logit & 1), gain=logit >> 1 & 15,
                           gradients=GradientForm(self._values["GRADIENTS"] % 3), rates=rates)

    def _scheme(self, l: int) -> LayerTransport:
        """What the registers say of weight layer l; those that the build lacks are zero."""
        names = ("TRANSPORT", "SELECT", "SCALE")
        return LayerTransport.of(*(self._values.get(f"{name}_{l}", 0) for name in names))

    def _report(self, error: ErrorCode):
        """Make an error known: the first one sticks."""
        if self._error is ErrorCode.NONE:
            self._error = error
            self._pending |= 1 << Interrupt.ERROR

    # -- streams -----------------------------------------------------------------------------------
    def exchange(self, words: np.ndarray, last: np.ndarray, results: int) -> tuple[np.ndarray, np.ndarray]:
        """Send ``words`` (uint32) with their TLAST flags and take what the accelerator answers.

        Returns words and TLAST flags of every result packet not yet taken, at least ``results`` of them. Words after
        the last TLAST wait for the rest of their packet. Raises RuntimeError when fewer results can come.
        """
        words, last = np.asarray(words).astype(np.uint32), np.asarray(last, bool)
        if len(words) != len(last):
            raise ValueError(f"{len(words)} words with {len(last)} TLAST flags")
        if len(words):
            self.timing.begin()
            self._unfinished.append((words, last))
            words, last = (np.concatenate(part) for part in zip(*self._unfinished, strict=True))
            whole = int(np.flatnonzero(last)[-1]) + 1 if last.any() else 0
            self._unfinished = [(words[whole:], last[whole:])] if whole < len(words) else []
            self._consume(words[:whole], last[:whole])
        if len(self._results) < results:
            raise RuntimeError(f"{results} results wanted, the packets sent so far make {len(self._results)}")
        packets = list(self._results)
        self._results.clear()
        flags = np.zeros(sum(map(len, packets)), bool)
        flags[np.cumsum([len(p) for p in packets], dtype=np.int64) - 1] = True
        return np.concatenate(packets) if packets else np.zeros(0, np.uint32), flags

    def _consume(self, words: np.ndarray, last: np.ndarray):
        """Run whole packets; neighbouring good samples with one train flag run as one batch."""
        packets = SampleStream(self.network if self._running else None, words, last)
        number = 0
        while number < len(packets.starts):
            if packets.good[number]:
                end = packets.run_end(number)
                self._run_samples(packets, number, end)
                number = end
                continue
            packet = packets.packet(number)
            error = judge(packets.network, packet.tolist())
            if error:
                self._report(error)
                self._counters["PACKETS_DROPPED"] += 1
                self._answer(Kind.ERROR, status=error)
            else:
                self._run_other(packet)
            number += 1

    def _run_samples(self, packets: SampleStream, first: int, end: int):
        over = 0
        if self.network.rule is Rule.SPARSE_BPTT:
            spikes, labels = packets.samples_over_time(first, end)
            logits, predicted, over, record = (self.network.train(spikes, labels) if packets.train[first]
                                               else self.network.infer(spikes))
            over = over.numpy()
        elif self.network.rule is Rule.RATE:
            levels, sent, spikes, labels = packets.rate_samples(first, end)
            logits, predicted, record = (self.network.train(levels, sent, labels, spikes) if packets.train[first]
                                         else self.network.infer(levels, sent, spikes))
        else:
            a, fired, labels = packets.samples(first, end)
            logits, predicted, record = (self.network.train(a, fired, labels) if packets.train[first]
                                         else self.network.infer(a, fired))
        self._count_cycles(record)
        out = np.empty((end - first, 3 + logits.shape[1]), np.int64)
        out[:, 0] = Kind.SAMPLE | (over * int(ErrorCode.OVERFLOW)) << 8
        out[:, 1] = self._sequence + np.arange(end - first)
        out[:, 2] = predicted.numpy() | labels.numpy() << 16
        out[:, 3:] = logits.numpy()
        self._results.extend((out & 0xFFFFFFFF).astype(np.uint32))
        self._sequence = (self._sequence + end - first) & 0xFFFFFFFF

    def _run_other(self, packet: np.ndarray):
        """An UPDATE, WRITE or READ packet without an error."""
        head = Header.of(int(packet[0]))
        if head.kind == Kind.UPDATE:
            record = self.network.update()
            self._count_cycles(record)
            self._pending |= 1 << Interrupt.BATCH
            self._answer(Kind.UPDATE, [record.due | sum(active << l for l, active in enumerate(record.active, start=1))])
            return
        space, layer, column = Space(head.middle), head.field, int(packet[1])
        body = np.zeros(0, np.uint32)
        if head.kind == Kind.WRITE:
            write_column(self.network, space, layer, column, packet[2:])
        else:
            body = read_column(self.network, space, layer, column)
        self._count_cycles(AccessRecord(write=head.kind == Kind.WRITE, space=space, layer=layer, column=column))
        self._answer(Kind(head.kind), body)

    def _answer(self, kind: Kind, body: np.ndarray | list[int] = (), status: ErrorCode = ErrorCode.NONE):
        head = np.array([int(kind) | int(status) << 8, self._sequence], np.uint32)
        self._results.append(np.concatenate([head, np.asarray(body, np.uint32)]))
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF

    def _count_cycles(self, record: SampleRecord | OverTimeRecord | UpdateRecord | AccessRecord):
        for name, cycles in self.timing(self.network, record).items():
            self._counters[name] += cycles
