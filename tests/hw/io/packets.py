"""Packets built, broken and judged in plain Python: the model of the decoder and its checks."""

from dataclasses import dataclass, field

from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import WRITABLE_SPACES, Kind, Space, header

COLUMN_SPACES = (Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT)


def most_events(config: CoreConfig, layers: tuple[int, ...], steps: int) -> int:
    """Events of the longest good SAMPLE; ``steps`` is T of rule sparse-bptt, 0 while rule ttfs runs, here and below."""
    return config.spike_entries if steps else layers[0]


def last_time(config: CoreConfig, steps: int) -> int:
    """Largest time of a good event."""
    return steps - 1 if steps else config.window


def set_rule(ctx, unit, config: CoreConfig, steps: int) -> None:
    """Sets the inputs by which a unit of the build knows the rule."""
    if len(config.rules) > 1:
        ctx.set(unit.rule, (Rule.SPARSE_BPTT if steps else Rule.TTFS).code)
    if Rule.SPARSE_BPTT in config.rules:
        ctx.set(unit.steps, steps)


def sample(events: list[tuple[int, int]], label: int | None = None) -> list[int]:
    """A SAMPLE of (index, time) events; trains when it has a label."""
    return [header(Kind.SAMPLE, label is not None, label or 0), len(events), *(i | a << 16 for i, a in events)]


def columns(space: Space, layer: int, config: CoreConfig, layers: tuple[int, ...]) -> int:
    """How many columns ``space`` has in ``layer``."""
    if space == Space.RANDOM:
        return 2 if config.partial_transport else 1
    return layers[layer] if space in COLUMN_SPACES else 1


def legal_layers(space: Space, config: CoreConfig, layers: tuple[int, ...], steps: int) -> range:
    """Layers that ``space`` has."""
    top, over_time = len(layers) - 1, steps > 0
    if space in ((Space.LEVEL, Space.ERROR_SUM) if over_time else (Space.JOBS, Space.DECAY)):
        return range(0)
    if space is Space.GRADIENT and not config.gradient_memory:
        return range(0)
    return {
        Space.FEEDBACK: range(2, top + 1), Space.RANDOM: range(1), Space.OUTPUT_ERROR: range(1), Space.DECAY: range(1),
        Space.SPIKES: range(top + (not over_time)), Space.ERROR_SUM: range(1, top),
    }.get(space, range(1, top + 1))


def elements(space: Space, layer: int, config: CoreConfig, layers: tuple[int, ...], steps: int) -> int:
    """Elements of a column that can be written."""
    return config.lanes if space == Space.RANDOM else steps + 1 if space == Space.DECAY else layers[layer - 1]


@dataclass
class Verdict:
    """What becomes of a packet: the descriptor's meaningful fields, its payload, and when it was judged."""

    kind: Kind
    fields: dict = field(default_factory=dict)
    payload: list[int] = field(default_factory=list)
    status: ErrorCode = ErrorCode.NONE
    words: int = 0  # words looked at before the one with the error


def judge(packet: list[int], config: CoreConfig, layers: tuple[int, ...], steps: int = 0, running: bool = True) -> Verdict:
    """The verdict of spec/packets.py on the words of ``packet`` (TLAST on the last of them); ``steps`` as of last_time."""
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
        if middle not in list(Space) or value not in legal_layers(Space(middle), config, layers, steps):
            return bad(ErrorCode.ADDRESS, 0)
        if middle not in WRITABLE_SPACES if kind is Kind.WRITE else middle == Space.DECAY:
            return bad(ErrorCode.ADDRESS, 0)
        fields |= {"space": middle, "layer": value}
    if len(packet) == 1:
        return bad(ErrorCode.SHORT, 0)

    count = 0
    if kind is Kind.SAMPLE:
        count = packet[1]
        if count > most_events(config, layers, steps):
            return bad(ErrorCode.LONG, 1)
    elif kind in (Kind.WRITE, Kind.READ):
        if packet[1] >= columns(Space(middle), value, config, layers):
            return bad(ErrorCode.ADDRESS, 1)
        fields["column"] = packet[1]
        if kind is Kind.WRITE:
            count = elements(middle, value, config, layers, steps)

    previous = None
    for n in range(count + 1):
        word = packet[1 + n]
        if n and kind is Kind.SAMPLE:
            index, time = word & 0xFFFF, word >> 16
            if index >= layers[0]:
                return bad(ErrorCode.INDEX, 1 + n)
            place = (time, index) if steps else index
            if n > 1 and place <= previous:
                return bad(ErrorCode.ORDER, 1 + n)
            if time > last_time(config, steps):
                return bad(ErrorCode.TIME, 1 + n)
            previous = place
        last = len(packet) == 2 + n
        if last and n < count:
            return bad(ErrorCode.SHORT, 1 + n)
        if not last and n == count:
            return bad(ErrorCode.LONG, 1 + n)
    return Verdict(kind=kind, fields=fields | {"count": count}, payload=packet[2:])


def random_good(rng, config: CoreConfig, layers: tuple[int, ...], steps: int = 0) -> list[int]:
    """A good packet; half of them samples."""
    kind = rng.choice([Kind.SAMPLE, Kind.SAMPLE, Kind.SAMPLE, Kind.UPDATE, Kind.WRITE, Kind.READ])
    if kind is Kind.UPDATE:
        return [header(kind), 0]
    if kind is Kind.SAMPLE:
        density = rng.choice([0.0, 0.2, 0.6, 1.0])
        if steps:
            places = [(i, t) for t in range(steps) for i in range(layers[0])]
            count = int(density * min(len(places), config.spike_entries))
            events = [places[n] for n in sorted(rng.sample(range(len(places)), count))]
        else:
            events = [(i, rng.choice([0, config.window, rng.randrange(config.window)]))
                      for i in range(layers[0]) if rng.random() < density]
        return sample(events, rng.choice([None, rng.randrange(layers[-1])]))
    spaces = WRITABLE_SPACES if kind is Kind.WRITE else [space for space in Space if space is not Space.DECAY]
    space = rng.choice([s for s in spaces if legal_layers(s, config, layers, steps)])
    layer = rng.choice(legal_layers(space, config, layers, steps))
    column = rng.randrange(columns(space, layer, config, layers))
    count = elements(space, layer, config, layers, steps) if kind is Kind.WRITE else 0
    return [header(kind, space, layer), column, *(rng.getrandbits(32) for _ in range(count))]


def broken(rng, packet: list[int], config: CoreConfig, layers: tuple[int, ...], steps: int = 0) -> list[int]:
    """``packet`` with a fault in it (now and then one that does no harm)."""
    packet, last = list(packet), last_time(config, steps)
    body = range(2, len(packet))
    fault = rng.choice(["cut", "lengthen", "count", "word", "kind", "field", "column", "swap", "index", "time"])
    if fault == "cut":
        return packet[:rng.randrange(1, len(packet))]
    if fault == "lengthen":
        return packet + [rng.getrandbits(32) for _ in range(rng.randrange(1, 4))]
    if fault in ("count", "column"):
        most = most_events(config, layers, steps)
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
        else:
            packet[n] = rng.getrandbits(32)
    return packet
