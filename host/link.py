"""The serial link from the host's side: requests that are sent until their reply comes. In words: docs/link.md."""

import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..spec.link import IDENTITY, LINK_VERSION, LinkStatus, Request
from .frames import CRC_BYTES, HEAD_BYTES, Decoder, bytes_of_words, encode, pack_words, unpack_words
from .pace import FrameSize, RoundTrip, Times

__all__ = ["OTHER_RELEASE", "Counts", "Link", "LinkError", "Wire"]

LONGEST_TEXT = 0x8000 - 4
"""Bytes of a board's description, from IDENTITY to the end of the addresses."""

RESUME, OTHER_RELEASE = "coldspike train --resume DIR", "load a bitstream of this release"
"""Remedies."""


class LinkError(RuntimeError):
    """The board does not answer, or not as docs/link.md says; the text is one line with the remedy."""


class Wire(Protocol):
    """Bytes both ways. Every method but ``close`` raises OSError when the connection is gone.

    Members
    -------
    name : of the port, for messages. baud : of the line, bits/s.
    """

    name: str
    baud: int

    def read(self) -> bytes:
        """The bytes that are there; with none, after some milliseconds, b''."""
        ...

    def write(self, data: bytes) -> None:
        """Sends bytes; may lose them."""
        ...

    def reopen(self) -> None:
        """Opens the connection anew."""
        ...

    def close(self) -> None:
        """Releases the connection; ``reopen`` may follow."""
        ...


@dataclass
class Counts:
    """What a link saw: ``requests`` carried out, frames ``sent`` and of those ``resent``, ``bytes`` received, ``bad`` frames, good
    ones that were ``stale``, own ones that came back (``echoed``), and how often the connection was ``reopened``."""

    requests: int = 0
    sent: int = 0
    resent: int = 0
    bytes: int = 0
    bad: int = 0
    stale: int = 0
    echoed: int = 0
    reopened: int = 0


