"""The whole board, bit by bit on Verilator, against docs/link.md: each request once, nothing that does not arrive whole."""

import json
import struct
import zlib

import pytest

from coldspike.sim.board import SimulatedBoard
from coldspike.spec.config import CoreConfig
from coldspike.spec.link import BoardFacts
from coldspike.spec.registers import VERSION, core_digest

CONFIG = CoreConfig.for_network((7, 5, 3), lanes=2)
FACTS = BoardFacts(name="test", clock=12_000_000, room=64, burst=32)
HELLO, READ, WRITE, EXCHANGE = 1, 2, 3, 4
OK, CLOSED, UNKNOWN, SEQUENCE, ROOM, ADDRESS = range(6)
INTERRUPT_ENABLE = 0x010
ANSWER_CYCLES = 4000


def framed(body):
    """A body as a frame."""
    whole = body + struct.pack("<I", zlib.crc32(body))
    return b"\x7e" + whole.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


def bodies(data):
    """Bodies of the frames in ``data``, all of which are good."""
    out = []
    for part in filter(None, data.split(b"\x7e")):
        whole = part.replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
        assert zlib.crc32(whole[:-4]) == int.from_bytes(whole[-4:], "little")
        out.append(whole[:-4])
    return out


@pytest.fixture(scope="module")
def shared():
    with SimulatedBoard(CONFIG, FACTS) as board:
        yield board


@pytest.fixture
def ask(shared):
    """Sends a body to a board that was just reset; returns its replies."""
    shared.reset()
    return lambda body: bodies(shared.run(framed(body), ANSWER_CYCLES))


def opened(ask, number):
    """HELLO, and its reply."""
    assert ask(bytes([number, HELLO]) + b"noNC") == [bytes([number, HELLO, OK]) + b"noNC" + struct.pack("<BHH", 1, 64, 32)]


def test_a_link_opens_and_closes_with_reset(shared, ask):
    assert ask(bytes([5, READ, 0, 0])) == [bytes([5, READ, CLOSED])] and not shared.open
    opened(ask, 7)
    assert shared.open
    assert ask(bytes([8, READ, 0, 0])) == [bytes([8, READ, OK]) + core_digest(CONFIG).to_bytes(4, "little")]
    shared.reset()
    assert ask(bytes([9, READ, 0, 0])) == [bytes([9, READ, CLOSED])] and not shared.open


def test_numbers(ask):
    opened(ask, 254)
    write = bytes([255, WRITE]) + struct.pack("<HI", INTERRUPT_ENABLE, 3)
    assert ask(write) == ask(write) == [bytes([255, WRITE, OK])]
    again = bytes([255, WRITE]) + struct.pack("<HI", INTERRUPT_ENABLE, 1)  # the same number: not carried out
    assert ask(again) == [bytes([255, WRITE, OK])]
    assert ask(bytes([1, READ, INTERRUPT_ENABLE, 0])) == [bytes([1, READ, SEQUENCE])]
    assert ask(bytes([0, READ, INTERRUPT_ENABLE, 0])) == [bytes([0, READ, OK, 3, 0, 0, 0])]


@pytest.mark.parametrize("body, status", [
    (bytes([9, 5]), UNKNOWN), (bytes([9, READ, 0]), UNKNOWN), (bytes([9, WRITE, 0, 0, 1, 2, 3]), UNKNOWN),
    (bytes([9, HELLO, 1, 2, 3]), UNKNOWN), (bytes([9, EXCHANGE, 0]), UNKNOWN), (bytes([9, EXCHANGE, 0, 0, 1]), UNKNOWN),
    (bytes([9, EXCHANGE, 0, 0, 1, 2, 3, 4]), UNKNOWN), (bytes([9, READ, 0xF0, 0x0F]), ADDRESS), (bytes([9, READ, 0, 0x10]), ADDRESS),  # noqa: E501
    (bytes([9, WRITE, 0, 0x40, 1, 2, 3, 4]), ADDRESS), (bytes([9, EXCHANGE, 0, 0]) + 9 * (b"\0" + bytes(32)), ROOM),
])
def test_refusals(ask, body, status):
    opened(ask, 8)
    assert ask(body) == ask(body) == [body[:2] + bytes([status])]
    assert ask(bytes([10, READ, 4, 0])) == [bytes([10, READ, OK, VERSION, 0, 0, 0])]


def test_description(ask):
    opened(ask, 0)

    def word(number, place):
        reply, = ask(bytes([number]) + struct.pack("<BH", READ, 0x8000 + 4 * place))
        assert reply[:3] == bytes([number, READ, OK])
        return reply[3:]

    length = int.from_bytes(word(1, 0), "little")
    text = b"".join(word((place + 1) % 256, place) for place in range(1, 1 + -(-length // 4)))
    facts = json.loads(zlib.decompress(text[:length]))
    assert facts == {"board": "test", "clock": 12_000_000, "baud": 3_000_000, "core": CONFIG.as_dict()}


def test_results_come_until_the_next_request(ask):
    """A packet that the stopped accelerator drops gives two words: kind ERROR, status STOPPED, number 0."""
    opened(ask, 0)
    packet = bytes([0b10]) + struct.pack("<II", 2, 0)  # UPDATE, TLAST on its second word
    ask(bytes([1, EXCHANGE, 0, 0]) + packet)
    first, = ask(bytes([2, EXCHANGE, 1, 0]))
    assert first[:3] == bytes([2, EXCHANGE, OK]) and struct.unpack("<HH", first[3:7]) == (64, 1)
    assert first[7:] == struct.pack("<I", 15 | 11 << 8) + b"\0"
    assert ask(bytes([2, EXCHANGE, 1, 0])) == [first]
    second, = ask(bytes([3, EXCHANGE, 32, 0]))
    assert struct.unpack("<HH", second[3:7]) == (64, 0) and len(second) == 7 + 5 and second[-1] == 1
    third, = ask(bytes([4, EXCHANGE, 32, 0]))
    assert struct.unpack("<HH", third[3:]) == (64, 0)


def test_what_is_broken_has_no_effect(shared, ask):
    opened(ask, 0)
    write = framed(bytes([1, WRITE]) + struct.pack("<HI", INTERRUPT_ENABLE, 2))
    for place in range(1, len(write) - 1):
        for wrong in (bytes([write[place] ^ 0x10]), b"", 2 * write[place:place + 1]):
            assert shared.run(write[:place] + wrong + write[place + 1:], ANSWER_CYCLES) == b""
    assert shared.run(b"\x7d\x7e" + bytes(range(0x7d)), ANSWER_CYCLES) == b""
    assert bodies(shared.run(b"\x7e" + framed(bytes([1, READ, INTERRUPT_ENABLE, 0])), ANSWER_CYCLES)) == [
        bytes([1, READ, OK, 0, 0, 0, 0])]


@pytest.mark.parametrize("drift", [-0.02, 0.02])
def test_clocks_apart(drift):
    with SimulatedBoard(CONFIG, FACTS, drift=drift) as board:
        replies = bodies(board.run(20 * framed(bytes([5, READ, 0, 0])), 3 * ANSWER_CYCLES))
        assert replies and set(replies) == {bytes([5, READ, CLOSED])} and board.broken == 0
