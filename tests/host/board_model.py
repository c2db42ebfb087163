"""A model of a board's side of the serial link, from docs/link.md alone, with the golden device behind it; lines that lose bytes; a
pseudo-terminal at which a host finds the board."""

import binascii
import contextlib
import json
import os
import random
import select
import threading
import tty
import zlib
from collections import Counter, deque

import numpy as np

from coldspike.model.device import GoldenDevice
from coldspike.spec.registers import register_map

OK, CLOSED, UNKNOWN, SEQUENCE, ROOM, ADDRESS = range(6)
HELLO, READ, WRITE, EXCHANGE = 1, 2, 3, 4


def number(data):
    return int.from_bytes(data, "little")


def framed(body):
    """A frame, byte by byte."""
    out = bytearray([0x7E])
    for byte in body + binascii.crc32(body).to_bytes(4, "little"):
        out += bytes([0x7D, byte ^ 0x20]) if byte in (0x7E, 0x7D) else bytes([byte])
    return bytes(out + b"\x7e")


class Receiver:
    """Bodies from bytes, one at a time."""

    def __init__(self):
        self.body, self.escaped = bytearray(), False

    def take(self, byte):
        """A byte; the body that it ends, or None."""
        if byte == 0x7E:
            body, whole = bytes(self.body), not self.escaped
            self.body, self.escaped = bytearray(), False
            if whole and len(body) >= 6 and binascii.crc32(body[:-4]) == number(body[-4:]):
                return body[:-4]
        elif self.escaped:
            self.body.append(byte ^ 0x20)
            self.escaped = False
        elif byte == 0x7D:
            self.escaped = True
        else:
            self.body.append(byte)
        return None


def description(config, **changed):
    """The text of a board's description."""
    facts = {"board": "model", "clock": 50_000_000, "baud": 3_000_000, "core": config.as_dict()} | changed
    return zlib.compress(json.dumps(facts).encode())


