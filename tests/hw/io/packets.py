"""Packets built, broken and judged in plain Python: the model of the decoder and its checks."""

from dataclasses import dataclass, field

from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import WRITABLE_SPACES, Kind, Space, header

COLUMN_SPACES = (Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT)
SPIKE_TIME = 1 << 15
"""Bit of an event's time that makes a spike of it, not a level; rule rate, coded."""


@dataclass(frozen=True)
class Mode:
    """How a network runs, as far as packets tell: ``steps`` T and ``coded`` are registers, which rules without them leave alone."""

    rule: Rule = Rule.TTFS
    steps: int = 0
    coded: bool = False

    @property
    def over_time(self) -> bool:
        """Events are spikes in time steps, nothing else."""
        return self.rule is Rule.SPARSE_BPTT

    @property
    def spikes_follow(self) -> bool:
        """Behind the levels there may be spikes."""
        return self.rule is Rule.RATE and self.coded

    def is_spike(self, time: int) -> bool:
        """Whether an event is one in a time step."""
        return self.over_time or self.spikes_follow and time >= SPIKE_TIME

    def place(self, index: int, time: int) -> tuple:
        """What ascends from event to event."""
        return (1, time, index) if self.is_spike(time) else (0, 0, index)

    def is_late(self, time: int, config: CoreConfig) -> bool:
        """Whether a time lies outside the window or behind the last step."""
        if self.is_spike(time):
            return (time if self.over_time else time - SPIKE_TIME) >= self.steps
        return time > config.window


TTFS = Mode()


def most_events(config: CoreConfig, layers: tuple[int, ...], mode: Mode) -> int:
    """Events of the longest good SAMPLE."""
    return config.spike_entries if mode.over_time or mode.spikes_follow else layers[0]


def last_time(config: CoreConfig, mode: Mode) -> int:
    """Largest time of a good event that is no spike behind levels."""
    return mode.steps - 1 if mode.over_time else config.window


def set_mode(ctx, unit, config: CoreConfig, mode: Mode) -> None:
    """Sets the inputs by which a unit of the build knows the mode."""
    if len(config.rules) > 1:
        ctx.set(unit.rule, mode.rule.code)
    if config.rules != (Rule.TTFS,):
        ctx.set(unit.steps, mode.steps)
    if Rule.RATE in config.rules:
        ctx.set(unit.coded, mode.coded)


def sample(events: list[tuple[int, int]], label: int | None = None) -> list[int]:
    """A SAMPLE of (index, time) events; trains when it has a label."""
    return [header(Kind.SAMPLE, label is not None, label or 0), len(events), *(i | a << 16 for i, a in events)]


def spike(index: int, step: int) -> tuple[int, int]:
    """The (index, time) of a spike behind levels."""
    return index, SPIKE_TIME | step


def columns(space: Space, layer: int, config: CoreConfig, layers: tuple[int, ...]) -> int:
    """How many columns ``space`` has in ``layer``."""
    if space == Space.RANDOM:
        return 2 if config.partial_transport else 1
    return layers[layer] if space in COLUMN_SPACES else 1


def legal_layers(space: Space, config: CoreConfig, layers: tuple[int, ...], mode: Mode) -> range:
    """Layers that ``space`` has."""
    top, one_shot = len(layers) - 1, (Rule.TTFS, Rule.RATE)
    lent = {Space.LEVEL: one_shot, Space.ERROR_SUM: one_shot, Space.JOBS: [Rule.SPARSE_BPTT], Space.MEMBRANE: [Rule.RATE],
            Space.ELIGIBILITY: [Rule.RATE], Space.DECAY: [Rule.SPARSE_BPTT, Rule.RATE]}
    if mode.rule not in lent.get(space, Rule) or space is Space.GRADIENT and not config.gradient_memory:
        return range(0)
    return {
        Space.FEEDBACK: range(2, top + 1), Space.RANDOM: range(1), Space.OUTPUT_ERROR: range(1), Space.DECAY: range(1),
        Space.SPIKES: range(top + (not mode.over_time)), Space.ERROR_SUM: range(1, top), Space.MEMBRANE: range(1, top),
        Space.ELIGIBILITY: range(1, top),
    }.get(space, range(1, top + 1))


