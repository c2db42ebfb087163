"""A SerialLink between a host, registers, a taker of packets and a giver of results, cycle by cycle, beside frames.Board."""

import random

from coldspike.hw.link.serial_link import SerialLink

from ..support import simulate
from .frames import Board, Given, decode, encode
from .slave import slave

__all__ = ["IDENTITY", "REGISTERS", "Rates", "World", "play"]

REGISTERS = {0x000: 0x600D600D, 0x004: 0x7E7D7E7D, 0x010: 0, 0x7FC: 1, 0xFFC: 0x12345678}
IDENTITY = [18, 0x03020100, 0x07060504, 0x7E7D7E7D, 0x0F0E0D0C, 0x11]
FLAG = 0x7E


class Rates:
    """How often something happens in a cycle: a byte comes, a reply's byte goes, a word is taken, a result is given."""

    def __init__(self, host=1.0, line=1.0, packets=1.0, results=1.0):
        self.host, self.line, self.packets, self.results = host, line, packets, results


class World:
    """Members: ``board``, what must happen; ``host``, bytes from the board; ``quiet``: no word passes at either side; ``held``: no
    byte to the host; ``resets``: how often the reset began; ``cycles`` so far."""

    def __init__(self, ctx, dut: SerialLink, board: Board, rates: Rates, seed: int):
        self.ctx, self.dut, self.board, self.rates, self.rng = ctx, dut, board, rates, random.Random(seed)
        self.host, self.quiet, self.held, self.resets, self.number, self.cycles = bytearray(), False, False, 0, 0, 0
        self._reset, self._offered, self._packet, self._byte = 0, None, None, None

    def _roll(self, rate: float) -> bool:
        return rate >= 1 or self.rng.random() < rate

    async def step(self, byte: int | None = None):
        """A cycle, in which ``byte`` arrives."""
        ctx, dut, board = self.ctx, self.dut, self.board
        self.cycles += 1
        ctx.set(dut.i_valid, byte is not None)
        ctx.set(dut.i_data, self.rng.randrange(256) if byte is None else byte)
        line = not self.held and self._roll(self.rates.line)
        takes = not self.quiet and self._roll(self.rates.packets)
        if self._offered is None and self._roll(self.rates.results):
            self._offered = self.rng.choice([self.number, 0x7E7D7E7D, self.number << 24]), self.rng.randrange(2)
            self.number += 1
        gives = self._offered is not None and not self.quiet and self.rates.results > 0
        ctx.set(dut.o.ready, line)
        ctx.set(dut.packets.ready, takes)
        ctx.set(dut.results.valid, gives)
        if gives:
            ctx.set(dut.results.payload, dict(zip(("data", "last"), self._offered)))
        _, _, o_valid, o_byte, p_valid, p_word, r_ready, reset = await ctx.tick().sample(
            dut.o.valid, dut.o.payload, dut.packets.valid, dut.packets.payload, dut.results.ready, dut.reset)
        assert self._byte is None or (o_valid and o_byte == self._byte), "a byte was taken back"
        self._byte = o_byte if o_valid and not line else None
        if o_valid and line:
            self.host.append(o_byte)
        word = (p_word.data, p_word.last) if p_valid else None
        assert self._packet is None or reset or self._reset or word == self._packet, "a word was taken back"
        self._packet = word if not takes else None
        if word and takes:
            board.seen.append(word)
        if gives and r_ready:
            board.results.append(self._offered)
            self._offered = None
        self.resets += reset and not self._reset
        self._reset = reset

    async def steps(self, count: int):
        for _ in range(count):
            await self.step()

    async def send(self, data: bytes):
        """Bytes from the host."""
        for byte in data:
            while not self._roll(self.rates.host):
                await self.step()
            await self.step(byte)

    async def hush(self):
        """From here on no word passes at either side."""
        self.quiet = True
        await self.steps(4)  # until all counts have followed

    async def reply(self) -> bytes:
        """The body of the next reply, once its last byte has come."""
        for _ in range(6000):
            if len(self.host) > 1 and self.host[-1] == FLAG:
                body, = decode(bytes(self.host))
                self.host.clear()
                return body
            await self.step()
        raise AssertionError("no reply")

    async def starts(self):
        """Until a reply's first byte has come."""
        for _ in range(500):
            if self.host:
                return
            await self.step()
        raise AssertionError("no reply")

    async def silence(self, cycles: int = 60):
        """The board says nothing."""
        await self.steps(cycles)
        assert not self.host

    async def ask(self, body: bytes, *, opening: bool = True) -> bytes:
        """A request; while it is on its way no word passes, so that the reply is known byte for byte."""
        await self.hush()
        await self.send(encode(body, opening=opening))
        await self.starts()
        expected = self.board.answer(body)
        self.quiet = False
        assert (found := await self.reply()) == expected
        self.check()
        return found

    async def ask_at_once(self, body: bytes) -> bytes:
        """A request while words pass; of the reply's counts only bounds are known."""
        board = self.board
        await self.steps(4)
        self.quiet = True
        await self.steps(4)
        self.quiet = False
        new = board.is_new(body)
        words = body[1] == 4
        free, waiting = board.free, board.waiting
        await self.send(encode(body))
        await self.starts()
        most_free, most_waiting = board.free, board.waiting  # the words of this request not yet counted
        found = await self.reply()
        given = None
        if words and found[2] == 0 and found[1] == 4:
            want = int.from_bytes(body[2:4], "little")
            room, more = (int.from_bytes(found[n:n + 2], "little") for n in (3, 5))
            count = (len(found) - 7) * 8 // 33
            if new:
                assert min(want, waiting) <= count <= min(want, most_waiting) and waiting <= count + more <= most_waiting
            else:
                assert waiting <= more <= most_waiting
            given = Given(fits=True, room=room, count=count, more=more)
        elif words and new and found[2] == 4:
            given = Given(fits=False, room=0, count=0, more=0)
        sent = len(board.words)
        assert found == board.answer(body, given)
        sent = len(board.words) - sent
        if given and given.fits:
            assert free - sent <= given.room <= most_free
            assert sent <= most_free
        elif given:
            assert (len(body) - 4) * 8 // 33 > free  # there was no room at the beginning
        self.check()
        return found

    def check(self):
        """What the accelerator saw so far is what was accepted, and the reset was not pulled by anything but HELLO."""
        board = self.board
        assert board.seen == board.words[:len(board.seen)]
        assert self.resets == board.hellos


def play(scenario, *, room=8, burst=8, rates=None, seed=1, pause=0.0, deadline=60_000):
    """Runs ``scenario``, an async function of a World; then all accepted words must arrive, and all accesses be the model's."""
    dut = SerialLink(IDENTITY, room, burst)
    board, registers, accesses = Board(registers=dict(REGISTERS), identity=IDENTITY, room=room, burst=burst), dict(REGISTERS), []

    async def bench(ctx):
        world = World(ctx, dut, board, rates or Rates(), seed)
        await scenario(world)
        world.rates.packets = 1
        await world.steps(room + 8)
        assert board.seen == board.words
        assert not world.host
        world.check()

    simulate(dut, bench, background=[slave(dut.bus, registers, accesses, pause=pause, rng=random.Random(seed))], deadline=deadline)
    assert accesses == board.accesses and registers == board.registers
