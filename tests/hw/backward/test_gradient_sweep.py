"""GradientSweep against docs/numerics.md: words, contributions, cycles; with a gradient memory, the gradients of the oracle."""

import random
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from amaranth.hdl import Module

from coldspike.hw.arithmetic.delay import delay
from coldspike.hw.backward.gradient_memory import GradientMemory
from coldspike.hw.backward.gradient_sweep import GradientSweep
from coldspike.hw.backward.lanes import BackwardLanes
from coldspike.hw.backward.trace_lanes import TraceLanes
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import LayerLayout, layout

from ...model.oracle_lif import Oracle
from ..cycles import read_port, set_all
from ..support import simulate, watch

WORD = ("address", "tile", "column", "layer", "neuron")


@dataclass
class Sweep:
    """Stimulus of one layer: spikes (t, i) and jobs (m, j, c), ascending."""

    place: LayerLayout
    spikes: list
    jobs: list


def merged(sweep):
    """(True, i, t) and (False, (j, c), m) in the order of work, up to the last job."""
    entries = [(t, 0, i, None) for t, i in sweep.spikes] + [(m, 1, j, c) for m, j, c in sweep.jobs]
    entries.sort(key=lambda entry: entry[:3])
    end = max((n for n, entry in enumerate(entries) if entry[1]), default=-1)
    return [(kind == 0, number if kind == 0 else (number, c), step) for step, kind, number, c in entries[:end + 1]]


