"""FrameReceiver and FrameSender against framing in Python: escapes, garbage, corruption, timing."""

import random

import pytest

from coldspike.hw.link.frame_receiver import FrameReceiver
from coldspike.hw.link.frame_sender import FrameSender

from ..support import PAUSES, simulate, sink, source, watch
from .frames import crc, decode, encode, escaped

FLAG, ESCAPE = b"\x7e", b"\x7d"


def bodies(count, longest, seed, shortest=0):
    """Random bodies, rich in bytes that need escapes."""
    rng = random.Random(seed)
    return [bytes(rng.choice([0x7D, 0x7E, 0x5D, 0x5E, rng.randrange(256)]) for _ in range(rng.randint(shortest, longest)))
            for _ in range(count)]


def received(stream, idle=0.0):
    """Bodies of the frames that the receiver finds good; their bytes must have come as its docstring says."""
    dut, rng, found = FrameReceiver(), random.Random(1), []

    async def bench(ctx):
        body = []
        for byte in stream:
            while idle and rng.random() < idle:
                ctx.set(dut.i_data, rng.randrange(256))
                _, _, valid, end = await ctx.tick().sample(dut.valid, dut.end)
                assert not valid and not end
            ctx.set(dut.i_data, byte)
            ctx.set(dut.i_valid, 1)
            _, _, data, valid, end, good = await ctx.tick().sample(dut.data, dut.valid, dut.end, dut.good)
            ctx.set(dut.i_valid, 0)
            assert end == (byte == FLAG[0]) and not (valid and end)
            if valid:
                body.append(data)
            if end:
                found.extend([bytes(body)] if good else [])
                body = []

    simulate(dut, bench)
    return found


@pytest.mark.parametrize("idle", [0.0, 0.5])
def test_receiver_takes_frames(idle):
    sent = [*bodies(30, 12, 2), b"", b"\x7e", b"\x7d", b"\x7e" * 9, b"\x7d" * 9, bytes(20), b"\xff" * 20]
    assert received(b"".join(map(encode, sent)), idle) == sent


def test_receiver_takes_a_crc_of_escapes():
    """CRCs that hold bytes to escape, which bodies seldom have by chance."""
    sent = [body for n in range(3000) if {0x7D, 0x7E} & set(crc(body := n.to_bytes(2, "little")))][:20]
    assert received(b"".join(map(encode, sent))) == sent


def test_receiver_takes_frames_that_share_a_flag():
    sent = bodies(20, 8, 3)
    assert received(FLAG + b"".join(encode(body, opening=False) for body in sent)) == sent


def test_receiver_takes_the_first_frame_without_a_flag_before_it():
    assert received(encode(b"first", opening=False)) == [b"first"]


def test_receiver_drops_garbage_around_frames():
    rng, stream, sent = random.Random(4), b"", bodies(20, 8, 4)
    for body in sent:
        garbage = bytes(rng.choice([0x7D, 0x7E, *rng.randbytes(6)]) for _ in range(rng.randrange(12)))
        stream += garbage + encode(body)
    assert received(stream) == sent == decode(stream, shortest=0)


def test_receiver_agrees_on_anything():
    """Garbage made of what matters, frames between it."""
    rng = random.Random(5)
    parts = [encode(body, opening=rng.random() < 0.5) for body in bodies(30, 4, 5)]
    stream = b"".join(b"".join(rng.choices([FLAG, ESCAPE, ESCAPE + FLAG, part[1:], part[:-1], part], k=3)) for part in parts)
    assert received(stream) == decode(stream, shortest=0)


def test_receiver_refuses_every_single_bit_error():
    for body in (b"", b"\x01\x03\x7e\x7d\x00\x80"):
        frame = encode(body)
        stream = b""
        for bit in range(8 * len(frame)):
            wrong = bytearray(frame)
            wrong[bit // 8] ^= 1 << bit % 8
            stream += bytes(wrong) + FLAG  # its own last flag may be the wrong one
        assert received(stream) == []
        assert received(stream + frame) == [body]


def test_receiver_refuses_an_escape_before_a_flag():
    for body in (b"abc", b"ab\x7e"):
        inner = escaped(body + crc(body))
        assert received(FLAG + inner + ESCAPE + FLAG) == []
        assert received(FLAG + inner + ESCAPE + FLAG + encode(b"next") + FLAG) == [b"next"]
    assert received(FLAG + ESCAPE + FLAG + encode(b"next")) == [b"next"]
    assert received(FLAG + ESCAPE + FLAG + b"n" + encode(b"next")[2:]) == [b"next"]  # the escape does not reach over the flag


def test_receiver_refuses_what_is_shorter_than_a_crc():
    assert received(b"".join(FLAG + b"\0" * n + FLAG for n in range(4)) + FLAG * 5 + encode(b"a")) == [b"a"]


def test_receiver_gives_a_byte_with_the_fourth_after_it():
    dut, body, found = FrameReceiver(), b"\x01\x7e\x03\x04\x05\x06", []
    frame = encode(body)
    ends = [n for n in range(len(frame)) if frame[n] != ESCAPE[0] and 0 < n < len(frame) - 1]  # where bytes are whole

    async def bench(ctx):
        ctx.set(dut.i_valid, 1)
        for byte in frame:
            ctx.set(dut.i_data, byte)
            _, _, data, valid, good, end = await ctx.tick().sample(dut.data, dut.valid, dut.good, dut.end)
            found.append((data if valid else None, good & end))

    simulate(dut, bench)
    assert {n: data for n, (data, _) in enumerate(found) if data is not None} == {ends[n + 4]: byte for n, byte in enumerate(body)}
    assert [n for n, (_, good) in enumerate(found) if good] == [len(frame) - 1]


def payloads(sent):
    return [{"data": byte, "last": n == len(body) - 1} for body in sent for n, byte in enumerate(body)]


@pytest.mark.parametrize("idle, stall", PAUSES)
def test_sender(idle, stall):
    dut, trace, out = FrameSender(), [], []
    sent = [*bodies(15, 12, 6, shortest=1), *(body for n in range(3000) if 0x7E in crc(body := n.to_bytes(2, "little")))][:25]
    expected = b"".join(map(encode, sent))
    simulate(dut, source(dut.i, payloads(sent), idle=idle, rng=random.Random(7)),
             sink(dut.o, out, len(expected), stall=stall, rng=random.Random(8)),
             background=[watch(trace, valid=dut.o.valid, ready=dut.o.ready, byte=dut.o.payload, begins=dut.i.valid)])
    assert bytes(out) == expected
    for before, after in zip(trace, trace[1:]):  # an offer stands until it is taken
        assert not before["valid"] or before["ready"] or (after["valid"] and after["byte"] == before["byte"])


def test_sender_latency_and_throughput():
    """A byte in every cycle, the first flag in the cycle in which the body begins."""
    dut, trace, out = FrameSender(), [], []
    sent = bodies(10, 9, 9, shortest=1)
    expected = b"".join(map(encode, sent))

    async def delayed(ctx):
        await ctx.tick().repeat(5)
        await source(dut.i, payloads(sent))(ctx)

    simulate(dut, delayed, sink(dut.o, out, len(expected)), background=[watch(trace, valid=dut.o.valid, i=dut.i.valid)])
    assert bytes(out) == expected
    assert [t["valid"] for t in trace] == [0] * 5 + [1] * len(expected)
    assert not trace[4]["i"] and trace[5]["i"]
