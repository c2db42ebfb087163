"""PacketDecoder against tests/hw/io/packets.py: descriptors, payload, tape, slots, errors, timing."""

import dataclasses
import random

import pytest

from coldspike.hw.io.packet_decoder import PacketDecoder
from coldspike.hw.layouts import SLOTS
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Kind, Space, header

from ..networks import network_of
from ..support import PAUSES, cycle_of, put, simulate, sink, source, watch
from .packets import TTFS, Mode, broken, judge, random_good, sample, set_mode, spike

SMALL = CoreConfig.for_network((5, 3, 2), lanes=2)
OVER_TIME = CoreConfig.for_network((5, 3, 2), lanes=2, rules="sparse-bptt", max_steps=300, spike_entries=7, job_entries=8)
"""A build without input tape, and without slots that are ever busy."""
RATE = CoreConfig.for_network((5, 3, 2), lanes=2, rules="rate", max_steps=300, spike_entries=7)
ONE_SHOT = dataclasses.replace(RATE, rules=("ttfs", "rate"))
ALL = dataclasses.replace(OVER_TIME, rules=tuple(Rule))


def over_time(steps):
    return Mode(Rule.SPARSE_BPTT, steps)


def rated(steps, coded):
    return Mode(Rule.RATE, steps, coded)


LEFT_OVER = Mode(Rule.TTFS, steps=3, coded=True)
"""Other rules' registers mean nothing."""

CASES = {  # build, network, mode
    "5-3-2, 2 lanes": (SMALL, (5, 3, 2), TTFS),
    "1-1-1, 2 lanes": (SMALL, (1, 1, 1), TTFS),
    "17-5-4-3, 4 lanes": (CoreConfig.for_network((17, 5, 4, 3), lanes=4, gradient_memory=False), (17, 5, 4, 3), TTFS),
    "8-8 in larger build, 8 lanes": (CoreConfig.for_network((20, 9, 8), lanes=8), (8, 8), TTFS),
    "5-3-2 over 3 steps": (OVER_TIME, (5, 3, 2), over_time(3)),
    "4-3 over 12 steps, more events than inputs": (
        CoreConfig.for_network((9, 4, 4), lanes=4, rules="sparse-bptt", max_steps=12, spike_entries=14, partial_transport=True),
        (4, 3), over_time(12)),
    "5-3-2 of rates, currents": (RATE, (5, 3, 2), rated(3, False)),
    "17-5-3 of rates, coded, more events than inputs": (
        CoreConfig.for_network((17, 5, 3), lanes=4, rules="rate", max_steps=12, spike_entries=30, gradient_memory=False),
        (17, 5, 3), rated(12, True)),
    "8-8 of rates, coded, one step, in larger build": (
        CoreConfig.for_network((20, 9, 8), lanes=8, rules="rate", max_steps=1, spike_entries=12), (8, 8), rated(1, True)),
    "5-3-2 of ttfs and rate": (ONE_SHOT, (5, 3, 2), LEFT_OVER),
    "5-3-2 of ttfs and rate, coded": (ONE_SHOT, (5, 3, 2), rated(3, True)),
    "5-3-2 of all rules": (ALL, (5, 3, 2), LEFT_OVER),
    "5-3-2 of all rules, over 3 steps": (ALL, (5, 3, 2), Mode(Rule.SPARSE_BPTT, 3, coded=True)),
    "5-3-2 of all rules, coded": (ALL, (5, 3, 2), rated(3, True)),
}
BUILDS = {"ttfs": (SMALL, (5, 3, 2), TTFS), "sparse-bptt": (OVER_TIME, (5, 3, 2), over_time(257)),
          "rate": (RATE, (5, 3, 2), rated(257, False)), "all rules": (ALL, (5, 3, 2), rated(257, True))}


def words_of(packet):
    return [{"data": word, "last": n == len(packet) - 1} for n, word in enumerate(packet)]


def bench_of(dut, config, layers, body=None, mode=TTFS):
    """Testbench that starts the network, then runs ``body``."""
    async def run(ctx):
        ctx.set(dut.network, network_of(config, layers, unused=1))
        set_mode(ctx, dut, config, mode)
        ctx.set(dut.running, 1)
        if body is not None:
            await body(ctx)
    return run


def tape_into(memory, dut):
    """Background process that is the input tape: {(slot, block): [(time, fired) of each lane]}, every write once."""
    async def run(ctx):
        while True:
            _, _, en, address, word = await ctx.tick().sample(dut.tape_en, dut.tape_address, dut.tape_data)
            if en:
                slot, block = address >> dut.block_bits, address & ((1 << dut.block_bits) - 1)
                memory.setdefault((slot, block), []).append([(int(lane.time), int(lane.fired)) for lane in word])
    return run


