"""UartReceiver and UartTransmitter against the wire's bits in Python: ratios, drift, glitches, timing."""

import random
from fractions import Fraction
from math import ceil, floor

import pytest

from coldspike.hw.link.uart_receiver import UartReceiver
from coldspike.hw.link.uart_transmitter import UartTransmitter

from ..support import cycle_of, refusal, simulate, source, watch

CLOCK = 12_000_000
BAUDS = {"4": 3_000_000, "8.33": 1_440_000, "16.67": 720_000, "20": 600_000}
"""By the cycles of a bit."""
IDLE = 1


def bits_of(byte, stop=1):
    return [0, *(byte >> n & 1 for n in range(8)), stop]


def levels(wire, phase=0.0):
    """The wire at each clock edge, from (level, cycles) on; it begins ``phase`` of a cycle before the first edge."""
    seen, end = [], -phase
    for level, cycles in wire:
        end += cycles
        seen += [level] * (ceil(end) - len(seen))
    return seen


def timed(bits, length):
    return [(bit, length) for bit in bits]


def receive(baud, wire, phase=0.0, rest=30):
    """Bytes that the receiver makes of the wire, and the cycles in which they come."""
    dut, found, cycles = UartReceiver(CLOCK, baud), [], []

    async def bench(ctx):
        for cycle, level in enumerate(levels([*wire, (IDLE, rest)], phase)):
            ctx.set(dut.rx, level)
            _, _, valid, data = await ctx.tick().sample(dut.valid, dut.data)
            if valid:
                found.append(data)
                cycles.append(cycle)

    simulate(dut, bench)
    return found, cycles


def sent(baud, data, drift=0.0, gaps=(0,), rng=None):
    """Bytes with ``gaps`` of idle bits between them, from an idle wire on."""
    length = CLOCK / baud * (1 + drift)
    wire = [(IDLE, 5)]
    for byte in data:
        wire += [*timed(bits_of(byte), length), (IDLE, (rng.choice(gaps) if rng else gaps[0]) * length)]
    return wire


@pytest.mark.parametrize("baud", BAUDS.values(), ids=BAUDS)
@pytest.mark.parametrize("drift", [-0.02, 0.0, 0.02])
def test_receiver_takes_bytes_back_to_back(baud, drift):
    rng = random.Random(1)
    for phase in (0.0, 0.5, 0.99):  # edges at other places of the clock's cycle
        data = [0x00, 0xFF, 0x55, 0x80, *rng.randbytes(6)]
        assert receive(baud, sent(baud, data, drift), phase)[0] == data


@pytest.mark.parametrize("baud", BAUDS.values(), ids=BAUDS)
@pytest.mark.parametrize("drift", [-0.02, 0.02])
def test_receiver_finds_each_start_bit_anew(baud, drift):
    rng = random.Random(2)
    data = [0x00, 0xFF, *rng.randbytes(24)]
    assert receive(baud, sent(baud, data, drift, (0, 0.33, 1.1, 2.7), rng))[0] == data


def test_receiver_knows_every_byte():
    assert receive(BAUDS["4"], sent(BAUDS["4"], range(256)))[0] == list(range(256))


@pytest.mark.parametrize("name", BAUDS)
def test_receiver_latency(name):
    """Half a bit and 3 cycles after the stop bit's beginning; at broken ratios within the cycle that is rounded."""
    baud, bit = BAUDS[name], Fraction(CLOCK, BAUDS[name])
    wire = sent(baud, [0x35])
    _, (cycle,) = receive(baud, wire)
    expected = 5 + 9 * bit + bit / 2 + 3
    assert cycle == expected if bit.denominator == 1 else abs(cycle - expected) <= 1


@pytest.mark.parametrize("name", ["4", "8.33", "16.67", "20"])
def test_receiver_disregards_glitches(name):
    """What ends before half a bit has passed is no start bit, and the byte after it is whole."""
    baud, bit, rng = BAUDS[name], CLOCK / BAUDS[name], random.Random(3)
    wire, data = [(IDLE, 5)], list(rng.randbytes(len(range(1, ceil(bit / 2)))))
    for byte, length in zip(data, range(1, ceil(bit / 2))):
        wire += [(0, length), (IDLE, bit), (0, length), (IDLE, 2.3 * bit), *sent(baud, [byte])[1:], (IDLE, bit)]
    assert receive(baud, wire)[0] == data


