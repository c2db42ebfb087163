"""The whole SerialLink against docs/link.md: random requests of a host that resends and breaks them, directed ones, timing."""

import random

import pytest

from coldspike.spec.link import LinkStatus, Request

from .frames import encode, groups_in, words_of_groups_out
from .world import IDENTITY, Rates, play

HELLO, READ, WRITE, EXCHANGE = Request
OK, CLOSED, UNKNOWN, SEQUENCE, ROOM, ADDRESS = LinkStatus
NONCE = b"\x7e\x01\x7d\x80"


def number(world, step=1):
    return (world.board.last + step) % 256


def hello(sequence):
    return bytes([sequence, HELLO]) + NONCE


def read(world, address):
    return bytes([number(world), READ]) + address.to_bytes(2, "little")


def write(world, address, value):
    return bytes([number(world), WRITE]) + address.to_bytes(2, "little") + value.to_bytes(4, "little")


def exchange(world, words, want):
    return bytes([number(world), EXCHANGE]) + want.to_bytes(2, "little") + groups_in(words)


def some_words(rng, count):
    return [(rng.choice([0x7D7E7D7E, 0, 0xFFFFFFFF, rng.getrandbits(32)]), rng.randrange(2)) for _ in range(count)]


# -- random --------------------------------------------------------------------------------------------
def request(world, rng):
    """A body as hosts and wires make them: mostly a new request, sometimes an old one, or none that exists."""
    board, kind = world.board, rng.random()
    if kind < 0.55:
        count = rng.choice([0, 1, 2, 7, 8, 9, board.free, board.free, min(board.free, 17), board.free + 1, board.room + 3])
        body = exchange(world, some_words(rng, count), rng.choice([0, 1, 3, board.burst - 1, board.burst, board.burst + 1, 0xFFFF]))
    elif kind < 0.68:
        body = read(world, rng.choice([*board.registers, 0x020, 0x1000, 0x7FFC, 0x8000, 0x8004, 0x800C, 0x8018, 0xFFFC]))
    elif kind < 0.82:
        body = write(world, rng.choice([*board.registers, 0x020, 0x1000, 0x1010, 0x8000]), rng.getrandbits(32))
    elif kind < 0.85:
        body = hello(rng.randrange(256))
    elif kind < 0.93:  # another length
        body = rng.choice([read(world, 0), write(world, 0x010, 5), hello(number(world)), exchange(world, some_words(rng, 3), 9)])
        body = body + rng.randbytes(rng.randint(1, 3)) if rng.random() < 0.5 else body[:rng.randint(2, len(body) - 1)]
    else:
        body = bytes([number(world), rng.choice([0, 5, 0x41, 0x81, 0xFF])]) + rng.randbytes(rng.choice([0, 2, 4, 6, 7, 35]))
    if rng.random() < 0.08:
        body = bytes([number(world, rng.choice([-1, 2, 3, 127, 128, 255]))]) + body[1:]
    return body


def broken(frame, rng):
    """A frame that does not arrive whole: bits or bytes wrong, missing, repeated, or the beginning alone."""
    place = rng.randrange(1, len(frame) - 1)
    return rng.choice([
        frame[:place] + bytes([frame[place] ^ 1 << rng.randrange(8)]) + frame[place + 1:],
        frame[:place] + frame[place + 1:],
        frame[:place] + rng.randbytes(1) + frame[place:],
        frame[:place], frame[:-5] + b"\x7d\x7e", frame[:-1] + b"\x7d\x7e",
    ])


async def converse(world, rng, requests, at_once):
    """One request after the other; replies are lost, frames broken, sent while the board answers."""
    body = hello(rng.randrange(256))
    for _ in range(requests):
        known_hello = body[1] == HELLO and len(body) == 6
        ask = world.ask_at_once if at_once and not known_hello else world.ask  # of what a reset loses only silence tells
        if rng.random() < 0.25 and (frame := encode(body)) and (wrong := broken(frame, rng)) != frame:
            await world.send(wrong + b"\x7e")
            await world.silence(40)
        await ask(body)
        while rng.random() < 0.25:  # the reply was lost
            await world.steps(rng.choice([0, 30]))
            await ask(body)
        if rng.random() < 0.15:
            await talk_over(world, rng)
        await world.steps(rng.choice([0, 0, 5, 40]))
        if rng.random() < 0.1:
            world.rates = Rates(*(rng.choice([0.4, 1, 1]) for _ in range(2)), *(rng.choice([0, 0.03, 0.2, 1]) for _ in range(2)))
        body = request(world, rng)