def tape_model(packet, config, layers, mode=TTFS):
    """Tape words of a SAMPLE's blocks: of rule rate without the spikes."""
    lanes = config.lanes
    blocks = [[(0, 0)] * lanes for _ in range(-(-layers[0] // lanes))]
    for word in packet[2:]:
        index, time = word & 0xFFFF, word >> 16
        if not mode.is_spike(time):
            blocks[index // lanes][index % lanes] = (time, 1)
    return blocks


@pytest.mark.parametrize("idle, stall", PAUSES)
@pytest.mark.parametrize("case", CASES)
def test_random_packets(case, idle, stall):
    """Good and broken packets; slots free up late; every descriptor, payload word and tape block is compared."""
    config, layers, mode = CASES[case]
    rng, has_tape = random.Random(case), not mode.over_time
    packets = [random_good(rng, config, layers, mode) for _ in range(100)]
    packets = [broken(rng, p, config, layers, mode) if rng.random() < 0.4 else p for p in packets]
    verdicts = [judge(p, config, layers, mode) for p in packets]
    assert len({v.status for v in verdicts}) > 5
    dut = PacketDecoder(config)
    memory, payload, claims = {}, [], []

    async def consumer(ctx):
        """Takes descriptors, then their payload; keeps up to three samples in flight."""
        in_flight, expected_payload, slot = [], 0, 0
        for sequence, (packet, verdict) in enumerate(zip(packets, verdicts, strict=True)):
            while rng.random() < stall:
                await ctx.tick()
            ctx.set(dut.o_descriptor.ready, 1)
            valid = 0
            while not valid:
                _, _, valid, got = await ctx.tick().sample(dut.o_descriptor.valid, dut.o_descriptor.payload)
            ctx.set(dut.o_descriptor.ready, 0)
            assert (got.kind, got.status, got.sequence) == (verdict.kind, verdict.status, sequence)
            for name, value in verdict.fields.items():
                assert getattr(got, name) == value, name
            expected_payload += len(verdict.payload)
            while len(payload) < expected_payload:
                await ctx.tick()
            if verdict.kind is Kind.SAMPLE:
                assert got.slot == slot == claims.pop(0)
                in_flight += [(slot, tape_model(packet, config, layers, mode))] * has_tape
                slot = (slot + 1) % SLOTS
            if len(in_flight) == 3 or in_flight and sequence == len(packets) - 1:
                done, blocks = in_flight.pop(0)
                for block, word in enumerate(blocks):
                    assert memory[done, block][-1] == word
                ctx.set(dut.slots_busy, ctx.get(dut.slots_busy) & ~(1 << done))
        await ctx.tick().repeat(3)

    async def slots(ctx):
        while True:
            _, _, claimed, slot = await ctx.tick().sample(dut.slot_claimed, dut.slot)
            if claimed:
                assert not ctx.get(dut.slots_busy) >> slot & 1
                claims.append(slot)
                ctx.set(dut.slots_busy, ctx.get(dut.slots_busy) | has_tape << slot)

    everything = [word for packet in packets for word in words_of(packet)]
    sender = source(dut.i, everything, idle=idle, rng=random.Random(1))
    receiver = sink(dut.o_payload, payload, stall=stall, rng=random.Random(2))
    simulate(dut, bench_of(dut, config, layers, sender, mode), consumer,
             background=[slots, tape_into(memory, dut), receiver], deadline=60_000)
    assert payload == [word for verdict in verdicts for word in verdict.payload]
    assert not claims and (has_tape or not memory)


def run_packets(config, layers, packets, *, running=True, mode=TTFS):
    """Sends packets without pauses; returns descriptors, payload, tape writes and the trace."""
    dut = PacketDecoder(config)
    memory, payload, descriptors, trace = {}, [], [], []
    everything = [word for packet in packets for word in words_of(packet)]
    start = bench_of(dut, config, layers, source(dut.i, everything), mode) if running else source(dut.i, everything)

    async def drained(ctx):
        while len(descriptors) < len(packets):
            await ctx.tick()
        await ctx.tick().repeat(20)

    simulate(dut, start, sink(dut.o_descriptor, descriptors, len(packets)), drained,
             background=[tape_into(memory, dut), sink(dut.o_payload, payload),
                         watch(trace, i=dut.i.valid & dut.i.ready, last=dut.i.payload.last, o=dut.o_descriptor.valid,
                               payload=dut.o_payload.valid, claimed=dut.slot_claimed, tape=dut.tape_en)])
    return descriptors, payload, memory, trace


GOOD = sample([(0, 3), (1, 4), (4, 256)], label=1)
BAD = {
    "kind": ([header(5), 0], ErrorCode.KIND),
    "kind error": ([header(Kind.ERROR), 0], ErrorCode.KIND),
    "kind above 4 bits": ([header(Kind.SAMPLE) | 1 << 4, 0], ErrorCode.KIND),
    "header alone": ([header(Kind.UPDATE)], ErrorCode.SHORT),
    "events missing": (GOOD[:-1], ErrorCode.SHORT),
    "all events missing": (GOOD[:2], ErrorCode.SHORT),
    "too many events": (sample([(i, 0) for i in range(6)]), ErrorCode.LONG),
    "huge count": ([header(Kind.SAMPLE), 1 << 31, 0], ErrorCode.LONG),
    "goes on": (GOOD + [0, 0], ErrorCode.LONG),
    "update goes on": ([header(Kind.UPDATE), 0, 0], ErrorCode.LONG),
    "index": (sample([(0, 0), (5, 0)]), ErrorCode.INDEX),
    "twice": (sample([(2, 0), (2, 0)]), ErrorCode.ORDER),
    "descending": (sample([(3, 0), (2, 0)]), ErrorCode.ORDER),
    "time": (sample([(3, 257)]), ErrorCode.TIME),
    "label": (sample([], label=2), ErrorCode.LABEL),
    "write of a read-only space": ([header(Kind.WRITE, Space.SLOPE, 1), 0, 0], ErrorCode.ADDRESS),
    "layer": ([header(Kind.READ, Space.WEIGHT, 3), 0], ErrorCode.ADDRESS),
    "feedback of layer 1": ([header(Kind.READ, Space.FEEDBACK, 1), 0], ErrorCode.ADDRESS),
    "column": ([header(Kind.READ, Space.WEIGHT, 1), 3], ErrorCode.ADDRESS),
    "space": ([header(Kind.READ, 9, 1), 0], ErrorCode.ADDRESS),
    "write too short": ([header(Kind.WRITE, Space.WEIGHT, 2), 1, 7, 7], ErrorCode.SHORT),
    "write too long": ([header(Kind.WRITE, Space.RANDOM, 0), 0, 7, 7, 7], ErrorCode.LONG),
    "the first word wins": (sample([(9, 999), (2, 999)]), ErrorCode.INDEX),
    "order before time": (sample([(2, 0), (2, 999)]), ErrorCode.ORDER),
    "index before short": (sample([(0, 0), (9, 0), (3, 0)])[:4], ErrorCode.INDEX),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_packet_does_no_harm(name):
    packet, code = BAD[name]
    assert judge(packet, SMALL, (5, 3, 2)).status == code
    descriptors, payload, memory, trace = run_packets(SMALL, (5, 3, 2), [GOOD, packet, GOOD])
    assert [(d.kind, d.status, d.sequence) for d in descriptors] == [
        (Kind.SAMPLE, ErrorCode.NONE, 0), (Kind.ERROR, code, 1), (Kind.SAMPLE, ErrorCode.NONE, 2)]
    assert [descriptors[0].slot, descriptors[2].slot] == [0, 1]
    assert payload == GOOD[2:] * 2
    assert [memory[slot, block][-1] for slot in (0, 1) for block in range(3)] == tape_model(GOOD, SMALL, (5, 3, 2)) * 2
    assert set(memory) == {(slot, block) for slot in (0, 1) for block in range(3)}
    assert sum(t["claimed"] for t in trace) == 2


BAD_OVER_TIME = {  # T = 257
    "events missing": (GOOD[:-1], ErrorCode.SHORT),
    "goes on": (GOOD + [0, 0], ErrorCode.LONG),
    "more events than the tape holds": (sample([(0, t) for t in range(8)]), ErrorCode.LONG),
    "huge count": ([header(Kind.SAMPLE), 1 << 16, 0], ErrorCode.LONG),
    "index": (sample([(0, 0), (5, 0)]), ErrorCode.INDEX),
    "twice": (sample([(2, 1), (2, 1)]), ErrorCode.ORDER),
    "index descends": (sample([(3, 1), (2, 1)]), ErrorCode.ORDER),
    "step descends": (sample([(3, 256), (4, 255)]), ErrorCode.ORDER),
    "step T": (sample([(3, 256), (3, 257)]), ErrorCode.TIME),
    "last step of 16 bits": (sample([(0, 0xFFFF)]), ErrorCode.TIME),
    "index before order": (sample([(2, 2), (5, 1)]), ErrorCode.INDEX),
    "order before time": (sample([(2, 300), (2, 300)])[:2] + [2 | 3 << 16, 1 | 3 << 16], ErrorCode.ORDER),
    "the first word wins": (sample([(2, 300), (9, 1)]), ErrorCode.TIME),
    "label": (sample([], label=2), ErrorCode.LABEL),
    "T decays": ([header(Kind.WRITE, Space.DECAY, 0), 0, *range(257)], ErrorCode.SHORT),
    "T + 2 decays": ([header(Kind.WRITE, Space.DECAY, 0), 0, *range(259)], ErrorCode.LONG),
    "decays of a layer": ([header(Kind.WRITE, Space.DECAY, 1), 0, 1], ErrorCode.ADDRESS),
    "decays in another column": ([header(Kind.WRITE, Space.DECAY, 0), 1, 1], ErrorCode.ADDRESS),
    "read of the decays": ([header(Kind.READ, Space.DECAY, 0), 0], ErrorCode.ADDRESS),
    "level": ([header(Kind.READ, Space.LEVEL, 1), 0], ErrorCode.ADDRESS),
    "error sums": ([header(Kind.READ, Space.ERROR_SUM, 1), 0], ErrorCode.ADDRESS),
    "spikes of the output layer": ([header(Kind.READ, Space.SPIKES, 2), 0], ErrorCode.ADDRESS),
    "jobs of the input layer": ([header(Kind.READ, Space.JOBS, 0), 0], ErrorCode.ADDRESS),
    "write of the jobs": ([header(Kind.WRITE, Space.JOBS, 1), 0, 0], ErrorCode.ADDRESS),
    "potentials": ([header(Kind.READ, Space.MEMBRANE, 1), 0], ErrorCode.ADDRESS),
    "eligibility": ([header(Kind.READ, Space.ELIGIBILITY, 1), 0], ErrorCode.ADDRESS),
}


@pytest.mark.parametrize("name", BAD_OVER_TIME)
def test_bad_packet_over_time_does_no_harm(name):
    packet, code = BAD_OVER_TIME[name]
    config, layers, mode = BUILDS["sparse-bptt"]
    assert judge(packet, config, layers, mode).status == code
    descriptors, payload, memory, trace = run_packets(config, layers, [GOOD, packet, GOOD], mode=mode)
    assert [(d.kind, d.status, d.sequence, d.slot * (d.kind == Kind.SAMPLE)) for d in descriptors] == [
        (Kind.SAMPLE, ErrorCode.NONE, 0, 0), (Kind.ERROR, code, 1, 0), (Kind.SAMPLE, ErrorCode.NONE, 2, 1)]
    assert payload == GOOD[2:] * 2 and not memory
    assert sum(t["claimed"] for t in trace) == 2


LEVELS = [(0, 3), (2, 0), (4, 256)]
SPIKES = [spike(1, 0), spike(3, 0), spike(0, 256)]
BAD_OF_RATES = {  # T = 257, coded: good and bad events
    "events missing": (sample(LEVELS + SPIKES)[:-1], ErrorCode.SHORT),
    "spikes missing": (sample(LEVELS + SPIKES)[:-3], ErrorCode.SHORT),
    "goes on": (sample(LEVELS + SPIKES) + [0, 0], ErrorCode.LONG),
    "more events than there is room for": (sample([(i, 0) for i in range(4)] + [spike(0, t) for t in range(4)]), ErrorCode.LONG),
    "more spikes than there is room for": (sample([spike(0, t) for t in range(8)]), ErrorCode.LONG),
    "huge count": ([header(Kind.SAMPLE), 1 << 16, 0], ErrorCode.LONG),
    "index of a level": (sample([(0, 0), (5, 0)]), ErrorCode.INDEX),
    "index of a spike": (sample([*LEVELS, spike(5, 0)]), ErrorCode.INDEX),
    "level behind a spike": (sample([*LEVELS[:2], SPIKES[0], LEVELS[2]]), ErrorCode.ORDER),
    "level of a higher input behind a spike": (sample([spike(1, 2), (3, 9)]), ErrorCode.ORDER),
    "level twice": (sample([(2, 0), (2, 0)]), ErrorCode.ORDER),
    "levels descend": (sample([(3, 0), (2, 1)]), ErrorCode.ORDER),
    "spike twice": (sample([*LEVELS, SPIKES[0], SPIKES[0]]), ErrorCode.ORDER),
    "spikes descend": (sample([*LEVELS, spike(3, 1), spike(2, 1)]), ErrorCode.ORDER),
    "steps descend": (sample([*LEVELS, spike(3, 256), spike(4, 255)]), ErrorCode.ORDER),
    "level beyond the window": (sample([(3, 257)]), ErrorCode.TIME),
    "step T": (sample([*LEVELS, spike(3, 257)]), ErrorCode.TIME),
    "last step of 15 bits": (sample([(0, 0xFFFF)]), ErrorCode.TIME),
    "index before order": (sample([*LEVELS, spike(2, 2), spike(5, 1)]), ErrorCode.INDEX),
    "order before time": (sample([spike(3, 2), (2, 300)]), ErrorCode.ORDER),
    "the first word wins": (sample([(2, 300), spike(9, 1)]), ErrorCode.TIME),
    "T of the profile": ([header(Kind.WRITE, Space.DECAY, 0), 0, *range(257)], ErrorCode.SHORT),
    "T + 2 of the profile": ([header(Kind.WRITE, Space.DECAY, 0), 0, *range(259)], ErrorCode.LONG),
    "profile of a layer": ([header(Kind.WRITE, Space.DECAY, 1), 0, 1], ErrorCode.ADDRESS),
    "profile in another column": ([header(Kind.WRITE, Space.DECAY, 0), 1, 1], ErrorCode.ADDRESS),
    "read of the profile": ([header(Kind.READ, Space.DECAY, 0), 0], ErrorCode.ADDRESS),
    "potentials of the output layer": ([header(Kind.READ, Space.MEMBRANE, 2), 0], ErrorCode.ADDRESS),
    "potentials of the input layer": ([header(Kind.READ, Space.MEMBRANE, 0), 0], ErrorCode.ADDRESS),
    "potentials in another column": ([header(Kind.READ, Space.MEMBRANE, 1), 1], ErrorCode.ADDRESS),
    "write of the potentials": ([header(Kind.WRITE, Space.MEMBRANE, 1), 0, 0, 0, 0], ErrorCode.ADDRESS),
    "eligibility of the output layer": ([header(Kind.READ, Space.ELIGIBILITY, 2), 0], ErrorCode.ADDRESS),
    "write of the eligibility": ([header(Kind.WRITE, Space.ELIGIBILITY, 1), 0, 0, 0, 0], ErrorCode.ADDRESS),
    "jobs": ([header(Kind.READ, Space.JOBS, 1), 0], ErrorCode.ADDRESS),
}


@pytest.mark.parametrize("name", BAD_OF_RATES)
@pytest.mark.parametrize("config", [RATE, ALL], ids=["rate", "all rules"])
def test_bad_packet_of_rates_does_no_harm(name, config):
    packet, code = BAD_OF_RATES[name]
    layers, mode, good = (5, 3, 2), rated(257, True), sample(LEVELS + SPIKES, label=1)
    assert judge(packet, config, layers, mode).status == code
    descriptors, payload, memory, trace = run_packets(config, layers, [good, packet, good], mode=mode)
    assert [(d.kind, d.status, d.sequence, d.slot * (d.kind == Kind.SAMPLE)) for d in descriptors] == [
        (Kind.SAMPLE, ErrorCode.NONE, 0, 0), (Kind.ERROR, code, 1, 0), (Kind.SAMPLE, ErrorCode.NONE, 2, 1)]
    assert payload == good[2:] * 2
    assert [memory[slot, block][-1] for slot in (0, 1) for block in range(3)] == tape_model(sample(LEVELS), config, layers) * 2
    assert set(memory) == {(slot, block) for slot in (0, 1) for block in range(3)}
    assert sum(t["claimed"] for t in trace) == 2


@pytest.mark.parametrize("events, code", [
    ([(0, 3), spike(1, 0)], ErrorCode.TIME), ([spike(0, 0)], ErrorCode.TIME), ([(0, 3), spike(0, 0)], ErrorCode.ORDER),
    ([(i, 0) for i in range(5)], ErrorCode.NONE), ([(i, 0) for i in range(6)], ErrorCode.LONG)], ids=str)
@pytest.mark.parametrize("config", [RATE, ALL], ids=["rate", "all rules"])
def test_currents_come_without_spikes(events, code, config):
    """And there are as many as inputs, whatever the room for spikes."""
    layers, mode = (5, 3, 2), rated(257, False)
    for room in (1, 7):
        build = dataclasses.replace(config, spike_entries=room)
        assert judge(sample(events), build, layers, mode).status == code
        descriptors, payload, *_ = run_packets(build, layers, [sample(events)], mode=mode)
        assert [d.status for d in descriptors] == [code] and payload == sample(events)[2:] * (code == ErrorCode.NONE)


def test_good_sample_writes_each_block_once():
    _, _, memory, _ = run_packets(SMALL, (5, 3, 2), [GOOD, sample([])])
    assert all(len(writes) == 1 for writes in memory.values())
    assert len(memory) == 6


def test_stopped():
    descriptors, payload, memory, _ = run_packets(SMALL, (5, 3, 2), [GOOD, [header(9)]], running=False)
    assert [(d.kind, d.status, d.sequence) for d in descriptors] == [
        (Kind.ERROR, ErrorCode.STOPPED, 0), (Kind.ERROR, ErrorCode.STOPPED, 1)]
    assert not payload and not memory


@pytest.mark.parametrize("events", [[], [0], [16], [0, 1, 2, 3], [0, 4, 8, 12, 16], [5, 6, 7, 15], list(range(17))])
def test_cycles_of_a_sample_depend_on_counts_only(events):
    config, layers, _ = CASES["17-5-4-3, 4 lanes"]
    packet = sample([(i, i) for i in events])
    *_, trace = run_packets(config, layers, [packet, packet])
    first = cycle_of(trace, lambda t: t["i"])
    valid = cycle_of(trace, lambda t: t["o"])
    n, blocks = len(events), 5
    assert valid - first == 6 + n + blocks
    assert cycle_of(trace, lambda t: t["claimed"]) == valid - 1
    assert sum(t["tape"] for t in trace[:valid + 1]) == blocks
    assert cycle_of(trace, lambda t: t["o"], after=valid + 1) == valid + n + blocks + 4
    if events:
        assert cycle_of(trace, lambda t: t["payload"]) == valid + 1


@pytest.mark.parametrize("levels, spikes", [
    ([], []), ([0], []), ([16], [(0, 0)]), ([], [(16, 2)]), ([0, 4, 8, 12, 16], [(i, t) for t in range(3) for i in (0, 8)]),
    (range(17), [(i, 1) for i in range(13)])], ids=str)
def test_cycles_of_a_sample_of_rates_depend_on_counts_only(levels, spikes):
    """Levels and spikes alike."""
    config, layers, mode = CASES["17-5-3 of rates, coded, more events than inputs"]
    packet = sample([(i, i) for i in levels] + [spike(*each) for each in spikes])
    _, payload, memory, trace = run_packets(config, layers, [packet, packet], mode=mode)
    first = cycle_of(trace, lambda t: t["i"])
    valid = cycle_of(trace, lambda t: t["o"])
    n, blocks = len(levels) + len(spikes), 5
    assert valid - first == 6 + n + blocks
    assert sum(t["tape"] for t in trace[:valid + 1]) == blocks
    assert cycle_of(trace, lambda t: t["o"], after=valid + 1) == valid + n + blocks + 4
    if n:
        assert cycle_of(trace, lambda t: t["payload"]) == valid + 1
    blocks_written = [[block] for block in tape_model(packet, config, layers, mode)]
    assert [memory[slot, b] for slot in (0, 1) for b in range(blocks)] == blocks_written * 2 and payload[:n] == packet[2:]


@pytest.mark.parametrize("packet, body", [
    (sample([]), 0), (sample([(0, 0)], label=1), 1), (GOOD, 3), (sample([(i, t) for t in (0, 2) for i in range(3)]), 6),
    ([header(Kind.UPDATE), 0], 0), ([header(Kind.READ, Space.JOBS, 2), 0], 0), ([header(Kind.READ, Space.SPIKES, 1), 0], 0),
    ([header(Kind.WRITE, Space.DECAY, 0), 0, *range(258)], 258), ([header(Kind.WRITE, Space.WEIGHT, 2), 1, 1, 2, 3], 3)])
def test_cycles_without_a_tape(packet, body):
    """b = 0: no packet takes time for blocks."""
    config, layers, mode = BUILDS["sparse-bptt"]
    *_, trace = run_packets(config, layers, [packet, packet], mode=mode)
    valid = cycle_of(trace, lambda t: t["o"])
    assert valid - cycle_of(trace, lambda t: t["i"]) == 6 + body
    assert cycle_of(trace, lambda t: t["o"], after=valid + 1) == valid + body + 4
    if body:
        assert cycle_of(trace, lambda t: t["payload"]) == valid + 1
    assert sum(t["claimed"] for t in trace) == 2 * (packet[0] & 0xFF == Kind.SAMPLE) and not any(t["tape"] for t in trace)


@pytest.mark.parametrize("packet", [
    sample([(4, 0), (4, 0)]), sample([(1, 0), (2, 257), (0, 0)]), [header(7), 1, 2, 3], [header(Kind.READ, Space.LEVEL, 1), 0]])
def test_cycles_of_bad_packets_without_a_tape(packet):
    config, layers, mode = BUILDS["sparse-bptt"]
    *_, trace = run_packets(config, layers, [packet], mode=mode)
    good_header = packet[0] & 0xFF == Kind.SAMPLE
    assert cycle_of(trace, lambda t: t["o"]) - cycle_of(trace, lambda t: t["i"]) == 4 + len(packet) + good_header


OTHERS = [([header(Kind.UPDATE), 0], 0), ([header(Kind.READ, Space.SPIKES, 0), 0], 0),
          ([header(Kind.WRITE, Space.WEIGHT, 1), 2, 1, 2, 3, 4, 5], 5), ([header(Kind.WRITE, Space.RANDOM, 0), 0, 1, 2], 2)]
OF_RATES = [([header(Kind.WRITE, Space.DECAY, 0), 0, *range(4)], 4), ([header(Kind.READ, Space.MEMBRANE, 1), 0], 0),
            ([header(Kind.READ, Space.ELIGIBILITY, 1), 0], 0)]


@pytest.mark.parametrize("config, mode, packet, body", [
    *((SMALL, TTFS, *each) for each in OTHERS), *((RATE, rated(3, True), *each) for each in OTHERS + OF_RATES)])
def test_cycles_of_other_packets(config, mode, packet, body):
    *_, trace = run_packets(config, (5, 3, 2), [packet, packet], mode=mode)
    valid = cycle_of(trace, lambda t: t["o"])
    assert valid - cycle_of(trace, lambda t: t["i"]) == 6 + body
    assert cycle_of(trace, lambda t: t["o"], after=valid + 1) == valid + body + 4


@pytest.mark.parametrize("packet, completed", [
    (sample([(4, 0), (4, 0)]), 2 + 1), (sample([(1, 0), (5, 0), (0, 0)]), 0 + 1), ([header(7), 1, 2, 3], 0), ([header(7)], 0)])
def test_cycles_of_bad_packets(packet, completed):
    *_, trace = run_packets(SMALL, (5, 3, 2), [packet])
    taken = cycle_of(trace, lambda t: t["i"])
    assert cycle_of(trace, lambda t: t["o"]) - taken == 4 + len(packet) + completed


def test_sample_waits_for_its_slot_only():
    """Slot 0 busy: an UPDATE passes, a SAMPLE waits without a descriptor until the slot is free."""
    dut = PacketDecoder(SMALL)
    descriptors = []

    async def body(ctx):
        ctx.set(dut.slots_busy, 0b0001)
        for word in words_of([header(Kind.UPDATE), 0]) + words_of(GOOD)[:2]:
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(30)
        assert [d.kind for d in descriptors] == [Kind.UPDATE]
        ctx.set(dut.slots_busy, 0b1110)
        for word in words_of(GOOD)[2:]:
            await put(ctx, dut.i, word)

    simulate(dut, bench_of(dut, SMALL, (5, 3, 2), body), sink(dut.o_descriptor, descriptors, 2))
    assert descriptors[1].kind == Kind.SAMPLE


def test_next_packet_loads_while_a_descriptor_waits():
    dut, trace = PacketDecoder(SMALL), []

    async def body(ctx):
        for word in words_of(GOOD) + words_of(GOOD):
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(20)
        assert ctx.get(dut.o_descriptor.payload.sequence) == 0
        assert not ctx.get(dut.idle)

    simulate(dut, bench_of(dut, SMALL, (5, 3, 2), body),
             background=[watch(trace, claimed=dut.slot_claimed, tape=dut.tape_en)])
    assert (sum(t["claimed"] for t in trace), sum(t["tape"] for t in trace)) == (1, 6)


def test_not_idle_until_the_descriptor_is_taken():
    dut, trace = PacketDecoder(SMALL), []

    async def body(ctx):
        for word in words_of([header(Kind.UPDATE), 0]):
            assert ctx.get(dut.idle) == (word["last"] == 0)
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.idle)
        ctx.set(dut.o_descriptor.ready, 1)
        await ctx.tick()
        assert ctx.get(dut.idle)

    simulate(dut, bench_of(dut, SMALL, (5, 3, 2), body), background=[watch(trace, idle=dut.idle)])


@pytest.mark.parametrize("mode", [TTFS, over_time(8), rated(8, True)], ids=lambda mode: str(mode.rule))
def test_full_payload_queue_stalls_without_loss(mode):
    config = CoreConfig.for_network((5, 3, 2), lanes=2, rules=mode.rule, max_steps=8, spike_entries=7)
    dut = PacketDecoder(config)
    full = sample([(i, i) for i in range(3)] + [spike(i, 7) if mode.spikes_follow else (i, i) for i in (3, 4)])
    count = dut.payload_depth // 5 + 2
    descriptors, payload, memory = [], [], {}

    async def late(ctx):
        await ctx.tick().repeat(count * 20)
        assert len(descriptors) == dut.payload_depth // 5
        ctx.set(dut.o_payload.ready, 1)
        while len(payload) < 5 * count:
            _, _, valid, word = await ctx.tick().sample(dut.o_payload.valid, dut.o_payload.payload)
            payload.extend([word] * valid)

    simulate(dut, bench_of(dut, config, (5, 3, 2), source(dut.i, words_of(full) * count), mode), late,
             sink(dut.o_descriptor, descriptors, count), background=[tape_into(memory, dut)])
    assert payload == full[2:] * count
    blocks = range(0 if mode.over_time else 3)
    assert set(memory) == {(slot, block) for slot in range(SLOTS) for block in blocks}
    assert [memory[slot, block][-1] for slot in range(SLOTS) for block in blocks] == tape_model(
        full, config, (5, 3, 2), mode) * SLOTS * bool(blocks)


@pytest.mark.parametrize("early", range(5))
def test_sequence_begins_at_zero_with_the_start(early):
    """Word 0 is transferred ``early`` cycles before ``running`` rises: STOPPED and counted before, or (it takes two cycles
    to the place where this is decided) good and first."""
    dut, descriptors = PacketDecoder(SMALL), []

    async def body(ctx):
        for word in words_of(GOOD):
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(12)
        ctx.set(dut.running, 0)
        await ctx.tick().repeat(5)
        ctx.set(dut.i.payload, words_of(GOOD)[0])
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.running, early == 0)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        for _ in range(early - 1):
            await ctx.tick()
        ctx.set(dut.running, 1)
        for word in words_of(GOOD)[1:] + words_of(GOOD):
            await put(ctx, dut.i, word)

    simulate(dut, bench_of(dut, SMALL, (5, 3, 2), body), sink(dut.o_descriptor, descriptors, 3))
    before = [(ErrorCode.NONE, 0), (ErrorCode.STOPPED, 1), (ErrorCode.NONE, 0)]
    with_start = [(ErrorCode.NONE, 0), (ErrorCode.NONE, 0), (ErrorCode.NONE, 1)]
    assert [(d.status, d.sequence) for d in descriptors] == (with_start if early < 3 else before)


@pytest.mark.parametrize("pause", [2, 20])
@pytest.mark.parametrize("sent", range(1, len(GOOD)))
@pytest.mark.parametrize("build", BUILDS)
def test_stop_drops_the_packet_under_way(build, sent, pause):
    """``running`` falls after ``sent`` words and rises again: STOPPED, and the sequence starts anew."""
    config, layers, mode = BUILDS[build]
    dut = PacketDecoder(config)
    descriptors, payload = [], []

    async def body(ctx):
        for word in words_of(GOOD) + words_of(GOOD)[:sent]:
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(12)
        assert ctx.get(dut.sequence) == 2
        ctx.set(dut.running, 0)
        await ctx.tick().repeat(pause)
        ctx.set(dut.running, 1)
        for word in words_of(GOOD)[sent:] + words_of(GOOD):
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(12)
        assert ctx.get(dut.sequence) == 1
        assert ctx.get(dut.idle)

    simulate(dut, bench_of(dut, config, layers, body, mode), sink(dut.o_descriptor, descriptors, 3),
             background=[sink(dut.o_payload, payload)])
    assert [(d.status, d.sequence) for d in descriptors] == [
        (ErrorCode.NONE, 0), (ErrorCode.STOPPED, 1), (ErrorCode.NONE, 0)]
    assert [descriptors[0].slot, descriptors[2].slot] == [0, 1]
    assert payload == GOOD[2:] * 2


def test_stop_while_blocks_are_written():
    config, layers, _ = CASES["17-5-4-3, 4 lanes"]
    dut = PacketDecoder(config)
    descriptors = []

    async def body(ctx):
        for word in words_of(sample([])):
            await put(ctx, dut.i, word)
        await ctx.tick().repeat(2)
        ctx.set(dut.running, 0)
        ctx.set(dut.network, {})

    simulate(dut, bench_of(dut, config, layers, body), sink(dut.o_descriptor, descriptors, 1))
    assert (descriptors[0].kind, descriptors[0].status) == (Kind.ERROR, ErrorCode.STOPPED)
