"""ReplayQueue against Python lists: random operations, several in a cycle, order, room, timing."""

import random

import pytest

from coldspike.hw.link.replay_queue import ReplayQueue

from ..support import refusal, simulate

COMMANDS = ("commit", "rollback", "release", "rewind", "clear")


class Lists:
    """What the docstring says. ``held``: committed and not released, the first ``read`` of them read, as (word, cycle of its
    commit); ``pending``: written since."""

    def __init__(self, depth):
        self.depth, self.held, self.pending, self.read = depth, [], [], 0
        self.rewound = -2  # the last cycle in which the reader's place jumped

    def check(self, cycle, i_ready, valid, payload, room, waiting):
        assert room == self.depth - len(self.held)
        assert waiting == len(self.held) - self.read
        assert i_ready == (len(self.held) + len(self.pending) < self.depth)
        if valid:
            assert waiting and payload == self.held[self.read][0]
        due = waiting and cycle - 2 >= max(self.held[self.read][1], self.rewound)
        assert valid or not due

    def step(self, cycle, written, taken, commands):
        self.pending += written
        self.read += taken
        if "commit" in commands:
            self.held += [(word, cycle) for word in self.pending]
        if commands & {"commit", "rollback", "clear"}:
            self.pending = []
        if "release" in commands:
            self.held, self.read = self.held[self.read:], 0
        if commands & {"rewind", "clear"}:
            self.read, self.rewound = 0, cycle
        if "clear" in commands:
            self.held = []


def run(depth, cycles, seed, chances):
    """Random operations; ``chances``: of each command, of a written word and of a taken one, may change while it runs."""
    dut, rng, model, moved = ReplayQueue(16, depth), random.Random(seed), Lists(depth), [0, 0]

    async def bench(ctx):
        number, most = 0, 0
        for cycle in range(cycles):
            now = chances(cycle)
            commands = {name for name in COMMANDS if rng.random() < now.get(name, 0)}
            if {"commit", "rollback"} <= commands:  # these contradict each other
                commands.discard(rng.choice(["commit", "rollback"]))
            if {"release", "rewind"} <= commands:
                commands.discard(rng.choice(["release", "rewind"]))
            write, take = rng.random() < now["write"], rng.random() < now["take"]
            for name in COMMANDS:
                ctx.set(getattr(dut, name), name in commands)
            ctx.set(dut.i.valid, write)
            ctx.set(dut.i.payload, number if write else 0xDEAD)
            ctx.set(dut.o.ready, take)
            _, _, *seen = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload, dut.room, dut.waiting)
            model.check(cycle, *seen)
            written, taken = write and seen[0], take and seen[1]
            model.step(cycle, [number] if written else [], taken, commands)
            number += written
            moved[0], moved[1] = moved[0] + written, moved[1] + taken
            most = max(most, len(model.held))
        assert most == depth

    simulate(dut, bench, deadline=cycles + 1)
    return moved


@pytest.mark.parametrize("depth", [2, 4, 8])
@pytest.mark.parametrize("seed", [1, 2])
def test_random_operations(depth, seed):
    rng = random.Random(seed)
    phases = [{"write": rng.choice([0.2, 0.5, 1]), "take": rng.choice([0, 0.3, 0.7, 1]), "commit": rng.choice([0.1, 0.5, 1]),
               "rollback": rng.choice([0, 0.1]), "release": rng.choice([0, 0.2, 0.6, 1]), "rewind": rng.choice([0, 0.05, 0.2]),
               "clear": rng.choice([0, 0, 0.03])} for _ in range(24)]
    run(depth, 1200, seed, lambda cycle: phases[cycle // 50])


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_order_over_many_rounds(depth):
    """Only good words, none ever given up: as many come out as went in, over many times the depth."""
    written, taken = run(depth, 500, 3, lambda cycle: {
        "write": 0.8, "take": 0 if cycle % 50 < 20 else 0.9, "commit": 1, "release": 1})
    assert taken > 20 * depth and 0 <= written - taken <= depth


def test_nothing_is_lost_when_full():
    """Filled to the last place, whatever is not committed; then every word comes, twice."""
    dut, depth = ReplayQueue(8, 4), 4

    async def read(ctx, release):
        words = []
        ctx.set(dut.o.ready, 1)
        for _ in range(depth + 4):
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            words += [payload] * valid
        ctx.set(dut.o.ready, 0)
        command = dut.release if release else dut.rewind
        ctx.set(command, 1)
        await ctx.tick()
        ctx.set(command, 0)
        return words

    async def bench(ctx):
        for first in range(0, 60, 3):  # every place is the first one in turn
            ctx.set(dut.i.valid, 1)
            for word in range(depth + 3):
                assert ctx.get(dut.i.ready) == (word < depth)
                ctx.set(dut.i.payload, first + word)
                ctx.set(dut.commit, word == depth - 1)
                await ctx.tick()
            ctx.set(dut.i.valid, 0)
            expected = list(range(first, first + depth))
            assert ctx.get(dut.room) == 0 and ctx.get(dut.waiting) == depth
            assert await read(ctx, release=False) == expected
            assert ctx.get(dut.room) == 0 and ctx.get(dut.waiting) == depth
            assert await read(ctx, release=True) == expected
            assert ctx.get(dut.room) == depth and ctx.get(dut.waiting) == 0

    simulate(dut, bench)


def test_latency_and_throughput():
    """A word is valid two cycles after its commit, then one comes in every cycle."""
    dut, valid = ReplayQueue(8, 8), []

    async def bench(ctx):
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.release, 1)
        for cycle in range(60):
            ctx.set(dut.i.payload, cycle)
            ctx.set(dut.commit, cycle >= 3)
            _, _, ready, now, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut.o.payload)
            assert ready
            valid.append(payload if now else None)

    simulate(dut, bench)
    assert valid == [None] * 5 + list(range(55))


@pytest.mark.parametrize("depth", [0, 1, 3, 12])
def test_depths_that_are_no_powers_of_two_are_refused(depth):
    assert refusal(lambda: ReplayQueue(8, depth)) == f"depth = {depth}: a power of two from 2 on is needed"