def busy_cycles(sweep, lanes):
    """Cycles of ``busy``, as the docstring of GradientSweep words them."""
    blocks, written, reuse = sweep.place.in_blocks, {}, 0
    now, begin, safe = max(blocks, 2), None, 0
    for is_spike, number, _ in merged(sweep):
        if is_spike:
            at = max(now, written.get(number, 0))
            written[number], safe, now = at + TraceLanes.WRITTEN, max(safe, at + TraceLanes.WRITTEN - number // lanes), at + 1
        else:
            begin = max(now, safe, reuse)
            reuse, now = begin + GradientSweep.GRADIENT_REUSE, begin + blocks
    return 1 if begin is None else begin + blocks + 8 + 1


def products(config, powers, sweep):
    """Words and contributions in the order in which they come."""
    place, lanes, out = sweep.place, config.lanes, []
    trace, last = [0] * (place.in_blocks * lanes), [0] * (place.in_blocks * lanes)

    def seen(i, step):
        power = powers[step - last[i]]
        return trace[i] if power == 2**16 else (trace[i] * power + 2**15) >> 16

    for is_spike, number, step in merged(sweep):
        if is_spike:
            trace[number], last[number] = min(seen(number, step) + (1 << config.time_bits), 2**17 - 1), step
            continue
        j, c = number
        for b in range(place.in_blocks):
            word = (place.column_base + j * place.in_blocks + b, place.tile_base + b * place.out_blocks + j // lanes, j % lanes,
                    place.index - 1, place.block_base * lanes + j)
            out.append((word, [c * seen(i, step) for i in range(b * lanes, (b + 1) * lanes)]))
    return out


def run(config, powers, sweeps, rng, dut=None, top=None, finish=None):
    """Runs ``sweeps`` one behind the other, on ``dut`` inside ``top`` if these are given, then the testbench ``finish``; checks
    words, contributions, cycles and reads."""
    dut = dut or GradientSweep(config)
    traces, now = [], SimpleNamespace(spikes=[], jobs=[])

    async def bench(ctx):
        for n, power in enumerate(powers):
            set_all(ctx, dut, {"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power})
            await ctx.tick()
        ctx.set(dut.powers_w_en, 0)
        for sweep in sweeps:
            place, now.spikes, now.jobs = sweep.place, sweep.spikes, sweep.jobs
            await ctx.tick().repeat(rng.choice((1, 1, 4)))
            set_all(ctx, dut, {
                "start": 1, "spike_count": len(sweep.spikes), "job_count": len(sweep.jobs), "layer": place.index - 1,
                "in_blocks": place.in_blocks, "out_blocks": place.out_blocks, "column_base": place.column_base,
                "tile_base": place.tile_base, "block_base": place.block_base})
            await ctx.tick()
            set_all(ctx, dut, {"start": 0, "spike_count": 0, "job_count": 0})
            while ctx.get(dut.busy):
                await ctx.tick()
        await ctx.tick().repeat(3)
        if finish is not None:
            await finish(ctx)

    def spike(n):
        step, index = now.spikes[n]
        return {"step": step, "index": index}

    def job(n):
        step, index, c = now.jobs[n]
        return {"step": step + 1, "index": index, "value": c}

    simulate(top or dut, bench, background=[
        read_port(dut.spike_en, dut.spike_index, dut.spike_entry, spike),
        read_port(dut.job_en, dut.job_index, dut.job_entry, job),
        watch(traces, en=dut.word_en, word=dut.word, busy=dut.busy, done=dut.done, active=dut.active, start=dut.start,
              reads=dut.spike_en | dut.job_en, **{f"lane_{k}": lane for k, lane in enumerate(dut.contribution)})])
    late = traces[GradientSweep.CONTRIBUTION_LATENCY:]
    seen = [(tuple(int(getattr(t["word"], name)) for name in WORD), [t_late[f"lane_{k}"] for k in range(config.lanes)])
            for t, t_late in zip(traces, late) if t["en"]]
    assert seen == [entry for sweep in sweeps for entry in products(config, powers, sweep)]
    starts = [n for n, t in enumerate(traces) if t["start"]]
    for n, sweep in zip(starts, sweeps, strict=True):
        busy = next(k for k in range(n + 1, len(traces)) if not traces[k]["busy"]) - n - 1
        assert busy == busy_cycles(sweep, config.lanes), sweep
        part = traces[n + 1:n + 1 + busy]
        assert [t["done"] for t in part] == [0] * (busy - 1) + [1]
        assert sum(t["active"] for t in part) == len(sweep.jobs)
        words = [k for k, t in enumerate(part) if t["en"]]
        assert not words or words[-1] + GradientSweep.CONTRIBUTION_LATENCY + 1 == busy - 1  # done behind the last contribution
    assert not any(t["en"] or t["done"] or t["active"] or t["reads"] for t in traces if not t["busy"])
    when = {}
    for n, t in enumerate(traces):
        if t["en"]:
            assert n - when.get(int(t["word"].address), -9) >= GradientSweep.GRADIENT_REUSE
            when[int(t["word"].address)] = n


def spikes_of(place, steps, density, rng):
    return sorted((t, i) for t in steps for i in range(place.n_in) if rng.random() < density)


def jobs_of(config, place, steps, density, rng, limit=None):
    q = config.error
    low, high = (q.min, q.max) if limit is None else (-limit, limit)
    return sorted((m, j, rng.choice((low, high, 0, rng.randint(low, high)))) for m in steps for j in range(place.n_out)
                  if rng.random() < density)


def build(layers, lanes, steps, **options):
    return CoreConfig.for_network(layers, lanes=lanes, rule="sparse-bptt", max_steps=steps, **options)


def anything(steps, rng):
    """Nothing's powers: a wrong n shows at once."""
    return [rng.choice((1, 2**16 - 1, 2**16, rng.randrange(2**16))) for _ in range(steps + 1)]


@pytest.mark.parametrize("layers, lanes, steps", [((5, 7, 2), 2, 13), ((13, 6, 3), 4, 11), ((17, 5), 8, 5), ((37, 2), 4, 3),
                                                  ((2, 3), 2, 20), ((6, 4, 3, 2), 2, 1)])
def test_random_lists(layers, lanes, steps):
    rng = random.Random(lanes * steps)
    config, places, sweeps = build(layers, lanes, steps), layout(layers, lanes), []
    for spike_density, job_density in ((0.3, 0.15), (0.05, 0.3), (0.8, 0.6), (0.03, 0.05), (0, 0.1), (0.3, 0)):
        place = rng.choice(places)
        sweeps.append(Sweep(place, spikes_of(place, range(steps), spike_density, rng),
                            jobs_of(config, place, range(steps), job_density, rng)))
    run(config, anything(steps, rng), sweeps, rng)


def test_awkward_lists():
    """Orders and distances that chance rarely makes."""
    rng, layers, lanes, steps = random.Random(3), (21, 5, 2, 3), 2, 8
    assert GradientSweep.CONTRIBUTION_LATENCY == BackwardLanes.CONTRIBUTION_LATENCY  # hw/core.py waits for both alike
    config, places = build(layers, lanes, steps, error_bits=8, error_fraction=4), layout(layers, lanes)
    wide, narrow, single = places
    sweeps = [
        Sweep(wide, [], []), Sweep(wide, [(0, 3)], []), Sweep(wide, [], [(0, 0, -128)]),
        Sweep(wide, [(0, 0)], [(7, 4, 127)]), Sweep(wide, [(7, 20)], [(7, 4, 127)]), Sweep(wide, [(3, 1)], [(2, 4, 127)]),
        # A job right behind a spike of each block; a spike right behind a job, of the block that the job read last or first.
        *(Sweep(wide, [(2, i), (3, i), (4, 0)], [(2, 1, 99), (3, 1, -99), (3, 2, 1), (7, 3, 77)]) for i in range(0, 21, 2)),
        # The same neuron in consecutive steps, with 0 to 6 others and no job between.
        *(Sweep(wide, [(1, i) for i in range(n + 1)] + [(2, 0), (3, 0)], [(5, 0, 5)]) for n in range(7)),
        # The first job behind spikes whose blocks go down; columns that come again at once.
        Sweep(wide, [(1, 20), (2, 9), (3, 4), (4, 1)], [(4, 0, 11), (5, 0, 12)]),
        *(Sweep(place, [(m, m % place.n_in) for m in range(steps)], [(m, 1, m - 3) for m in range(steps)]) for place in places),
        Sweep(single, [(0, 0), (0, 1), (1, 0), (2, 1)], [(0, 0, 1), (0, 1, 2), (0, 2, 3), (2, 0, 4), (2, 2, 5)]),
        Sweep(narrow, [(7, i) for i in range(5)], [(7, 0, 1), (7, 1, 2)]), Sweep(narrow, [], []), Sweep(wide, [], [(6, 2, 1)]),
    ]
    run(config, anything(steps, rng), sweeps, rng)


def test_saturating_traces():
    rng, steps = random.Random(4), 140
    config, place = build((3, 2), 2, steps, time_bits=10), layout((3, 2), 2)[0]
    sweeps = [Sweep(place, spikes_of(place, range(steps), 0.97, rng), jobs_of(config, place, range(0, steps, 13), 0.5, rng))
              for _ in range(2)]
    run(config, [2**16] * 139 + [65000, 64000], sweeps, rng)
    assert any(abs(value) == abs(c) * (2**17 - 1) and c for sweep in sweeps for _, _, c in sweep.jobs
               for _, values in products(config, [2**16] * (steps + 1), sweep) for value in values)


def test_cost_of_a_usual_layer():
    """A job costs its blocks, a spike a cycle; what is left over comes from steps whose only spikes lie in the first blocks."""
    rng, steps, lanes = random.Random(7), 50, 2
    place = layout((14, 20), lanes)[0]
    config = build((14, 20), lanes, steps)
    spikes = spikes_of(place, range(steps), 23 / 700, rng)
    sweep = Sweep(place, spikes, jobs_of(config, place, range(steps), 28 / 1000, rng))
    work = len(sweep.jobs) * place.in_blocks + sum(is_spike for is_spike, *_ in merged(sweep))
    changes = sum(a[0] and not b[0] for a, b in zip(merged(sweep), merged(sweep)[1:]))
    run(config, [round(2**16 * 0.95**n) for n in range(steps + 1)], [sweep], rng)
    assert work < busy_cycles(sweep, lanes) < work + place.in_blocks + 9 + 2.5 * changes


@pytest.mark.parametrize("layers, lanes, gradient_bits", [((2, 3), 2, 22), ((4, 2), 4, 32), ((7, 3), 4, 22)])
def test_gradients_of_successive_jobs(layers, lanes, gradient_bits):
    """The accumulated gradients are the oracle's: of one block, each word comes again as early as it may."""
    rng, steps = random.Random(lanes), 14
    config, place = build(layers, lanes, steps, gradient_bits=gradient_bits), layout(layers, lanes)[0]
    powers = [round(2**16 * 0.9**n) for n in range(steps + 1)]
    n_in, n_out = layers
    gradients = [[[0] * n_in for _ in range(n_out)]]
    settings = SimpleNamespace(beta=0.9, steps=steps, scales=(0,))
    oracle = Oracle(config, settings, [[[0] * n_in for _ in range(n_out)]], [], gradients)
    sweeps = [Sweep(place, spikes_of(place, range(steps), density, rng), jobs_of(config, place, range(steps), 0.8, rng, 3000))
              for density in (0.3, 0.8)]
    sweeps.append(Sweep(place, [(0, i) for i in range(n_in)], [(m, 1, 700 - 300 * m) for m in range(8)]))  # one column's
    for sweep in sweeps:
        oracle.spikes, oracle.jobs = [set(sweep.spikes)], {1: {(m, j): c for m, j, c in sweep.jobs}}
        oracle.learn(1)
    # Connected as in hw/core.py.
    m, words = Module(), []
    m.submodules.dut, m.submodules.memory = dut, memory = GradientSweep(config), GradientMemory(config)
    ahead = GradientSweep.CONTRIBUTION_LATENCY - GradientMemory.READ_LATENCY
    m.d.comb += [memory.add_en.eq(delay(m, dut.word_en, ahead, "adding")),
                 memory.add_addr.eq(delay(m, dut.word.address, ahead, "adding_address")),
                 *(into.eq(out) for into, out in zip(memory.contribution, dut.contribution, strict=True))]

    async def finish(ctx):
        for address in range(place.words):
            set_all(ctx, memory, {"r_en": 1, "r_addr": address})
            await ctx.tick().repeat(GradientMemory.READ_LATENCY)
            words.append([ctx.get(lane) for lane in memory.r_data])

    run(config, powers, sweeps, rng, dut, m, finish)
    rows = [sum(words[j * place.in_blocks:(j + 1) * place.in_blocks], []) for j in range(n_out)]
    assert [row[:n_in] for row in rows] == gradients[0] and not any(any(row[n_in:]) for row in rows)
    assert (oracle.gradient_saturations > 0) == (gradient_bits == 22)
