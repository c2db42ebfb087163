"""The host's side of the serial link against a model of the board's (board_model.py), in memory and in no time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.host import frames, link
from coldspike.host.driver import Accelerator
from coldspike.host.frames import Decoder, encode, pack_words, unpack_words
from coldspike.host.initial import initial_memories
from coldspike.host.link import Link, LinkError
from coldspike.host.memories import read_memories, write_memories
from coldspike.host.pace import FrameSize, Times
from coldspike.host.settings import NetworkSettings
from coldspike.model.device import GoldenDevice
from coldspike.spec.registers import VERSION

from .board_model import EXCHANGE, HELLO, READ, WRITE, Board, Line, Receiver, framed

BODIES = st.binary(min_size=2, max_size=40) | st.lists(st.sampled_from([0x7E, 0x7D, 0x5E, 0x5D, 0]), min_size=2).map(bytes)


@pytest.fixture
def clock(monkeypatch):
    """Seconds pass when somebody waits."""
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(link, "time", made)
    return made


class Memory:
    """A wire to a board in the same process. ``broken`` : times at which it breaks; opening it fails for ``away`` attempts;
    ``delay`` : seconds from a request to its reply."""

    name, baud = "memory", 3_000_000

    def __init__(self, clock, board, faults=0.0, seed=0, away=0, broken=(), delay=0.0):
        self.clock, self.board, self.away, self.broken, self.delay = clock, board, away, set(broken), delay
        self.lines, self.incoming, self.writes, self.longest = (Line(faults, seed), Line(faults, seed + 1)), [], 0, 0
        self.closed = []

    def read(self):
        there = self.incoming and self.incoming[0][0] <= self.clock.now
        self.clock.sleep(1e-4 if there else 1e-3)
        return self.incoming.pop(0)[1] if there else b""

    def write(self, data):
        self.writes += 1
        self.longest = max(self.longest, len(data))
        if self.writes in self.broken:
            raise OSError("gone")
        reply = self.board.feed(self.lines[0].pass_on(data)) if self.board else b""
        if -self.writes in self.broken:
            raise OSError("gone before the reply came")
        if reply:
            self.incoming.append((self.clock.now + self.delay, self.lines[1].pass_on(reply)))

    def reopen(self):
        self.incoming = []
        if self.away:
            self.away -= 1
            raise OSError("not there")

    def close(self):
        self.closed.append(self.clock.now)


class Linked:
    """A device at a link, for the driver."""

    def __init__(self, config, wire, **times):
        self.config, self.link = config, Link(wire, Times(**times))
        self.link.hello()
        self.read_register, self.write_register, self.exchange = self.link.read, self.link.write, self.link.exchange


def learn(device):
    """What a device's memories hold after some batches; results of the last; dropped packets."""
    unit, random = Accelerator(device), np.random.default_rng(5)
    unit.configure(NetworkSettings(layers=(5, 4, 3), learning_rates=(0.25,), batch_size=3))
    write_memories(unit, initial_memories(unit, 3))
    for _ in range(4):
        results = unit.train(random.integers(0, 257, (6, 5)), random.integers(0, 3, 6), batch_size=3)
    assert unit.read("PACKETS_DROPPED") == 0
    return read_memories(unit), results.logits


def same(one, two):
    return all(np.array_equal(one[0][name], two[0][name]) for name in one[0] | two[0]) and np.array_equal(one[1], two[1])


# -- frames --------------------------------------------------------------------------------------------
@given(st.lists(BODIES, max_size=5), st.binary(max_size=20), st.data())
def test_frames_pass_between_garbage_and_in_pieces(bodies, garbage, data):
    # Garbage may end in an open frame, which the flag before each frame ends.
    stream = garbage + b"".join(encode(body) + data.draw(st.sampled_from([b"", garbage])) for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    decoder, found = Decoder(), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[begin:end])
    assert found == bodies


@given(BODIES)
def test_both_sides_make_the_same_frames(body):
    assert encode(body) == framed(body)
    receiver = Receiver()
    assert [found for byte in encode(body) if (found := receiver.take(byte)) is not None] == [body]


@given(BODIES, st.data())
def test_every_changed_byte_is_noticed(body, data):
    frame = bytearray(encode(body))
    place = data.draw(st.integers(1, len(frame) - 2))
    frame[place] ^= data.draw(st.integers(1, 255))
    decoder = Decoder()
    assert decoder.feed(bytes(frame)) == [] and decoder.bad > 0


@pytest.mark.parametrize("inner", [b"\x01", b"\x01\x02\x03\x04\x05", bytes(4), encode(b"ab")[1:-1] + b"\x7d",
                                   encode(b"ab")[1:-1].replace(b"a", b"\x7d\x41")])
