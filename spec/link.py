"""The serial link between a host and a board: frames, requests and replies. In words: docs/link.md."""

import json
import zlib
from dataclasses import dataclass
from enum import IntEnum

from .config import CoreConfig

__all__ = ["ESCAPE", "ESCAPE_BIT", "FLAG", "GROUP", "IDENTITY", "LINK_VERSION", "BoardFacts", "LinkStatus", "Request", "crc",
           "identity_text", "identity_words"]

LINK_VERSION = 1
"""A board answers HELLO with it; another number is another protocol."""

FLAG, ESCAPE, ESCAPE_BIT = 0x7E, 0x7D, 0x20
"""Bytes of the framing, those of HDLC on a byte stream (RFC 1662): FLAG ends a frame; inside one, FLAG and ESCAPE are sent as
ESCAPE and the byte with ESCAPE_BIT inverted."""

GROUP = 8
"""Words that share a byte of TLAST flags: bit i belongs to word i of the group."""

IDENTITY = 0x8000
"""READ from this byte address on reads the board's description instead of the accelerator's registers: the length of the text in
bytes, then the text (``identity_text``), four bytes a word, low byte first."""


class Request(IntEnum):
    """Kinds of frames. A reply has its request's kind."""

    HELLO = 1
    READ = 2
    WRITE = 3
    EXCHANGE = 4


class LinkStatus(IntEnum):
    """Whether a request was carried out."""

    OK = 0
    CLOSED = 1     # no HELLO came since the board's reset
    UNKNOWN = 2    # no such kind, or its length is wrong
    SEQUENCE = 3   # neither the last request again nor the next one
    ROOM = 4       # more words than there was room for
    ADDRESS = 5    # no such register


@dataclass(frozen=True, kw_only=True)
class BoardFacts:
    """What a board's design depends on besides the accelerator.

    Members
    -------
    name : of the board. clock : Hz of the accelerator and all around it. baud : of the serial wire, at most a quarter of that.
    room, burst : words of the link's queues towards the accelerator and from it, powers of two.
    """

    name: str
    clock: int
    baud: int = 3_000_000
    room: int = 1024
    burst: int = 1024


def crc(body: bytes) -> int:
    """CRC-32 of a frame's body, as in Ethernet: after the body it is sent low byte first."""
    return zlib.crc32(body)


def identity_text(board: str, clock: int, baud: int, config: CoreConfig) -> bytes:
    """What a board says of itself: compressed JSON of its name, clock (Hz), baud and configuration."""
    facts = {"board": board, "clock": clock, "baud": baud, "core": config.as_dict()}
    return zlib.compress(json.dumps(facts, separators=(",", ":")).encode(), 9)


def identity_words(text: bytes) -> list[int]:
    """Words of READ from IDENTITY on."""
    padded = text + bytes(-len(text) % 4)
    return [len(text), *(int.from_bytes(padded[i:i + 4], "little") for i in range(0, len(padded), 4))]