async def talk_over(world, rng):
    """Another request that begins and ends while the board sends its reply is dropped."""
    first = read(world, 0x8004)
    await world.hush()
    world.held = True  # a reply stands still
    await world.send(encode(first))
    await world.steps(10)
    expected = world.board.answer(first)
    for body in (exchange(world, some_words(rng, rng.randint(0, 4)), 3), first, write(world, 0x010, 99), hello(7)):
        if rng.random() < 0.6:
            await world.send(encode(body))
    await world.steps(4)
    world.held = world.quiet = False
    assert await world.reply() == expected
    await world.silence(30)
    world.check()


@pytest.mark.parametrize("room, burst, seed", [(8, 4, 1), (16, 8, 2)])
def test_random_requests(room, burst, seed):
    """Replies byte for byte."""
    rng = random.Random(seed)
    play(lambda world: converse(world, rng, 65, at_once=False), room=room, burst=burst, seed=seed,
         rates=Rates(host=1 if seed == 1 else 0.5, line=0.7, packets=0.1, results=0.3), pause=0.5 * (seed - 1))


@pytest.mark.parametrize("room, burst, seed", [(8, 8, 3), (16, 4, 4)])
def test_random_requests_while_words_pass(room, burst, seed):
    """Words, and replies but for the counts that depend on the cycle."""
    rng = random.Random(seed)
    play(lambda world: converse(world, rng, 65, at_once=True), room=room, burst=burst, seed=seed,
         rates=Rates(packets=0.05, results=0.2), pause=0.3)


@pytest.mark.parametrize("loss", [0.0, 0.6])
def test_results_arrive_once_each_in_order(loss):
    """Whatever replies get lost, the host has every result once, whole packets or not, while more come."""
    rng, got = random.Random(5), []

    async def scenario(world):
        await world.ask(hello(250))
        while len(got) < 120:
            body = exchange(world, [], rng.choice([1, 4, 8]))
            reply = await world.ask_at_once(body)
            while rng.random() < loss:
                again = await world.ask_at_once(body)
                assert again[7:] == reply[7:]
            got.extend(words_of_groups_out(reply[7:]))
        assert got == world.board.results[:len(got)]

    play(scenario, rates=Rates(results=0.5), seed=5)


def test_words_of_a_frame_that_is_not_good_never_arrive():
    """Single bits wrong in a request with words, at every place; between the attempts others are accepted."""
    rng = random.Random(6)

    async def scenario(world):
        await world.ask(hello(0))
        for place in range(7, 40, 2):
            frame = bytearray(encode(exchange(world, [(0xBAD00000 + n, 1) for n in range(8)], 0)))
            frame[place] ^= 1 << rng.randrange(8)
            await world.send(bytes(frame))
            await world.silence(8)
            await world.ask(exchange(world, some_words(rng, world.board.free), 8))
            await world.steps(12)
        assert not any(word >> 20 == 0xBAD for word, _ in world.board.seen)

    play(scenario)


# -- directed ------------------------------------------------------------------------------------------
def test_a_closed_link_refuses_all_but_hello():
    async def scenario(world):
        for body in (b"\x00\x02\x00\x00", b"\x01\x03\x10\x00abcd", b"\x07\x04\x03\x00\x01abcd", b"\x00\x09", b"\x00\x01abc"):
            assert (await world.ask(body))[2] == CLOSED
            assert not world.ctx.get(world.dut.open)
        assert await world.ask(hello(3)) == bytes([3, HELLO, OK]) + NONCE + bytes([1, 8, 0, 4, 0])
        assert world.ctx.get(world.dut.open)
        assert (await world.ask(b"\x04\x02\x00\x00"))[2:] == bytes([OK]) + b"\x0d\x60\x0d\x60"

    play(scenario, burst=4)


def test_hello_empties_both_queues_and_resets():
    """Words that wait at either side are gone, and the reset lasts some cycles."""
    async def scenario(world):
        await world.ask(hello(9))
        for _ in range(3):
            world.rates.packets, world.rates.results = 0, 1
            await world.ask(exchange(world, [(n, 1) for n in range(8)], 8))
            await world.ask(exchange(world, [(n, 1) for n in range(3)], 8))  # refused: no room
            assert world.board.free == 0 and world.board.held == 8
            await world.hush()
            lasts = 0
            await world.send(encode(hello(77)))
            while not world.host:
                lasts += world.ctx.get(world.dut.reset)
                await world.step()
            assert lasts == 16
            assert await world.reply() == world.board.answer(hello(77))
            assert not world.ctx.get(world.dut.packets.valid)
            world.rates.packets, world.quiet = 1, False
            await world.steps(20)
            assert not world.board.seen
            reply = await world.ask(exchange(world, [], 8))
            assert words_of_groups_out(reply[7:]) == world.board.results[:8] != []

    play(scenario)