def test_what_is_too_short_or_wrongly_escaped_is_no_frame(inner):
    decoder = Decoder()
    assert decoder.feed(b"\x7e\x7e" + inner + b"\x7e") == [] and decoder.bad == 1


def test_bytes_without_an_end_are_not_kept():
    decoder = Decoder()
    for _ in range(9):
        decoder.feed(bytes(1 << 16))
    assert len(decoder._rest) <= frames.LONGEST_FRAME and decoder.feed(encode(b"ab")) == [b"ab"]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 23])
def test_words_come_in_groups(count):
    random = np.random.default_rng(count)
    words, last = random.integers(0, 1 << 32, count).astype(np.uint32), random.integers(0, 2, count).astype(bool)
    there, back, data = b"", b"", words.astype("<u4").tobytes()
    for begin in range(0, count, 8):
        flags = bytes([sum(int(bit) << n for n, bit in enumerate(last[begin:begin + 8]))])
        group = data[4 * begin:4 * begin + 32]
        there, back = there + flags + group, back + group + flags
    assert pack_words(words, last) == there
    received = unpack_words(back)
    assert np.array_equal(received[0], words) and np.array_equal(received[1], last)
    assert unpack_words(back + b"\0\0") is None


# -- requests ------------------------------------------------------------------------------------------
@pytest.fixture
def undisturbed(config):
    return learn(GoldenDevice(config))


@pytest.mark.parametrize("faults", [0.0, 0.001, 0.01, 0.02])
def test_a_noisy_line_changes_nothing(config, clock, undisturbed, faults):
    board = Board(config)
    device = Linked(config, Memory(clock, board, faults, seed=7))
    assert same(learn(device), undisturbed)
    counts = device.link.counts
    assert sum(board.carried.values()) == counts.requests + board.carried[HELLO] - 1
    assert (counts.resent > 0) == (counts.bad > 0) == (board.repeated > 0) == (faults > 0)
    assert counts.sent == counts.requests + counts.resent


@pytest.mark.parametrize("room, burst, pace", [(1, 1, 1), (3, 200, 500), (500, 2, 500), (1000, 1000, 5)])
def test_queues_of_any_size(config, clock, undisturbed, room, burst, pace):
    assert same(learn(Linked(config, Memory(clock, Board(config, room=room, burst=burst, pace=pace)))), undisturbed)


def test_frames_are_long_on_a_clean_line_and_short_on_a_noisy_one(config, clock):
    words, last = np.zeros(4000, np.uint32), np.ones(4000, bool)  # bad packets: one result each

    def longest(faults):
        wire = Memory(clock, Board(config, room=1000, burst=1000, pace=1000), faults)
        device = Linked(config, wire)
        received = device.exchange(words[:500 if faults else None], last[:500 if faults else None], 500 if faults else 4000)
        assert received[1].sum() == (500 if faults else 4000)
        return wire.longest
    assert longest(0.0) > 4 * 500 and longest(0.01) < 4 * 100


@pytest.mark.parametrize("delay", [0.12, 0.3, 0.7])
def test_a_line_with_a_long_delay_is_measured(config, clock, undisturbed, delay):
    """Longer than the first wait: that grows until a reply comes in time, and stays so until there is a measurement."""
    wire = Memory(clock, Board(config, room=1000, burst=1000, pace=1000), delay=delay)
    device = Linked(config, wire)
    for _ in range(100):  # without deviation the wait must not shrink to the round trip itself
        device.read_register(4)
    assert device.link.counts.resent <= 6 and device.link.round_trip.mean == pytest.approx(delay, abs=0.002)
    assert same(learn(device), undisturbed)
    words = np.zeros(4000, np.uint32)
    device.exchange(words, np.ones(4000, bool), 4000)
    assert wire.longest > 4 * 500 and device.link.counts.resent <= 6


def test_the_wait_grows_with_silence_and_stays_until_a_measurement(config, clock):
    board = Board(config)
    device = Linked(config, Memory(clock, board))
    device.read_register(4)
    trip = device.link.round_trip
    before, device.link.wire.delay = trip.patience, 3 * trip.patience
    device.read_register(4)
    assert trip.patience > 2 * before and board.repeated == device.link.counts.resent > 1
    device.read_register(4)
    assert board.repeated == device.link.counts.resent == 3 and trip.patience > device.link.wire.delay


def test_a_reply_that_the_line_spoils_is_no_reason_to_wait_longer(config, clock):
    class Spoilt(Memory):
        def write(self, data):
            super().write(data)
            if self.writes % 2 == 0:
                due, reply = self.incoming.pop()
                self.incoming.append((due, reply[:-2] + bytes([reply[-2] ^ 1]) + reply[-1:]))
    device = Linked(config, Spoilt(clock, Board(config)))
    before = device.link.round_trip.patience
    for _ in range(8):
        device.read_register(4)
    assert device.link.counts.bad == device.link.counts.resent == 8 and device.link.round_trip.patience == before