def elements(space: Space, layer: int, config: CoreConfig, layers: tuple[int, ...], mode: Mode) -> int:
    """Elements of a column that can be written."""
    return config.lanes if space == Space.RANDOM else mode.steps + 1 if space == Space.DECAY else layers[layer - 1]


@dataclass
class Verdict:
    """What becomes of a packet: the descriptor's meaningful fields, its payload, and when it was judged."""

    kind: Kind
    fields: dict = field(default_factory=dict)
    payload: list[int] = field(default_factory=list)
    status: ErrorCode = ErrorCode.NONE
    words: int = 0  # words looked at before the one with the error


def judge(packet: list[int], config: CoreConfig, layers: tuple[int, ...], mode: Mode = TTFS, running: bool = True) -> Verdict:
    """The verdict of spec/packets.py on the words of ``packet`` (TLAST on the last of them)."""
    def bad(status, words):
        return Verdict(kind=Kind.ERROR, status=status, words=words)

    kind, middle, value = packet[0] & 0xFF, packet[0] >> 8 & 0xFF, packet[0] >> 16
    if not running:
        return bad(ErrorCode.STOPPED, 0)
    if kind not in (Kind.SAMPLE, Kind.UPDATE, Kind.WRITE, Kind.READ):
        return bad(ErrorCode.KIND, 0)
    kind = Kind(kind)
    fields = {}
    if kind is Kind.SAMPLE:
        if middle & 1 and value >= layers[-1]:
            return bad(ErrorCode.LABEL, 0)
        fields |= {"train": middle & 1, "label": value}
    elif kind in (Kind.WRITE, Kind.READ):
        if middle not in list(Space) or value not in legal_layers(Space(middle), config, layers, mode):
            return bad(ErrorCode.ADDRESS, 0)
        if middle not in WRITABLE_SPACES if kind is Kind.WRITE else middle == Space.DECAY:
            return bad(ErrorCode.ADDRESS, 0)
        fields |= {"space": middle, "layer": value}
    if len(packet) == 1:
        return bad(ErrorCode.SHORT, 0)

    count = 0
    if kind is Kind.SAMPLE:
        count = packet[1]
        if count > most_events(config, layers, mode):
            return bad(ErrorCode.LONG, 1)
    elif kind in (Kind.WRITE, Kind.READ):
        if packet[1] >= columns(Space(middle), value, config, layers):
            return bad(ErrorCode.ADDRESS, 1)
        fields["column"] = packet[1]
        if kind is Kind.WRITE:
            count = elements(middle, value, config, layers, mode)

    previous = None
    for n in range(count + 1):
        word = packet[1 + n]
        if n and kind is Kind.SAMPLE:
            index, time = word & 0xFFFF, word >> 16
            if index >= layers[0]:
                return bad(ErrorCode.INDEX, 1 + n)
            place = mode.place(index, time)
            if n > 1 and place <= previous:
                return bad(ErrorCode.ORDER, 1 + n)
            if mode.is_late(time, config):
                return bad(ErrorCode.TIME, 1 + n)
            previous = place
        last = len(packet) == 2 + n
        if last and n < count:
            return bad(ErrorCode.SHORT, 1 + n)
        if not last and n == count:
            return bad(ErrorCode.LONG, 1 + n)
    return Verdict(kind=kind, fields=fields | {"count": count}, payload=packet[2:])