def test_hello_with_the_number_of_the_last_request():
    """It opens the link nonetheless; the numbers go on from it."""
    async def scenario(world):
        await world.ask(hello(5))
        await world.ask(write(world, 0x010, 1))
        await world.ask(hello(6))
        assert world.board.hellos == world.resets == 2
        assert (await world.ask(read(world, 0x010)))[:3] == bytes([7, READ, OK])

    play(scenario)


def test_a_repeated_number_is_the_last_request_whatever_it_says():
    async def scenario(world):
        await world.ask(hello(254))
        first = write(world, 0x010, 0x11)
        for rest in (first[1:], first[1:4] + b"\x22\0\0\0", b"\x02\x00\x00", b"\x04\x01\x00\x01abcd", b"\x09", b"\x01abc"):
            assert await world.ask(b"\xff" + rest) == bytes([255, WRITE, OK])
        assert (await world.ask(read(world, 0x010)))[3:] == b"\x11\0\0\0"
        refused = exchange(world, [(n, 0) for n in range(9)], 1)
        assert (await world.ask(refused))[2] == ROOM
        assert (await world.ask(refused[:9]))[2] == ROOM  # it would fit now, and is the last one nonetheless
        assert not world.board.words

    play(scenario)


def test_frames_that_are_too_short_are_dropped():
    """None is taken for the rest of the request before it."""
    async def scenario(world):
        await world.ask(hello(0))
        for make in (lambda: read(world, 4), lambda: write(world, 0x010, 7), lambda: exchange(world, [(1, 1)] * 2, 2),
                     lambda: b"\x04\x09"):
            await world.ask(make())
            for body in (b"", bytes([number(world)]), bytes([number(world, 0)])):
                await world.send(encode(body))
                await world.silence(30)
        await world.ask(read(world, 0x010))

    play(scenario)


def test_numbers_wrap_and_all_others_are_refused():
    async def scenario(world):
        await world.ask(hello(255))
        assert (await world.ask(b"\x00\x02\x04\x00"))[2] == OK
        for sequence in range(2, 256, 11):
            assert await world.ask(bytes([sequence]) + b"\x03\x10\x00abcd") == bytes([sequence, WRITE, SEQUENCE])
        assert (await world.ask(b"\x00\x03\x10\x00abcd")) == bytes([0, READ, OK]) + b"\x7d\x7e\x7d\x7e"
        assert (await world.ask(b"\x01\x02\x10\x00"))[3:] == b"\0\0\0\0"

    play(scenario)


def test_a_refusal_in_between_keeps_the_results_of_the_last_reply():
    """SEQUENCE changes nothing: what was sent can be sent again, and leaves with the next request only."""
    async def scenario(world):
        await world.ask(hello(0))
        await world.steps(20)
        world.rates.results = 0
        last = exchange(world, [], 3)
        first = await world.ask(last)
        for _ in range(2):
            assert (await world.ask(b"\x40\x04\x05\x00"))[2] == SEQUENCE
            assert await world.ask(last) == first
        second = await world.ask(exchange(world, [], 9))
        assert words_of_groups_out(first[7:]) + words_of_groups_out(second[7:]) == world.board.results[:8]

    play(scenario)


@pytest.mark.parametrize("between", [b"\x09", b"\x02\x00\x00", b"\x03\x10\x00abcd", b"\x02\x00\x10", b"\x04\x00"])
def test_results_leave_with_the_next_request_of_any_kind(between):
    async def scenario(world):
        await world.ask(hello(255))
        await world.steps(20)
        world.rates.results = 0
        first = await world.ask(exchange(world, [], 3))
        for _ in range(2):
            await world.ask(b"\x01" + between)
        second = await world.ask(exchange(world, [], 9))
        assert words_of_groups_out(first[7:]) + words_of_groups_out(second[7:]) == world.board.results

    play(scenario)


def test_a_reply_that_is_sent_again_is_the_same():
    """Byte for byte, as long as no word passes in between."""
    rng = random.Random(7)

    async def scenario(world):
        await world.ask(hello(0))
        await world.steps(10)
        world.rates.results = world.rates.packets = 0
        for make in (lambda: exchange(world, some_words(rng, 3), 4), lambda: exchange(world, [], 2), lambda: read(world, 0x7FC),
                     lambda: read(world, 0x8004), lambda: read(world, 0x1000), lambda: exchange(world, some_words(rng, 9), 4)):
            body = make()
            first = await world.ask(body)
            assert await world.ask(body) == await world.ask(body, opening=False) == first

    play(scenario)


