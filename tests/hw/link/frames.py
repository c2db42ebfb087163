"""Golden models of the serial link, from docs/link.md: framing, groups of words, and the board's end of the protocol."""

from dataclasses import dataclass, field

from coldspike.spec.link import LinkStatus, Request

__all__ = ["Board", "Given", "Word", "crc", "decode", "encode", "escaped", "groups_in", "groups_out", "words_of_groups_in",
           "words_of_groups_out"]

FLAG, ESCAPE, BIT = 0x7E, 0x7D, 0x20
GROUP = 8
IDENTITY = 0x8000
ADDRESSES = 0x1000  # of the register port, in bytes


# -- frames --------------------------------------------------------------------------------------------
def crc(data: bytes) -> bytes:
    """CRC-32 of Ethernet, bit by bit, low byte first."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0xEDB88320 if state & 1 else 0)
    return (state ^ 0xFFFFFFFF).to_bytes(4, "little")


def escaped(data: bytes) -> bytes:
    """What stands between two flags for ``data``."""
    return b"".join(bytes([ESCAPE, byte ^ BIT]) if byte in (FLAG, ESCAPE) else bytes([byte]) for byte in data)


def encode(body: bytes, *, opening: bool = True) -> bytes:
    """A frame; without the flag before it unless ``opening``."""
    return bytes([FLAG] * opening) + escaped(body + crc(body)) + bytes([FLAG])


def decode(stream: bytes, shortest: int = 2) -> list[bytes]:
    """Bodies of the frames that end in ``stream``, those of fewer than ``shortest`` bytes dropped."""
    bodies = []
    for inner in stream.split(bytes([FLAG]))[:-1]:
        whole, last, flip = bytearray(), False, 0
        for byte in inner:
            if last := byte == ESCAPE:
                flip = BIT
            else:
                whole.append(byte ^ flip)
                flip = 0
        body = bytes(whole[:-4])
        if len(whole) >= shortest + 4 and not last and crc(body) == whole[-4:]:
            bodies.append(body)
    return bodies


# -- words ---------------------------------------------------------------------------------------------
Word = tuple[int, int]
"""Data and TLAST."""


def _groups(words: list[Word]):
    for begin in range(0, len(words), GROUP):
        group = words[begin:begin + GROUP]
        flags = sum(last << n for n, (_, last) in enumerate(group))
        yield bytes([flags]), b"".join(data.to_bytes(4, "little") for data, _ in group)


def groups_in(words: list[Word]) -> bytes:
    """Words of a request: flags first."""
    return b"".join(flags + data for flags, data in _groups(words))


def groups_out(words: list[Word]) -> bytes:
    """Words of a reply: flags last."""
    return b"".join(data + flags for flags, data in _groups(words))


def _words(flags: int, data: bytes) -> list[Word]:
    return [(int.from_bytes(data[4 * n:4 * n + 4], "little"), flags >> n & 1) for n in range(len(data) // 4)]


def words_of_groups_in(data: bytes) -> list[Word] | None:
    """Words of a request; None for a length that no words have."""
    words = []
    for begin in range(0, len(data), 1 + 4 * GROUP):
        flags, *rest = data[begin:begin + 1 + 4 * GROUP]
        if not rest or len(rest) % 4:
            return None
        words += _words(flags, bytes(rest))
    return words


def words_of_groups_out(data: bytes) -> list[Word]:
    """Words of a reply."""
    words = []
    for begin in range(0, len(data), 1 + 4 * GROUP):
        *rest, flags = data[begin:begin + 1 + 4 * GROUP]
        assert rest and len(rest) % 4 == 0
        assert flags >> len(rest) // 4 == 0  # bits of words that are not there
        words += _words(flags, bytes(rest))
    return words


# -- the protocol --------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Given:
    """What a board's answer depends on besides the requests, when words move at the same time: whether the words found room, the
    room and the results behind those of the reply when it was sent, and how many it carries."""

    fits: bool
    room: int
    count: int
    more: int


@dataclass(kw_only=True)
class Board:
    """The board's end. Whoever runs it appends to ``results`` what the accelerator gives and to ``seen`` what it takes.

    Parameters
    ----------
    registers : by byte address; other addresses below 0x1000 do not exist. identity : words of the description.
    room, burst : depths of the queues.

    Members
    -------
    words : that were accepted. results, seen : see above. All three since the last HELLO. hellos : how many were carried out.
    accesses : of registers that were carried out, ("read", address) or ("write", address, value).
    """

    registers: dict[int, int]
    identity: list[int]
    room: int
    burst: int
    words: list[Word] = field(default_factory=list)
    results: list[Word] = field(default_factory=list)
    seen: list[Word] = field(default_factory=list)
    accesses: list[tuple] = field(default_factory=list)
    hellos: int = 0
    last: int | None = None
    _kind: int = 0
    _status: LinkStatus = LinkStatus.OK
    _payload: bytes = b""
    _released: int = 0
    _count: int = 0

    @property
    def free(self) -> int:
        """Room for words now."""
        return self.room - (len(self.words) - len(self.seen))

    @property
    def waiting(self) -> int:
        """Results that a new request could have now."""
        return len(self.results) - self._released - self._count

    @property
    def held(self) -> int:
        """Results in the board's queue, those of the last reply included."""
        return len(self.results) - self._released

    def is_new(self, body: bytes) -> bool:
        """Whether a request would be carried out, if its kind and length are known."""
        return _hello(body) or (self.last is not None and body[0] == (self.last + 1) % 256)

    def answer(self, body: bytes, given: Given | None = None) -> bytes:
        """The reply to a request that arrived whole; ``given`` unless no word moved meanwhile."""
        sequence, kind = body[:2]
        if not _hello(body):
            if self.last is None:
                return bytes([sequence, kind, LinkStatus.CLOSED])
            if sequence == self.last:
                return self._reply(given)
            if not self.is_new(body):
                return bytes([sequence, kind, LinkStatus.SEQUENCE])
        self._released += self._count
        self.last, self._kind, self._payload, self._count = sequence, kind, b"", 0
        self._status = self._do(kind, body[2:], given)
        return self._reply(given)

    def _reply(self, given: Given | None) -> bytes:
        head = bytes([self.last, self._kind, self._status])
        if self._status != LinkStatus.OK or self._kind != Request.EXCHANGE:
            return head + self._payload
        # Room and results behind are those of now, also in a reply that is sent again.
        room = given.room if given else self.free
        more = given.more if given else self.waiting
        words = self.results[self._released:self._released + self._count]
        return head + room.to_bytes(2, "little") + more.to_bytes(2, "little") + groups_out(words)

    def _do(self, kind: int, rest: bytes, given: Given | None) -> LinkStatus:
        """Carries a new request out."""
        address, value = int.from_bytes(rest[:2], "little"), int.from_bytes(rest[2:6], "little")
        if kind == Request.HELLO and len(rest) == 4:
            self.words, self.results, self.seen, self._released = [], [], [], 0
            self.hellos += 1
            self._payload = rest + bytes([1]) + self.room.to_bytes(2, "little") + self.burst.to_bytes(2, "little")
        elif kind == Request.READ and len(rest) == 2:
            return self._read(address)
        elif kind == Request.WRITE and len(rest) == 6:
            if address >= ADDRESSES:
                return LinkStatus.ADDRESS
            self.accesses.append(("write", address, value))
            if address not in self.registers:
                return LinkStatus.ADDRESS
            self.registers[address] = value
        elif kind == Request.EXCHANGE and len(rest) >= 2:
            words = words_of_groups_in(rest[2:])
            if words is None:
                return LinkStatus.UNKNOWN
            if not (given.fits if given else len(words) <= self.free):
                return LinkStatus.ROOM
            self.words += words
            self._count = given.count if given else min(address, self.waiting)  # ``want`` stands where addresses do
        else:
            return LinkStatus.UNKNOWN
        return LinkStatus.OK

    def _read(self, address: int) -> LinkStatus:
        if address >= IDENTITY:
            n = (address - IDENTITY) // 4
            value = self.identity[n] if n < len(self.identity) else 0
        elif address < ADDRESSES:
            self.accesses.append(("read", address))
            if address not in self.registers:
                return LinkStatus.ADDRESS
            value = self.registers[address]
        else:
            return LinkStatus.ADDRESS
        self._payload = value.to_bytes(4, "little")
        return LinkStatus.OK


def _hello(body: bytes) -> bool:
    return len(body) == 6 and body[1] == Request.HELLO
