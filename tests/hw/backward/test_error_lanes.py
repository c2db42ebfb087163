"""ErrorLanes against docs/numerics.md, "Sparse BPTT: backward": error sums of successive jobs, reads among them, saturations,
cycles."""

import random

import pytest
from amaranth.hdl import Const

from coldspike.hw.backward.error_lanes import ErrorLanes, error_sum_shape
from coldspike.spec.config import CoreConfig

from ..cycles import read_port, set_all
from ..support import put, simulate, watch

SATURATED = 4
"""Cycles from a word's read to its count."""


def added(total, product, power):
    """(E after a job's product, whether its operand saturated); ``power`` : B[n], None without decay."""
    over = False
    if power is not None:
        rounded = (total + (1 << 9)) >> 10
        operand = min(max(rounded, -(1 << 26)), (1 << 26) - 1)
        over, total = operand != rounded, (operand if power == 1 << 16 else (operand * power + (1 << 15)) >> 16) << 10
    return total + product, over


def run(rng, lanes, n_in, events, powers, *, idle=0.0, extreme=False, n_out=8, sum_base=2):
    """``events`` : jobs (fresh, steps or None) and looks (None), one behind the other. Returns the trace and the saturations."""
    blocks = -(-n_in // lanes)
    config = CoreConfig.for_network((3, 2 * lanes, n_in, n_out), lanes=lanes, rules="sparse-bptt", max_steps=8)
    q, e = config.weight, config.error
    feedback = [[rng.choice((q.min, q.max)) if extreme else rng.randint(q.min, q.max) for _ in range(lanes)]
                for _ in range(config.feedback_words)]
    if extreme:
        feedback = [[q.max if k % 2 else q.min for k in range(lanes)]] * len(feedback)
    sums, trace, asked, expected = [[0] * lanes for _ in range(blocks)], [], {}, 0
    dut = ErrorLanes(config)

    async def bench(ctx):
        nonlocal expected
        set_all(ctx, dut, {"in_blocks": blocks, "n_in": n_in, "sum_base": sum_base})
        await ctx.tick()
        for event in events:
            while idle and rng.random() < idle:
                await ctx.tick()
            if event is None:
                while not ctx.get(dut.i_jobs.ready):
                    await ctx.tick()
                block = rng.randrange(blocks)
                asked[len(trace) + ErrorLanes.BEHIND] = (block, list(sums[block]))
                await ctx.tick()
                continue
            fresh, steps = event
            error = e.min if extreme else rng.choice((e.min, e.max, rng.randint(e.min, e.max)))
            column = rng.randrange(config.feedback_words - blocks + 1)
            await put(ctx, dut.i_jobs, {"error": error, "column": column, "fresh": fresh, "decays": steps is not None,
                                        "steps": rng.randrange(9) if steps is None else steps})
            for i in range(blocks * lanes):
                block, k = divmod(i, lanes)
                sums[block][k], over = added(0 if fresh else sums[block][k], feedback[column + block][k] * error,
                                             None if steps is None else powers[steps])
                expected += over and i < n_in
        await ctx.tick().repeat(blocks + ErrorLanes.BEHIND + SATURATED)
        for block in range(blocks):
            asked[len(trace) + 1] = (block, list(sums[block]))
            await ctx.tick()
        await ctx.tick().repeat(2)

    async def looker(ctx):
        while True:
            block, _ = asked.get(len(trace), (0, None))
            set_all(ctx, dut, {"sum_en": len(trace) in asked, "sum_addr": [sum_base + block] * lanes})
            await ctx.tick()

    simulate(dut, bench, background=[
        watch(trace, taken=dut.i_jobs.valid & dut.i_jobs.ready, saturated=dut.saturated,
              **{f"sum_{k}": data for k, data in enumerate(dut.sum_data)}),
        looker, read_port(Const(1), dut.power_addr, dut.power, lambda n: powers[n] if n < len(powers) else 7),
        read_port(dut.feedback_en, dut.feedback_addr, dut.feedback_data, lambda address: feedback[address])])
    for cycle, (block, words) in asked.items():
        assert [trace[cycle + 1][f"sum_{k}"] for k in range(lanes)] == words, (cycle, block)
    assert sum(t["saturated"] for t in trace) == expected
    return trace, expected


def mixed(rng, count, looks):
    """A sample's first job, then jobs and looks; some bring decay, of some not a step."""
    return [(1, None), *(None if rng.random() < looks else (0, rng.choice((None, None, 0, 1, 2, 5, 8))) for _ in range(count))]


@pytest.mark.parametrize("lanes, n_in, idle", [(2, 3, 0.0), (2, 9, 0.0), (4, 15, 0.4), (8, 8, 0.0), (8, 61, 0.0), (4, 4, 0.5)])
def test_random_jobs(lanes, n_in, idle):
    rng = random.Random(n_in)
    powers = [1 << 16, *(rng.choice((0, 1, 1 << 16, rng.randrange(1 << 16))) for _ in range(8))]
    run(rng, lanes, n_in, mixed(rng, 25, 0.4) + mixed(rng, 15, 0.2), powers, idle=idle)


@pytest.mark.parametrize("lanes, n_in", [(2, 1), (2, 7), (4, 6), (8, 12)])
def test_saturation(lanes, n_in):
    """Jobs of a step reach beyond the operand, on both sides; lanes without a neuron do so too and do not count."""
    rng = random.Random(n_in)
    events = [(1, None), *[(0, None)] * 20, None, (0, 3), None, (0, 2), *[(0, None)] * 14, (0, 0), None, (1, None), (0, 4)]
    _, expected = run(rng, lanes, n_in, events, [1 << 16, 65535, 1 << 16, 65000, 1 << 15], extreme=True)
    assert expected == 3 * n_in


def test_room():
    """The most that a sum can hold, 2^36 after decay and a job of every neuron in a step, needs a bit more than ``error_sum``."""
    events = [(1, None), *[(0, None)] * 6] + [(0, 1), *[(0, None)] * 6] * 3 + [None, (0, 1)]
    _, expected = run(random.Random(1), 2, 5, events, [1 << 16] * 2, extreme=True, n_out=7)
    assert expected == 2 * 5
    config = CoreConfig.for_network((3, 4), lanes=2, rules="sparse-bptt", weight_bits=8, weight_fraction=4)
    assert error_sum_shape(config).width == 38 and error_sum_shape(CoreConfig()).width == CoreConfig().error_sum.bits == 45


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5, 9])
def test_cycles(blocks):
    """Jobs follow each other by their blocks, but at least DEPTH cycles; a look's cycle is one of those that a job leaves."""
    events = [(1, None)] + [(0, 1)] * 5 + [None] + [(0, None)] * 2
    trace, _ = run(random.Random(blocks), 2, 2 * blocks - 1, events, [1 << 16, 40000])
    taken = [n for n, t in enumerate(trace) if t["taken"]]
    slot = max(blocks, ErrorLanes.DEPTH)
    assert [b - a for a, b in zip(taken, taken[1:])] == [slot] * 5 + [slot + 1, slot]


def test_count_comes_with_its_word():
    """Saturated operands of the last word are counted SATURATED cycles after its read."""
    trace, expected = run(random.Random(1), 2, 6, [(1, None)] + [(0, None)] * 20 + [(0, 1)], [1 << 16, 40000], extreme=True)
    last = max(n for n, t in enumerate(trace) if t["taken"])
    assert [t["saturated"] for t in trace[last + 1 + SATURATED:last + 5 + SATURATED]] == [2, 2, 2, 0] and expected == 6