# -- the size of frames --------------------------------------------------------------------------------
def passes(size, count):
    for _ in range(count):
        size.adapt(0, size.words)
    return size.words


def test_frames_grow_fast_to_what_passed_before_a_loss():
    size = FrameSize()
    assert passes(size, 7) == 1024
    size.adapt(3, 1024)
    assert size.words == 128 and passes(size, 2) == 512  # the last that passed
    assert passes(size, 1) == 545 and passes(size, 11) > 1024
    for _ in range(12):
        size.adapt(1, size.words)
    assert size.words == 1 and passes(size, 100) == FrameSize.MOST


def test_frames_shrink_to_what_passes():
    size = FrameSize()
    for _ in range(60):  # never more than 40 words
        size.adapt(int(size.words > 40), size.words)
    assert 20 <= size.words <= 43


def test_frames_do_not_shrink_for_a_reply_that_comes_late(config, clock):
    words, last = np.zeros(400, np.uint32), np.ones(400, bool)
    board = Board(config, room=1000, burst=1000, pace=1000)
    device = Linked(config, Memory(clock, board))
    device.exchange(words, last, 400)
    size, device.link.wire.delay = device.link._size.words, device.link.round_trip.patience + 0.02
    device.link._exchange(words[:size], last[:size])
    assert board.repeated == 1 and device.link._size.words == size // 2  # lost, for all that is known
    device.read_register(4)
    assert device.link.counts.stale == 1 and device.link._size.words > size


@pytest.mark.parametrize("at", [5, -5, 60, -60, 100, -100])
def test_a_connection_that_breaks_goes_on_with_the_same_request(config, clock, undisturbed, at):
    """Before the request is carried out (above 0) or after (below)."""
    board = Board(config)
    device = Linked(config, Memory(clock, board, broken=[at], away=20))
    assert same(learn(device), undisturbed)
    assert device.link.counts.reopened == 1 and board.repeated == (at < 0)
    assert sum(board.carried.values()) == device.link.counts.requests


def test_a_connection_that_stays_away_is_given_up(config, clock):
    device = Linked(config, Memory(clock, Board(config), broken=[2], away=10**6))
    with pytest.raises(LinkError, match=r"^memory: the connection broke and did not come back within 30 s \(not there\): check "
                                        "cable and power$"):
        device.read_register(0)
    assert 30 <= clock.now < 32
    device = Linked(config, Memory(clock, Board(config), broken=[2], away=10**6))
    with pytest.raises(LinkError, match=r"within 30 s \(not there\): check cable and power, then coldspike train --resume DIR$"):
        device.write_register(4, 0)  # there may be a run to continue


def test_a_connection_that_breaks_again_and_again_is_given_up(config, clock):
    device = Linked(config, Memory(clock, Board(config), broken=range(2, 10**4)))
    with pytest.raises(LinkError, match="did not come back within 30 s"):
        device.read_register(0)


def test_a_connection_that_breaks_late_in_a_request_is_opened_again(config, clock):
    """10 s away, 25 s silent, away again: more than 30 s after the first break, but not 30 s away."""
    again = 0
    wire = Memory(clock, Board(config), away=50, broken=[2])
    device = Linked(config, wire)
    answering, wire.board = wire.board, None
    write = wire.write

    def late(data):
        nonlocal again
        if clock.now > 35 and not again:
            again, wire.away, wire.board = 1, 15, answering
            raise OSError("gone")
        write(data)
    wire.write = late
    assert device.read_register(4) == VERSION and device.link.counts.reopened == 2 and 38 < clock.now < 40


def test_a_connection_that_broke_is_closed_at_once(config, clock):
    """An open port keeps its name: the one that is plugged in again would get another."""
    device = Linked(config, Memory(clock, Board(config), broken=[2]))
    begin = clock.now
    device.read_register(4)
    assert device.link.wire.closed == [begin] and clock.now > begin + device.link.times.again


@pytest.mark.parametrize("action, status", [(Board.power_up, "CLOSED"), (lambda board: setattr(board, "last", 77), "SEQUENCE")])
def test_a_board_that_was_reset_is_noticed(config, clock, action, status):
    board = Board(config)
    device = Linked(config, Memory(clock, board))
    device.link._sequence = board.last = 3
    action(board)
    with pytest.raises(LinkError, match=rf"^memory: the board was reset and has lost its network \(status {status}\); try again$"):
        device.read_register(0)
    with pytest.raises(LinkError, match=rf"^memory: the board was reset and has lost its network \(status {status}\); .*--resume"):
        device.write_register(0, 0)


