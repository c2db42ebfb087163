"""MemoryAccess against the layout of the memories: words asked for and written, results, cycles."""

import random
from dataclasses import dataclass, field

import pytest

from coldspike.hw.io.memory_access import MemoryAccess
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.network import layout
from coldspike.spec.packets import Kind, Space

from ..networks import network_of
from ..support import simulate, sink, source
from .packets import COLUMN_SPACES, Mode, columns, elements, legal_layers

WORD, ELEMENT = 8, 4
"""Cycles until a word that is read, and until a lane that is chosen, can be seen at ``r_data``."""

TWO_WORDS = (Space.LEVEL, Space.ERROR_SUM, Space.JOBS, Space.ELIGIBILITY)
WRITABLE = (Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT, Space.RANDOM, Space.DECAY)
LAYERS = (5, 7, 3, 4)


def words_of(space, layer, column, config, layers, mode, entries):
    """(address fields, elements) of each word, in order."""
    places, lanes = layout(layers, config.lanes), config.lanes
    listed = mode.over_time and space in (Space.SPIKES, Space.JOBS)
    if listed or space in (Space.OUTPUT_ERROR, Space.DECAY):
        count = entries if listed else layers[-1] if space is Space.OUTPUT_ERROR else mode.steps + 1
        return [({"address": n}, 1) for n in range(count)]
    if space is Space.RANDOM:
        return [({}, lanes)]
    if space not in COLUMN_SPACES:
        first = places[layer - 1].block_base if layer else 0
        size = layers[layer]
        return [({"address": first + n, "input_layer": layer == 0}, min(lanes, size - n * lanes)) for n in range(-(-size // lanes))]
    p, out = places[layer - 1], []
    for n in range(p.in_blocks):
        fields = {"tile": p.tile_base + n * p.out_blocks + column // lanes, "column": column % lanes}
        base = p.feedback_base if space is Space.FEEDBACK else p.column_base
        address = {"address": base + column * p.in_blocks + n}
        out.append(({Space.WEIGHT: fields, Space.FEEDBACK: address}.get(space, fields | address), min(lanes, p.n_in - n * lanes)))
    return out


@dataclass
class Job:
    """A packet, its ``words`` and what is written to them; ``entries`` : length of a list; what memory and results saw of it."""

    kind: Kind
    space: Space
    layer: int
    column: int
    words: list
    entries: int
    sequence: int
    values: list
    read: list = field(default_factory=list)
    written: list = field(default_factory=list)
    busy: int = 0

    @property
    def sent(self):
        """Words of the result."""
        out = [int(self.kind), self.sequence]
        for (_, word), (_, count) in zip(self.read, self.words, strict=self.kind is Kind.READ):
            for element in word[:count]:
                out += [element & 0xFFFFFFFF] + [element >> 32 & 0xFFFFFFFF] * (self.space in TWO_WORDS)
        return out


class Memories:
    """Answers reads with random words, which can be seen as late as is allowed; keeps what is read and written for ``job``."""

    def __init__(self, dut, lanes, rng):
        self.dut, self.rng, self.lanes, self.job = dut, rng, lanes, None

    def random_element(self):
        bits = 63 if self.job.space in TWO_WORDS else 31
        return self.rng.choice((-1, 0, self.rng.randrange(-1 << bits, 1 << bits)))

    async def run(self, ctx):
        dut, cycle, word, ready, chosen = self.dut, 0, [0] * self.lanes, 0, []
        while True:
            _, _, r_en, w_en, access, lane, busy, *data = await ctx.tick().sample(
                dut.r_en, dut.w_en, dut.access, dut.lane, dut.busy, *dut.w_data)
            fields = {name: int(access[name]) for name in ("space", "input_layer", "tile", "column", "address")}
            assert busy or not (r_en or w_en)
            if busy:
                self.job.busy += 1
            if w_en:
                self.job.written.append((fields, data))
            if r_en:
                word, ready = [self.random_element() for _ in range(self.lanes)], cycle + WORD
                self.job.read.append((fields, word))
            cycle += 1
            chosen = [*chosen, lane][-ELEMENT:]
            steady = cycle >= ready and len(set(chosen)) == 1
            ctx.set(dut.r_data, word[lane] if steady else self.rng.randrange(-1 << 63, 1 << 63))


def jobs_of(config, layers, mode, packets, rng):
    jobs = []
    for kind, space, layer, column in packets:
        entries = rng.choice((0, 1, 9))
        words = words_of(space, layer, column, config, layers, mode, entries)
        count = sum(count for _, count in words) * (kind is Kind.WRITE)
        assert kind is Kind.READ or count == elements(space, layer, config, layers, mode)
        values = [rng.getrandbits(32) for _ in range(count)]
        jobs.append(Job(kind, space, layer, column, words, entries, rng.getrandbits(32), values))
    return jobs


def check(config, layers, mode, packets, stall=0.0, seed=0):
    """Carries out (kind, space, layer, column) one after the other."""
    rng = random.Random(seed)
    dut, jobs, results = MemoryAccess(config), jobs_of(config, layers, mode, packets, rng), []
    memories = Memories(dut, config.lanes, rng)

    async def drive(ctx):
        ctx.set(dut.network, network_of(config, layers, unused=1))
        if len(config.rules) > 1:
            ctx.set(dut.rule, mode.rule.code)
        for job in jobs:
            memories.job = job
            ctx.set(dut.packet, {"kind": job.kind, "space": job.space, "layer": job.layer, "column": job.column,
                                 "count": len(job.values), "sequence": job.sequence})
            if Rule.SPARSE_BPTT in config.rules:
                ctx.set(dut.entries, job.entries)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            while ctx.get(dut.busy):
                await ctx.tick()
            await ctx.tick().repeat(rng.randint(1, 3))

    payload = [value for job in jobs for value in job.values]
    simulate(dut, drive, source(dut.i_payload, payload, idle=stall, rng=rng), deadline=60_000,
             background=[memories.run, sink(dut.o_result, results, stall=stall, rng=rng)])
    assert [(int(word.data), int(word.last)) for word in results] == [
        (word, n == len(job.sent) - 1) for job in jobs for n, word in enumerate(job.sent)]
    for job in jobs:
        write, words = job.kind is Kind.WRITE, job.words
        seen = job.written if write else job.read
        assert not (job.read if write else job.written) and len(seen) == len(words)
        for (fields, word), (expected, count) in zip(seen, words, strict=True):
            assert {name: fields[name] for name in expected} == expected and fields["space"] == job.space
            assert not write or word == [job.values.pop(0) for _ in range(count)] + [0] * (config.lanes - count)
        count = sum(count for _, count in words)
        if not stall:
            assert job.busy == 5 + (2 * len(words) + count if write else 5 * len(words) + 5 * count + len(job.sent) - 2)


def everything(config, layers, mode):
    """All columns, or the outer ones of many."""
    for space in Space:
        for kind in (Kind.WRITE,) * (space in WRITABLE) + (Kind.READ,) * (space is not Space.DECAY):
            for layer in legal_layers(space, config, layers, mode):
                number = columns(space, layer, config, layers)
                yield from ((kind, space, layer, column) for column in sorted({0, number // 2, number - 1}))


BUILDS = {
    "ttfs": (("ttfs",), Mode()), "rate": (("rate",), Mode(Rule.RATE, steps=6)), "one step": (("rate",), Mode(Rule.RATE, steps=1)),
    "sparse-bptt": (("sparse-bptt",), Mode(Rule.SPARSE_BPTT, steps=6)), "ttfs of two": (("ttfs", "rate"), Mode(steps=6)),
    "rate of all": (tuple(Rule), Mode(Rule.RATE, steps=9)), "sparse-bptt of all": (tuple(Rule), Mode(Rule.SPARSE_BPTT, steps=9)),
}


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("build", BUILDS)
def test_every_space(build, stall):
    rules, mode = BUILDS[build]
    config = CoreConfig.for_network(LAYERS, lanes=4, rules=rules, max_steps=9, spike_entries=20, job_entries=20,
                                    partial_transport=True)
    check(config, LAYERS, mode, everything(config, LAYERS, mode), stall)


def test_the_most_steps():
    """More of them than the other addresses have bits."""
    config = CoreConfig.for_network((2, 2, 2), lanes=2, rules="rate", max_steps=300)
    check(config, (2, 2, 2), Mode(Rule.RATE, steps=300), [(Kind.WRITE, Space.DECAY, 0, 0), (Kind.READ, Space.ELIGIBILITY, 1, 0)])