@pytest.mark.parametrize("baud", BAUDS.values(), ids=BAUDS)
def test_receiver_drops_a_byte_without_stop_bit_until_the_wire_is_idle(baud):
    bit, wire, data = CLOCK / baud, [(IDLE, 5)], []
    # bits of a wire that stays low
    for byte, low in ((0x00, 0), (0x5A, 0), (0xFF, 0), (0xFF, 1), (0x5A, 4), (0x00, 9), (0xC3, 13)):
        data += [byte ^ 0x3C, byte]
        wire += [*timed([*bits_of(byte, stop=0), *[0] * low, 1, 1], bit), *sent(baud, data[-2:])[1:]]
    assert receive(baud, wire)[0] == data


def test_receiver_is_silent_on_an_idle_wire():
    assert receive(BAUDS["4"], [(IDLE, 200)])[0] == []


def transmit(baud, data, idle=0.0):
    """The wire's levels in every cycle, and the cycles in which bytes are taken."""
    dut, trace = UartTransmitter(CLOCK, baud), []

    async def bench(ctx):
        await source(dut.i, data, idle=idle, rng=random.Random(4))(ctx)
        await ctx.tick().repeat(ceil(11 * CLOCK / baud))

    simulate(dut, bench, background=[watch(trace, tx=dut.tx, taken=dut.i.valid & dut.i.ready)])
    return [t["tx"] for t in trace], [n for n, t in enumerate(trace) if t["taken"]]


@pytest.mark.parametrize("baud", BAUDS.values(), ids=BAUDS)
@pytest.mark.parametrize("idle", [0.0, 0.97])
def test_transmitter_sends_exact_bits(baud, idle):
    """Start bit from the cycle after the byte is taken; every edge within a cycle of its place, bits not longer by turns."""
    bit, rng = Fraction(CLOCK, baud), random.Random(5)
    data = [0x00, 0xFF, 0x55, *rng.randbytes(8)]
    wire, taken = transmit(baud, data, idle)
    assert len(taken) == len(data)
    expected = [IDLE] * len(wire)
    for byte, begin in zip(data, taken):
        for n, level in enumerate(bits_of(byte)):
            first, end = (begin + 1 + floor(m * bit) for m in (n, n + 1))
            if bit.denominator == 1:
                expected[first:end] = [level] * (end - first)
            else:  # the cycle of an edge is left to rounding
                expected[first + 1:end - 1] = [level] * (end - first - 2)
                expected[first], expected[end - 1] = wire[first], wire[end - 1]
    assert wire == expected


@pytest.mark.parametrize("name", BAUDS)
def test_transmitter_throughput(name):
    """A byte in every ten bits: what is over of a cycle, and one more, is the stop bit's."""
    bit = Fraction(CLOCK, BAUDS[name])
    _, taken = transmit(BAUDS[name], bytes(range(8)))
    steps = {after - before for before, after in zip(taken, taken[1:])}
    assert len(steps) == 1 and 10 * bit <= steps.pop() <= 10 * bit + 1


@pytest.mark.parametrize("name", BAUDS)
@pytest.mark.parametrize("drift", [-0.02, 0.0, 0.02])
def test_what_is_sent_is_received(name, drift):
    """Transmitter's wire, as a clock that is a little off sees it."""
    rng = random.Random(6)
    data = list(rng.randbytes(12))
    wire, taken = transmit(BAUDS[name], data)
    assert receive(BAUDS[name], [(level, 1 + drift) for level in wire], 0.5)[0] == data


@pytest.mark.parametrize("kind", [UartReceiver, UartTransmitter])
def test_too_slow_a_clock_is_refused(kind):
    assert refusal(lambda: kind(12_000_000, 3_000_000)) is None
    for clock, baud in ((11_999_999, 3_000_000), (9600, 9600)):
        assert f"{baud} baud" in refusal(lambda c=clock, b=baud: kind(c, b))


def test_transmitter_wire_is_idle_before_the_first_byte():
    wire, taken = transmit(BAUDS["4"], [0x12], idle=0.97)
    assert cycle_of([{"tx": level} for level in wire], lambda t: not t["tx"]) == taken[0] + 1