class Board:
    """A byte machine: ``feed`` takes what arrives and returns what the board sends.

    Parameters
    ----------
    config : the build. room, burst : words of the two queues. pace : words that the accelerator takes at most between two requests.
    text : description. version : of the link. seed : of the accelerator's pace.

    Members
    -------
    carried : how often each kind was carried out. device : the accelerator. repeated : requests that came again.
    """

    def __init__(self, config, *, room=64, burst=32, pace=40, text=None, version=1, seed=0):
        self.config, self.room, self.burst, self.pace, self.version = config, room, burst, pace, version
        text = description(config) if text is None else text
        padded = text + bytes(-len(text) % 4)
        self.identity = [len(text), *(number(padded[i:i + 4]) for i in range(0, len(padded), 4))]
        self.addresses = {register.address for register in register_map(config)}
        self.carried, self.repeated, self.random = Counter(), 0, random.Random(seed)
        self.power_up()

    def power_up(self):
        """As switched off and on."""
        self.receiver, self.open, self.last, self.reply = Receiver(), False, None, b""
        self.reset()

    def reset(self):
        """The accelerator and both queues."""
        self.device = GoldenDevice(self.config)
        self.inbound, self.unfinished, self.pending, self.results, self.carrying = deque(), [], deque(), deque(), 0

    def feed(self, data):
        for byte in data:
            body = self.receiver.take(byte)
            if body is not None:
                self.receiver = Receiver()
                return framed(self.answer(body))  # what came behind it is dropped
        return b""

    def answer(self, body):
        self.work()
        sequence, kind, rest = body[0], body[1], body[2:]
        head = bytes([sequence, kind])
        if kind == HELLO and len(rest) == 4:
            self.open, self.last = True, sequence
            self.reset()
            self.carried[HELLO] += 1
            sizes = self.room.to_bytes(2, "little") + self.burst.to_bytes(2, "little")
            self.reply = head + bytes([OK]) + rest + bytes([self.version]) + sizes
            return self.reply
        if not self.open:
            return head + bytes([CLOSED])
        if sequence == self.last:
            self.repeated += 1
            return self.reply
        if sequence != (self.last + 1) % 256:
            return head + bytes([SEQUENCE])
        for _ in range(self.carrying):  # those of the reply before
            self.results.popleft()
        self.last, self.carrying = sequence, 0
        status, more = self.carry_out(kind, rest)
        self.reply = head + bytes([status]) + more
        return self.reply

    def carry_out(self, kind, rest):
        if kind == EXCHANGE and len(rest) >= 2:
            return self.exchange(number(rest[:2]), rest[2:])
        if (kind, len(rest)) not in ((READ, 2), (WRITE, 6)):
            return UNKNOWN, b""
        self.carried[kind] += 1
        address = number(rest[:2])
        if kind == READ and address >= 0x8000:
            place = (address - 0x8000) // 4
            return OK, (self.identity[place] if place < len(self.identity) else 0).to_bytes(4, "little")
        if address not in self.addresses:
            return ADDRESS, b""
        if kind == READ:
            return OK, self.device.read_register(address).to_bytes(4, "little")
        self.device.write_register(address, number(rest[2:]))
        return OK, b""

    def exchange(self, want, data):
        words = []
        while data:
            flags, data = data[0], data[1:]
            group, data = data[:32], data[32:]
            if not group or len(group) % 4:
                return UNKNOWN, b""
            words += [(number(group[i:i + 4]), flags >> i // 4 & 1) for i in range(0, len(group), 4)]
        if len(words) > self.room - len(self.inbound):
            return ROOM, b""
        self.inbound.extend(words)
        self.carried[EXCHANGE] += 1
        self.carrying = min(want, len(self.results))
        out = [self.results[n] for n in range(self.carrying)]
        reply = (self.room - len(self.inbound)).to_bytes(2, "little") + (len(self.results) - self.carrying).to_bytes(2, "little")
        for begin in range(0, len(out), 8):
            group = out[begin:begin + 8]
            reply += b"".join(word.to_bytes(4, "little") for word, _ in group)
            reply += bytes([sum(last << n for n, (_, last) in enumerate(group))])
        return OK, reply

    def work(self):
        """The accelerator takes words while its results find room, and gives them."""
        for _ in range(self.random.randint(0, self.pace)):
            if not self.inbound or self.pending:
                break
            self.unfinished.append(self.inbound.popleft())
            if self.unfinished[-1][1]:
                packet = np.array([word for word, _ in self.unfinished], np.uint32)
                words, last = self.device.exchange(packet, np.arange(len(packet)) == len(packet) - 1, 0)
                self.pending.extend(zip(words.tolist(), last.astype(int).tolist(), strict=True))
                self.unfinished = []
        while self.pending and len(self.results) < self.burst:
            self.results.append(self.pending.popleft())


class Line:
    """One direction of wires: each byte is lost, changed or repeated with probability ``faults``."""

    def __init__(self, faults=0.0, seed=0):
        self.faults, self.random = faults, random.Random(seed)

    def pass_on(self, data):
        if not self.faults:
            return data
        out = bytearray()
        for byte in data:
            if self.random.random() >= self.faults:
                out.append(byte)
                continue
            kind = self.random.randrange(3)
            out += bytes([byte, byte]) if kind == 0 else bytes([byte ^ self.random.randrange(1, 256)]) if kind == 1 else b""
        return bytes(out)


class Served:
    """A board at a pseudo-terminal, in a thread of its own; a context manager.

    Parameters
    ----------
    board : what is there; None: nothing answers. path : of the port, a link to the terminal.
    faults, seed : of both lines. events : calls by number of the read in which a request arrives, with this object and the bytes;
        true: it dealt with them.
    """

    def __init__(self, board, path, faults=0.0, seed=1, events=None):
        self.board, self.path = board, path
        self.lines = Line(faults, seed), Line(faults, seed + 1)
        self.events, self.frames, self.stopped = dict(events or {}), 0, False
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.plug_in()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join(10)
        self.pull()

    def plug_in(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.symlink_to(os.ttyname(self.slave))
        fresh.replace(self.path)

    def pull(self):
        os.close(self.master)
        os.close(self.slave)
        self.path.unlink(missing_ok=True)

    def serve(self):
        while not self.stopped:
            if not select.select([self.master], [], [], 0.02)[0]:
                continue
            with contextlib.suppress(BlockingIOError):
                self.answer(os.read(self.master, 1 << 16))

    def answer(self, data):
        self.frames += 1
        event = self.events.pop(self.frames, None)
        if event and event(self, data):
            return
        if self.board is not None:
            os.write(self.master, self.lines[1].pass_on(self.board.feed(self.lines[0].pass_on(data))))