class Link:
    """Requests to a board, one at a time, each sent until its reply comes: every one is carried out once.

    Parameters
    ----------
    wire : the connection; it stays the caller's to close.
    times : how long to wait.

    Members
    -------
    counts : what was seen so far. round_trip : how long replies take.

    Every method may raise LinkError.
    """

    def __init__(self, wire: Wire, times: Times | None = None):
        self.wire, self.times, self.counts = wire, times or Times(), Counts()
        self.round_trip, self._size = RoundTrip(self.times), FrameSize()
        self._decoder = Decoder()
        self._sequence, self._room, self._burst = secrets.randbelow(256), 0, 0
        self._sized_by = b""  # head of the exchange that the frames' size was adapted to
        self._begun = False   # the board was given something: there may be a run to continue

    # -- the four kinds ----------------------------------------------------------------------------
    def hello(self) -> None:
        """Opens the link: the accelerator is reset, both queues are emptied."""
        nonce = b""

        def request() -> bytes:
            # A number of its own each time: with that of the last request it would be taken for this again.
            nonlocal nonce
            nonce = secrets.token_bytes(4)
            self._sequence = self._sequence + 1 + secrets.randbelow(255) & 0xFF
            return self._head(Request.HELLO) + nonce

        def answers(body: bytes) -> bool:
            return body.startswith(self._head(Request.HELLO)) and (len(body) == HEAD_BYTES + 1 or body[3:7] == nonce)

        reply = self._judged(Request.HELLO, self._converse(request, answers, 12, self.times.opening))
        version = reply[4] if len(reply) > 4 else None
        if version != LINK_VERSION:
            raise LinkError(f"{self.wire.name}: the board speaks version {version} of the link, this release {LINK_VERSION}: "
                            f"{OTHER_RELEASE}")
        self._room, self._burst = struct.unpack("<HH", self._sized(reply[5:], 4))

    def read(self, address: int) -> int:
        """32-bit value of the register at byte ``address``."""
        return int.from_bytes(self._sized(self._request(Request.READ, struct.pack("<H", address), 4), 4), "little")

    def write(self, address: int, value: int) -> None:
        """Writes the 32-bit ``value`` to the register at byte ``address``."""
        self._begun = True
        self._sized(self._request(Request.WRITE, struct.pack("<HI", address, value & 0xFFFFFFFF), 0), 0)

    def description(self) -> bytes:
        """The text in which the board describes itself."""
        length = self.read(IDENTITY)
        if not 0 < length <= LONGEST_TEXT:
            raise LinkError(f"{self.wire.name}: the board's description has {length} bytes, 1 to {LONGEST_TEXT} are possible: "
                            f"{OTHER_RELEASE}")
        words = [self.read(address) for address in range(IDENTITY + 4, IDENTITY + 4 + length, 4)]
        return struct.pack(f"<{len(words)}I", *words)[:length]

    def exchange(self, words: np.ndarray, last: np.ndarray, results: int) -> tuple[np.ndarray, np.ndarray]:
        """Sends words (uint32) with their TLAST flags; ends when all are taken, ``results`` result packets have come and none is
        half received. Returns the results' words and flags."""
        sent = packets = 0
        idle, half = 0.0, False
        parts = [(np.zeros(0, np.uint32), np.zeros(0, bool))]
        while sent < len(words) or packets < results or half:
            begin, count = time.monotonic(), min(len(words) - sent, self._room, self._size.words)
            part = self._exchange(words[sent:sent + count], last[sent:sent + count])
            sent, packets = sent + count, packets + int(part[1].sum())
            half = not part[1][-1] if len(part[1]) else half
            parts.append(part)
            # Time in which the line was broken is not the accelerator's.
            idle = 0.0 if count or len(part[0]) else idle + min(time.monotonic() - begin, self.times.first)
            if idle > self.times.progress:
                raise LinkError(f"{self.wire.name}: no word passed for {self.times.progress:g} s: {sent} of {len(words)} words "
                                f"sent, {packets} of {results} results received; reset the board, then {RESUME}")
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _exchange(self, words: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One request, and the results that its reply brings."""
        self._begun = True
        want, resent = min(self._size.words, self._burst), self.counts.resent
        reply = self._request(Request.EXCHANGE, struct.pack("<H", want) + pack_words(words, last), 4 + bytes_of_words(want))
        received = unpack_words(reply[4:]) if len(reply) >= 4 else None
        if received is None or len(received[0]) > want:
            raise self._foreign(reply)
        self._room, _more = struct.unpack("<HH", reply[:4])
        self._size.adapt(self.counts.resent - resent, max(len(words), len(received[0])))
        self._sized_by = self._head(Request.EXCHANGE)
        return received

    # -- one request -------------------------------------------------------------------------------
    def _head(self, kind: Request) -> bytes:
        return bytes([self._sequence, kind])

    def _request(self, kind: Request, body: bytes, reply_bytes: int) -> bytes:
        """What a reply holds after its status; it has up to ``reply_bytes``."""
        self._sequence = self._sequence + 1 & 0xFF
        head = self._head(kind)
        reply = self._converse(lambda: head + body, lambda reply: reply.startswith(head), 9 + reply_bytes, self.times.silence)
        return self._judged(kind, reply)

    def _judged(self, kind: Request, reply: bytes) -> bytes:
        """A reply without number, kind and status OK."""
        match reply[HEAD_BYTES]:
            case LinkStatus.OK:
                self.counts.requests += 1
                return reply[HEAD_BYTES + 1:]
            case LinkStatus.CLOSED | LinkStatus.SEQUENCE as status:
                text = f"{self.wire.name}: the board was reset and has lost its network (status {LinkStatus(status).name}); "
                raise LinkError(text + (f"continue from the last checkpoint with {RESUME}" if self._begun else "try again"))
            case status:
                name = LinkStatus(status).name if status in set(LinkStatus) else status
                raise LinkError(f"{self.wire.name}: the board refused {kind.name} with status {name}: {OTHER_RELEASE}")

    def _sized(self, data: bytes, size: int) -> bytes:
        if len(data) != size:
            raise self._foreign(data)
        return data

    def _foreign(self, data: bytes) -> LinkError:
        return LinkError(f"{self.wire.name}: the board sent a reply of {len(data)} bytes that this release does not know: "
                         f"{OTHER_RELEASE}")

    def _converse(self, request: Callable[[], bytes], answers: Callable[[bytes], bool], reply_bytes: int, silence: float) -> bytes:
        """Sends the body that ``request`` makes until one comes that ``answers``; returns this. It has about ``reply_bytes``.

        Takes ``silence`` seconds at most, and ``times.patience`` without connection.
        """
        seen, begin, away, before = Counts(**vars(self.counts)), time.monotonic(), 0.0, b""
        while True:
            body = request()
            data, known, before = encode(body), body != before, body  # sent again, nobody knows which of them is answered
            on_line = (len(data) + reply_bytes) * 10 / self.wire.baud
            sent, bad = time.monotonic(), self.counts.bad
            try:
                self.wire.write(data)
                self.counts.sent += 1
                reply = self._listen(body, answers, sent + self.round_trip.patience + on_line)
            except OSError as error:
                away += self._reopen(error, self.times.patience - away)
                continue
            if reply is not None:
                if known:
                    elapsed = time.monotonic() - sent
                    self.round_trip.add(max(0.0, elapsed - (len(data) + HEAD_BYTES + CRC_BYTES + len(reply)) * 10 / self.wire.baud))
                return reply
            if time.monotonic() - begin - away > silence:
                raise self._silent(silence, seen)
            self.counts.resent += 1
            if self.counts.bad == bad:  # else something came in time, and the line spoilt it
                self.round_trip.in_vain()

    def _listen(self, own: bytes, answers: Callable[[bytes], bool], end: float) -> bytes | None:
        """The first body that ``answers`` and is not the ``own`` one; None at the time ``end``."""
        while True:
            data = self.wire.read()
            bodies = self._decoder.feed(data)
            self.counts.bytes += len(data)
            self.counts.bad = self._decoder.bad
            reply = None
            for body in bodies:
                if body == own:  # a reply never has its request's length, but it begins alike
                    self.counts.echoed += 1
                elif reply is None and len(body) > HEAD_BYTES and answers(body):
                    reply = body
                else:
                    self.counts.stale += 1
                    if body[:HEAD_BYTES] == self._sized_by:
                        self._size.forgive()
            if reply is not None or time.monotonic() >= end:
                return reply

    def _reopen(self, error: OSError, patience: float) -> float:
        """Opens the connection anew, within ``patience`` seconds; returns how many it took."""
        self._decoder.forget()
        begin = time.monotonic()
        self.wire.close()  # at once: while it is open, the system gives a port that is plugged in again another name
        while time.monotonic() - begin < patience:
            time.sleep(self.times.again)
            try:
                self.wire.reopen()
                self.counts.reopened += 1
                return time.monotonic() - begin
            except OSError as latest:
                error = latest
        then = f", then {RESUME}" if self._begun else ""
        raise LinkError(f"{self.wire.name}: the connection broke and did not come back within {self.times.patience:g} s ({error}): "
                        f"check cable and power{then}") from error

    def _silent(self, seconds: float, before: Counts) -> LinkError:
        """What to say when no reply came."""
        names = ("bytes", "bad", "stale", "echoed")
        came, bad, stale, echoed = (getattr(self.counts, name) - getattr(before, name) for name in names)
        then = f", then {RESUME}" if self._begun else ""
        if echoed:
            why = f"{echoed} requests came back as an echo: connect rx and tx with the board, not with each other"
        elif came and not stale and not self.counts.requests:
            why = f"is {self.wire.baud} the board's baud? (serial:{self.wire.name}@BAUD; of probe: --baud)"
        elif bad:
            why = "the line is too noisy: use a shorter cable"
        else:
            probe = f" (coldspike probe {self.wire.name})" if self._begun else ""
            why = f"check cable, power and the board's bitstream{probe}"
        return LinkError(f"{self.wire.name}: no answer within {seconds:g} s: {came} bytes and {bad} bad frames came; {why}{then}")
