"""ErrorFeed against docs/numerics.md: jobs, saturation counts, first job after 7 cycles, one a cycle, stalls."""

import random

import pytest

from coldspike.hw.backward.feed import ErrorFeed
from coldspike.spec.config import CoreConfig, bits_for

from ..cycles import read_port, set_all
from ..support import get, simulate, watch

FRACTION = 12


def job_of(config, entry, error, output, column):
    """(index, g, h, column, saturated); ``error`` is eps of an output neuron, else the accumulator."""
    q, half = config.error, 1 << (FRACTION - 1)
    f = config.weight_fraction
    exact = error if output else (error + (1 << (f - 1))) >> f
    e = q.clamp(exact)
    g, h = ((e * entry[name] + half) >> FRACTION for name in ("level_factor", "slope_factor"))
    saturated = (e != exact) + (q.clamp(g) != g) + (q.clamp(h) != h)
    return entry["index"], q.clamp(g), q.clamp(h), column, saturated


def run(config, lists, *, stall=0.0, seed=0):
    """Feeds ``lists`` (neurons listed, output, slot, base, column_base, in_blocks); returns traces of the jobs."""
    rng = random.Random(seed)
    dut = ErrorFeed(config)
    q, sums, outputs = config.error, config.error_sum, bits_for(config.max_outputs)
    near = q.max << config.weight_fraction
    memory, expected, collected, trace = {"list": [], "sum": {}, "output": {}}, [], [], []

    async def bench(ctx):
        for neurons, output, slot, base, column_base, in_blocks in lists:
            factor = lambda: rng.choice((0, 1, 4096, 65535, rng.randrange(65536), rng.randrange(4096)))  # noqa: E731
            entries = [{"index": j, "level_factor": factor(), "slope_factor": factor()} for j in neurons]
            memory["list"] = entries
            memory["output"] = {k: rng.choice((q.min, q.max, rng.randint(q.min, q.max))) for k in range(1 << outputs)}
            memory["sum"] = {
                block: [rng.choice((sums.min, sums.max, near + rng.randint(-5000, 5000), rng.randint(-near, near)))
                        for _ in range(config.lanes)] for block in range(config.neuron_blocks)}
            for entry in entries:
                j = entry["index"]
                error = (memory["output"][j] if output
                         else memory["sum"][base + j // config.lanes][j % config.lanes])
                expected.append(job_of(config, entry, error, output, column_base + j * in_blocks))
            memory["slot"] = slot
            set_all(ctx, dut, {"start": 1, "count": len(entries), "output": output, "slot": slot, "base": base,
                               "column_base": column_base, "in_blocks": in_blocks})
            await ctx.tick()
            ctx.set(dut.start, 0)
            for _ in entries:
                while stall and rng.random() < stall:
                    await ctx.tick()
                collected.append(await get(ctx, dut.o_jobs))
            for _ in range(9):
                assert not ctx.get(dut.o_jobs.valid)
                await ctx.tick()

    def error_of(address):
        assert address >> outputs == memory["slot"]
        return memory["output"][address & ((1 << outputs) - 1)]

    simulate(dut, bench, background=[
        read_port(dut.list_en, dut.list_index, dut.list_entry,
                  lambda n: memory["list"][n] if n < len(memory["list"]) else {"index": 0, "level_factor": 77, "slope_factor": 77}),
        read_port(dut.output_en, dut.output_addr, dut.output_data, error_of),
        read_port(dut.sum_en, dut.sum_addr[0], dut.sum_data, lambda block: memory["sum"][block]),
        watch(trace, start=dut.start, valid=dut.o_jobs.valid, ready=dut.o_jobs.ready)])
    names = ("index", "g", "h", "column", "saturated")
    assert [tuple(int(getattr(job, name)) for name in names) for job in collected] == expected
    return trace, expected


@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_jobs(lanes, stall):
    config = CoreConfig.for_network((9, 11, 6), lanes=lanes, weight_bits=8, weight_fraction=4, error_bits=10, error_fraction=6)
    hidden = (False, 2, 0, 0, -(-9 // lanes))
    output = (True, 3, -(-11 // lanes), 11 * -(-9 // lanes), -(-11 // lanes))
    _, jobs = run(config, [(range(6), *output), (range(11), *hidden), ([3, 4, 9], *hidden), ([10], *hidden), ([5], *output)],
                  stall=stall, seed=lanes)
    assert {job[4] for job in jobs} >= {0, 1, 2}


def test_first_job_after_8_cycles_then_one_a_cycle():
    config = CoreConfig.for_network((9, 11, 6), lanes=4)
    trace, _ = run(config, [(range(11), False, 1, 0, 0, 3)])
    start = next(n for n, t in enumerate(trace) if t["start"])
    assert [n - start for n, t in enumerate(trace) if t["valid"]] == list(range(8, 19))


def test_every_saturation_at_once():
    config = CoreConfig.for_network((2, 40, 2), lanes=2, weight_bits=8, weight_fraction=2, error_bits=8, error_fraction=4)
    _, jobs = run(config, [(range(40), False, 0, 0, 0, 1)])
    assert {job[4] for job in jobs} == {0, 1, 2, 3}
