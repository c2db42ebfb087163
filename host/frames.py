"""Frames of the serial link, and the words in them. In words: docs/link.md."""

import numpy as np

from ..spec.link import ESCAPE, ESCAPE_BIT, FLAG, GROUP, crc

__all__ = ["CRC_BYTES", "HEAD_BYTES", "LONGEST_FRAME", "Decoder", "bytes_of_words", "encode", "pack_words", "unpack_words"]

FLAGS, ESCAPED = bytes([FLAG]), bytes([ESCAPE])
PAIRS = [(bytes([ESCAPE, byte ^ ESCAPE_BIT]), bytes([byte])) for byte in (FLAG, ESCAPE)]
CRC_BYTES, HEAD_BYTES = 4, 2
GROUP_BYTES = 1 + 4 * GROUP

LONGEST_FRAME = 1 << 18
"""Bytes without a flag that can be no frame: there is never room for so many words."""


def encode(body: bytes) -> bytes:
    """A frame: flag, body and CRC, flag."""
    inner = body + crc(body).to_bytes(CRC_BYTES, "little")
    for pair, byte in reversed(PAIRS):  # the escape byte first
        inner = inner.replace(byte, pair)
    return FLAGS + inner + FLAGS


def decode(inner: bytes) -> bytes | None:
    """The body of what lay between two flags; None where it is no frame."""
    if ESCAPED in inner:
        if inner.count(ESCAPED) != sum(inner.count(pair) for pair, _ in PAIRS):
            return None  # an escape before another byte, or before none
        for pair, byte in PAIRS:
            inner = inner.replace(pair, byte)
    body = inner[:-CRC_BYTES]
    good = len(body) >= HEAD_BYTES and crc(body) == int.from_bytes(inner[-CRC_BYTES:], "little")
    return body if good else None


class Decoder:
    """Finds frames in a stream of bytes. ``bad`` counts what was between flags and was none."""

    def __init__(self):
        self.bad = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Bodies of the frames that end in ``data``."""
        *ended, rest = (self._rest + data).split(FLAGS)
        self._rest = rest[-LONGEST_FRAME:]
        bodies = [decode(inner) for inner in ended if inner]
        self.bad += bodies.count(None)
        return [body for body in bodies if body is not None]

    def forget(self) -> None:
        """Drops the beginning of a frame whose end will not come."""
        self._rest = b""


def pack_words(words: np.ndarray, last: np.ndarray) -> bytes:
    """Words in: groups of a byte of TLAST flags and up to 8 words."""
    whole = len(words) // GROUP
    flags = np.packbits(last, bitorder="little")
    data = np.ascontiguousarray(words, "<u4").view(np.uint8)
    groups = np.concatenate([flags[:whole, None], data[:whole * 4 * GROUP].reshape(whole, 4 * GROUP)], axis=1)
    return groups.tobytes() + flags[whole:].tobytes() + data[whole * 4 * GROUP:].tobytes()


def unpack_words(data: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """Words out and their TLAST flags, from groups of up to 8 words and a byte of flags; None for a length that no words have."""
    whole, rest = divmod(len(data), GROUP_BYTES)
    if rest and (rest < 5 or (rest - 1) % 4):
        return None
    raw = np.frombuffer(data, np.uint8)
    groups = raw[:whole * GROUP_BYTES].reshape(whole, GROUP_BYTES)
    words = np.concatenate([groups[:, :-1].ravel(), raw[whole * GROUP_BYTES:-1] if rest else raw[:0]]).view("<u4")
    flags = np.concatenate([groups[:, -1], raw[-1:] if rest else raw[:0]])
    return words.astype(np.uint32), np.unpackbits(flags, count=len(words), bitorder="little").astype(bool)


def bytes_of_words(count: int) -> int:
    """Bytes of that many words in a frame, escapes aside."""
    return 4 * count + -(-count // GROUP)