def test_what_a_board_refuses_is_said(config, clock):
    device = Linked(config, Memory(clock, Board(config)))
    with pytest.raises(LinkError, match="^memory: the board refused READ with status ADDRESS: load a bitstream"):
        device.read_register(0x7FFC)
    assert device.read_register(4) == VERSION


def test_silence_ends(config, clock):
    with pytest.raises(LinkError, match=r"^memory: no answer within 5 s: 0 bytes and 0 bad frames came; check cable, power"):
        Link(Memory(clock, None)).hello()
    assert clock.now < 7
    device = Linked(config, Memory(clock, Board(config)))
    device.link.wire.board = None
    begin = clock.now
    with pytest.raises(LinkError, match=r"^memory: no answer within 30 s: 0 bytes"):
        device.write_register(4, 0)
    assert clock.now - begin < 32


def test_a_board_that_falls_silent_is_no_noise(config, clock):
    """Late replies came, and none was bad."""
    wire = Memory(clock, Board(config))
    device = Linked(config, wire)
    device.write_register(4, 0)
    wire.board, wire.incoming = None, [(0.0, framed(b"\x00\x02\x00"))] * 3
    with pytest.raises(LinkError, match=r"^memory: no answer within 30 s: 27 bytes and 0 bad frames came; check cable, power and "
                                        r"the board's bitstream \(coldspike probe memory\), then coldspike train --resume DIR$"):
        device.write_register(4, 0)
    wire.incoming = [(0.0, b"\x7e123456789\x7e")]
    with pytest.raises(LinkError, match=r"no answer within 30 s: 11 bytes and 1 bad frames came; the line is too noisy: use a"):
        device.read_register(4)


class Echo:
    def feed(self, data):
        return data


def test_an_echo_is_named_and_never_taken_for_a_reply(config, clock):
    echo = r"frames came; \d+ requests came back as an echo: connect rx and tx with the board, not with each other"
    with pytest.raises(LinkError, match=rf"^memory: no answer within 5 s: \d+ bytes and 0 bad {echo}$"):
        Link(Memory(clock, Echo())).hello()
    device = Linked(config, Memory(clock, Board(config)))
    device.link.wire.board = Echo()
    zero = np.zeros(3, np.uint32), np.ones(3, bool)
    for request in (lambda: device.read_register(0), lambda: device.write_register(0, 0), lambda: device.exchange(*zero, 3)):
        with pytest.raises(LinkError, match=echo):
            request()


def test_a_wrong_baud_is_suspected_where_bytes_come(clock):
    class Babble:
        def feed(self, data):
            return b"\x7e1234567\x7e"
    with pytest.raises(LinkError, match=r"no answer within 5 s: \d+ bytes and \d+ bad frames came; is 3000000 the board's baud\?"):
        Link(Memory(clock, Babble())).hello()


def test_an_exchange_that_stands_still_ends(config, clock):
    device = Linked(config, Memory(clock, Board(config, pace=0)), progress=2.0)
    with pytest.raises(LinkError, match=r"^memory: no word passed for 2 s: 64 of 100 words sent, 0 of 100 results received; reset"):
        device.exchange(np.zeros(100, np.uint32), np.ones(100, bool), 100)


def test_another_version_of_the_link_is_named(config, clock):
    with pytest.raises(LinkError, match=r"^memory: the board speaks version 2 of the link, this release 1: load a bitstream"):
        Linked(config, Memory(clock, Board(config, version=2)))


def test_a_reply_to_an_earlier_hello_is_not_taken(config, clock):
    """The first HELLO's reply comes after the second was sent."""
    class Late(Memory):
        def write(self, data):
            held, self.held = getattr(self, "held", b""), self.board.feed(data)
            self.incoming.append((0.0, held if self.writes < 2 else self.held))
            self.writes += 1
    board = Board(config)
    device = Linked(config, Late(clock, board))
    assert board.carried[HELLO] == 3 and device.link.counts.stale == 1
    assert device.read_register(4) == VERSION


def test_a_round_trip_is_measured_and_waited_for(config, clock):
    device = Linked(config, Memory(clock, Board(config)), floor=1e-4)
    for _ in range(50):
        device.read_register(4)
    assert device.link.round_trip.mean < 0.001 and device.link.round_trip.patience < 0.003
    device.link.wire.board = None
    sent, begin = device.link.counts.sent, clock.now
    with pytest.raises(LinkError):
        device.read_register(4)
    assert 30 < device.link.counts.sent - sent < 60 and clock.now - begin > 30  # the waits grow to a second


def test_requests_are_counted(config, clock):
    board = Board(config)
    learn(Linked(config, Memory(clock, board)))
    assert board.carried[HELLO] == 1 and min(board.carried[kind] for kind in (READ, WRITE, EXCHANGE)) > 5