def random_events(rng, config: CoreConfig, layers: tuple[int, ...], mode: Mode) -> list[tuple[int, int]]:
    """Events of a good SAMPLE."""
    density, most = rng.choice([0.0, 0.2, 0.6, 1.0]), most_events(config, layers, mode)
    levels, spikes = [], []
    if not mode.over_time:
        levels = [(i, rng.choice([0, config.window, rng.randrange(config.window)]))
                  for i in range(layers[0]) if rng.random() < density][:most]
    if mode.over_time or mode.spikes_follow:
        places = [(i, t) for t in range(mode.steps) for i in range(layers[0])]
        share = density if mode.over_time else rng.choice([0.0, density, 1.0])
        count = int(share * min(len(places), most - len(levels)))
        spikes = [places[n] for n in sorted(rng.sample(range(len(places)), count))]
    return levels + [spike(*each) if mode.spikes_follow else each for each in spikes]


def random_good(rng, config: CoreConfig, layers: tuple[int, ...], mode: Mode = TTFS) -> list[int]:
    """A good packet; half of them samples."""
    kind = rng.choice([Kind.SAMPLE, Kind.SAMPLE, Kind.SAMPLE, Kind.UPDATE, Kind.WRITE, Kind.READ])
    if kind is Kind.UPDATE:
        return [header(kind), 0]
    if kind is Kind.SAMPLE:
        return sample(random_events(rng, config, layers, mode), rng.choice([None, rng.randrange(layers[-1])]))
    spaces = WRITABLE_SPACES if kind is Kind.WRITE else [space for space in Space if space is not Space.DECAY]
    space = rng.choice([s for s in spaces if legal_layers(s, config, layers, mode)])
    layer = rng.choice(legal_layers(space, config, layers, mode))
    column = rng.randrange(columns(space, layer, config, layers))
    count = elements(space, layer, config, layers, mode) if kind is Kind.WRITE else 0
    return [header(kind, space, layer), column, *(rng.getrandbits(32) for _ in range(count))]


def broken(rng, packet: list[int], config: CoreConfig, layers: tuple[int, ...], mode: Mode = TTFS) -> list[int]:
    """``packet`` with a fault in it (now and then one that does no harm)."""
    packet, last = list(packet), last_time(config, mode)
    body = range(2, len(packet))
    faults = ["cut", "lengthen", "count", "word", "kind", "field", "column", "swap", "index", "time"]
    fault = rng.choice(faults + ["spike", "step", "step"] * (mode.rule is Rule.RATE))
    if fault == "cut":
        return packet[:rng.randrange(1, len(packet))]
    if fault == "lengthen":
        return packet + [rng.getrandbits(32) for _ in range(rng.randrange(1, 4))]
    if fault in ("count", "column"):
        most = most_events(config, layers, mode)
        packet[1] = rng.choice([packet[1] + 1, most + 1, max(0, packet[1] - 1), 1 << 16, 1 << 31, max(layers)])
    elif fault == "kind":
        packet[0] = packet[0] & ~0xFF | rng.choice([0, 5, 15, 17, 0x81, 255])
    elif fault == "field":
        packet[0] ^= rng.choice([1 << 8, 1 << 9, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 20, 1 << 31])
    elif fault == "swap" and len(body) > 1:
        n = rng.randrange(2, len(packet) - 1)
        packet[n:n + 2] = rng.choice([packet[n + 1::-1][:2], [packet[n]] * 2])
    elif body:
        n = rng.choice(body)
        if fault == "index":
            packet[n] = packet[n] & ~0xFFFF | rng.choice([layers[0], layers[0] - 1, 0xFFFF, 1 << 15])
        elif fault == "time":
            packet[n] = packet[n] & 0xFFFF | rng.choice([last + 1, last, 0xFFFF]) << 16
        elif fault == "spike":
            packet[n] ^= SPIKE_TIME << 16
        elif fault == "step":
            packet[n] = packet[n] & 0xFFFF | (SPIKE_TIME | rng.choice([mode.steps, mode.steps - 1, 0x7FFF])) << 16
        else:
            packet[n] = rng.getrandbits(32)
    return packet