def test_description_and_addresses():
    """The text's length and words, 0 behind them; nothing from 0x1000 on; the port's own registers and errors."""
    async def scenario(world):
        await world.ask(hello(0))
        for place, word in enumerate([*IDENTITY, 0, 0, 0]):
            assert (await world.ask(read(world, 0x8000 + 4 * place)))[2:] == bytes([OK]) + word.to_bytes(4, "little")
        for address in (0x8000 + 4 * 64, 0x9000, 0xC004, 0xFFFC):
            assert (await world.ask(read(world, address)))[2:] == bytes(5)
        for address in (0x1000, 0x1004, 0x2000, 0x4010, 0x7FFC):
            assert (await world.ask(read(world, address)))[2:] == bytes([ADDRESS])
            assert (await world.ask(write(world, address, 5)))[2:] == bytes([ADDRESS])
        for address in (0x8000, 0x8004, 0xF000):
            assert (await world.ask(write(world, address, 5)))[2:] == bytes([ADDRESS])
        assert not world.board.accesses
        for address in (0x020, 0xFF8):
            assert (await world.ask(read(world, address)))[2:] == bytes([ADDRESS])
            assert (await world.ask(write(world, address, 5)))[2:] == bytes([ADDRESS])
        assert len(world.board.accesses) == 4

    play(scenario)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 15, 16])
def test_groups_both_ways(count):
    """Whole and broken groups, all words and flags of them; the last group ends with its last word."""
    rng = random.Random(count)

    async def scenario(world):
        await world.ask(hello(0))
        await world.steps(40)
        words = some_words(rng, count)
        reply = await world.ask(exchange(world, words, count))
        assert reply[2] == OK and words_of_groups_out(reply[7:]) == world.board.results[:count]
        await world.steps(20)
        assert world.board.seen == words
        for extra in range(1, 4):  # bytes that are no word
            assert (await world.ask(exchange(world, words, 0) + bytes(extra)))[2] == UNKNOWN
        assert (await world.ask(exchange(world, words[:8], 0) + b"\x01"))[2] == UNKNOWN  # flags of no word
        assert (await world.ask(exchange(world, [], 0) + bytes(1)))[2] == UNKNOWN
        assert world.board.words == words

    play(scenario, room=16, burst=16)


def test_more_words_than_room_are_refused_all():
    """And then as many as fit are accepted, though the others were half in the queue."""
    async def scenario(world):
        world.rates.packets = 0
        await world.ask(hello(0))
        for taken in (3, 4, 1):
            free = world.board.free
            for count in (free + 1, free + 8):
                assert (await world.ask(exchange(world, [(0xBAD, 1)] * count, 1)))[2] == ROOM
            reply = await world.ask(exchange(world, [(n, 0) for n in range(taken)], 1))
            assert reply[2] == OK and int.from_bytes(reply[3:5], "little") == free - taken
        assert world.board.free == 0
        assert (await world.ask(exchange(world, [(0xBAD, 1)], 1)))[2] == ROOM
        assert (await world.ask(exchange(world, [], 1)))[2] == OK

    play(scenario)


def test_the_server_answers_when_its_docstring_says():
    """First byte of a reply: head two cycles after the request's end, HELLO 18; a cycle each for writer and the way to the line."""
    async def scenario(world):
        async def cycles(body):
            await world.hush()
            await world.send(encode(body))
            count = 0
            while not world.host:
                await world.step()
                count += 1
            expected = world.board.answer(body)
            world.quiet = False
            assert await world.reply() == expected
            return count

        way = await cycles(b"\x00\x02\x00\x00") - 2
        assert await cycles(hello(0)) == way + 18
        for body in (b"\x01\x09", b"\x01\x09", b"\x50\x09"):
            assert await cycles(body) == way + 2
        assert await cycles(exchange(world, [(1, 1)], 1)) == way + 2
        assert 0 <= way <= 4

    play(scenario)


def test_bytes_pass_in_every_cycle():
    """A request and its reply without a pause on either side: a byte in every cycle but for a word's beginning."""
    async def scenario(world):
        await world.ask(hello(0))
        await world.steps(40)
        body = exchange(world, [(n, 0) for n in range(16)], 16)
        await world.hush()
        await world.send(encode(body))
        await world.starts()
        expected, count = world.board.answer(body), 1
        while not (len(world.host) > 1 and world.host[-1] == 0x7E):
            await world.step()
            count += 1
        assert expected[2] == OK and len(words_of_groups_out(expected[7:])) == 16
        assert len(world.host) <= count <= len(world.host) + 2
        world.quiet = False
        assert await world.reply() == expected

    play(scenario, room=16, burst=16)
