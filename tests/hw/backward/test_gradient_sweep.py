"""GradientSweep against docs/numerics.md in both forms: words, contributions, cycles, active neurons, saturations; with a gradient
memory, the gradients of the oracle."""

import random
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from amaranth.hdl import Module

from coldspike.hw.backward.decayed_lanes import DecayedLanes
from coldspike.hw.backward.gradient_sweep import GradientSweep
from coldspike.hw.backward.transposable_gradients import TransposableGradients
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import LayerLayout, layout

from ...model.oracle_lif import Oracle
from ..cycles import read_port, set_all
from ..support import simulate, watch

REUSE, WRITTEN, FORMS = GradientSweep.REUSE, DecayedLanes.WRITTEN, (False, True)
WORD = DecayedLanes.LATENCY - GradientSweep.CONTRIBUTION_LATENCY
"""Cycles from a reading's block to its word."""


@dataclass
class Sweep:
    """Stimulus of one layer: spikes (t, i) and jobs (m, j, c), ascending; whether it is done by spikes."""

    place: LayerLayout
    spikes: list
    jobs: list
    by_spikes: bool

    @property
    def blocks(self):
        """Blocks that a reading has."""
        return self.place.out_blocks if self.by_spikes else self.place.in_blocks


def both(place, spikes, jobs):
    return [Sweep(place, spikes, jobs, form) for form in FORMS]


@dataclass(frozen=True)
class Entry:
    """Growth, reading, or reading of nothing, of neuron ``index`` of the layer before or (``job``) of this one."""

    kind: str
    job: bool
    index: int
    step: int
    value: int


def entries(sweep):
    """In the order of work."""
    spikes = [Entry("read" if sweep.by_spikes else "grow", False, i, t, 0) for t, i in sweep.spikes]
    jobs = [Entry("grow" if sweep.by_spikes else "read", True, j, m, c) for m, j, c in sweep.jobs]
    if sweep.by_spikes:
        both, sign = spikes[::-1] + jobs[::-1], -1
    else:
        end = jobs[-1].step if jobs else -1
        both, sign = [spike for spike in spikes if spike.step <= end] + jobs, 1
    both.sort(key=lambda entry: (sign * entry.step, entry.kind == "read"))
    first = next((n for n, entry in enumerate(both) if entry.kind == "grow"), len(both))
    return [Entry("nothing", entry.job, entry.index, entry.step, entry.value) for entry in both[:first]] + both[first:]


def schedule(sweep, lanes):
    """The entries, each with its first cycle, and the cycles of ``busy``, as the docstring of GradientSweep words them."""
    out, ends, blocks = [], [0], sweep.blocks
    for entry in entries(sweep):
        rules = [max(blocks, 2)]
        for begin, before in out:
            rules.append(begin + (blocks if before.kind == "read" else 1))
            if entry.kind == before.kind != "nothing" and entry.index == before.index:
                rules.append(begin + (WRITTEN if entry.kind == "grow" else REUSE))
            if entry.kind == "read" and before.kind == "grow":
                rules.append(begin + WRITTEN - before.index // lanes)
        out.append((max(rules), entry))
        ends.append(max(rules) + {"grow": 9, "read": blocks + 8, "nothing": 1}[entry.kind])
    return out, max(ends) + 1


def expectation(config, powers, sweep):
    """Words with their cycles and contributions; job's neurons, and saturated errors, with their cycles; cycles of ``busy``."""
    place, lanes, tau = sweep.place, config.lanes, config.time_bits
    timed, busy = schedule(sweep, lanes)
    reach = 1 << max(config.error_bits + tau, 17)
    low, high = (-reach, reach - 1) if sweep.by_spikes else (0, 2**17 - 1)
    x, v = [0] * (sweep.blocks * lanes), [0] * (sweep.blocks * lanes)
    words, saturated = [], []

    def seen(n, step):
        power = powers[abs(step - v[n])]
        return x[n] if power == 2**16 else (x[n] * power + 2**15) >> 16

    for begin, entry in timed:
        n, step = entry.index, entry.step
        if entry.kind == "grow":
            grown = seen(n, step) + ((entry.value if sweep.by_spikes else 1) << tau)
            x[n], v[n] = min(max(grown, low), high), step
            if sweep.by_spikes and x[n] != grown:
                saturated.append(begin + DecayedLanes.LATENCY)
        elif entry.kind == "read":
            for b in range(sweep.blocks):
                tile = n // lanes * place.out_blocks + b if sweep.by_spikes else b * place.out_blocks + n // lanes
                values = [seen(k, step) * (1 if sweep.by_spikes else entry.value) for k in range(b * lanes, (b + 1) * lanes)]
                words.append((begin + b + WORD, (place.tile_base + tile, n % lanes, sweep.by_spikes), values))
    return words, [(begin, entry.index) for begin, entry in timed if entry.job], saturated, busy


def run(config, powers, sweeps, rng, dut=None, top=None, finish=None, background=()):
    """Runs ``sweeps`` one behind the other, on ``dut`` inside ``top`` if these are given, then the testbench ``finish``; checks
    everything but gradients in each cycle. How many errors saturated."""
    dut = dut or GradientSweep(config)
    trace, now, expected = [], SimpleNamespace(spikes=[], jobs=[]), [expectation(config, powers, sweep) for sweep in sweeps]

    async def bench(ctx):
        for n, power in enumerate(powers):
            set_all(ctx, dut, {"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power})
            await ctx.tick()
        ctx.set(dut.powers_w_en, 0)
        for sweep in sweeps:
            place, now.spikes, now.jobs = sweep.place, sweep.spikes, sweep.jobs
            for _ in range(rng.choice((0, 0, 1, 4))):
                ctx.set(dut.by_spikes, rng.random() < 0.5)
                await ctx.tick()
            set_all(ctx, dut, {
                "start": 1, "by_spikes": sweep.by_spikes, "spike_count": len(sweep.spikes), "job_count": len(sweep.jobs),
                "in_blocks": place.in_blocks, "out_blocks": place.out_blocks, "tile_base": place.tile_base})
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

    simulate(top or dut, bench, deadline=1000 + sum(busy + 5 for *_, busy in expected), background=[
        *background, read_port(dut.spike_en, dut.spike_index, dut.spike_entry, spike),
        read_port(dut.job_en, dut.job_index, dut.job_entry, job),
        watch(trace, en=dut.word_en, word=dut.word, busy=dut.busy, done=dut.done, active=dut.active, neuron=dut.neuron,
              saturated=dut.saturated, start=dut.start, spike_en=dut.spike_en, spike_index=dut.spike_index, job_en=dut.job_en,
              job_index=dut.job_index, **{f"lane_{k}": lane for k, lane in enumerate(dut.contribution)})])
    starts, saturations = [n for n, t in enumerate(trace) if t["start"]], 0
    for n, sweep, (words, active, saturated, busy) in zip(starts, sweeps, expected, strict=True):
        assert next(k for k in range(n + 1, len(trace)) if not trace[k]["busy"]) - n - 1 == busy, sweep
        part, late = trace[n + 1:n + 1 + busy], trace[n + 1 + GradientSweep.CONTRIBUTION_LATENCY:]
        assert [t["done"] for t in part] == [0] * (busy - 1) + [1]
        assert [(k, (int(t["word"].tile), int(t["word"].index), t["word"].row),
                 [late[k][f"lane_{lane}"] for lane in range(config.lanes)]) for k, t in enumerate(part) if t["en"]] == words
        assert [(k, t["neuron"]) for k, t in enumerate(part) if t["active"]] == active
        assert [k for k, t in enumerate(part) if t["saturated"]] == saturated
        saturations += len(saturated)
        for name, count in (("spike", len(sweep.spikes)), ("job", len(sweep.jobs))):  # each entry once at most, in its order
            order = list(range(count))[::-1 if sweep.by_spikes else 1]
            reads = [t[f"{name}_index"] for t in part if t[f"{name}_en"]]
            assert reads == (order if sweep.by_spikes or name == "job" else order[:len(reads)])
        assert not words or words[-1][0] + GradientSweep.CONTRIBUTION_LATENCY < busy - 1  # done behind the last contribution
    assert not any(t[name] for t in trace if not t["busy"] for name in ("en", "done", "active", "saturated", "spike_en", "job_en"))
    when = {}
    for n, t in enumerate(trace):
        if t["en"]:
            word = t["word"]
            for k in range(config.lanes):
                place = (word.tile, word.index, k) if word.row else (word.tile, k, word.index)
                assert n - when.get(place, -9) >= REUSE
                when[place] = n
    return saturations


def spikes_of(place, steps, density, rng):
    return sorted((t, i) for t in steps for i in range(place.n_in) if rng.random() < density)


def jobs_of(config, place, steps, density, rng, limit=None):
    q = config.error
    low, high = (q.min, q.max) if limit is None else (-limit, limit)
    return sorted((m, j, rng.choice((low, high, 0, rng.randint(low, high)))) for m in steps for j in range(place.n_out)
                  if rng.random() < density)


def build(layers, lanes, steps, **options):
    return CoreConfig.for_network(layers, lanes=lanes, rules="sparse-bptt", max_steps=steps, **options)


def anything(steps, rng):
    """Nothing's powers: a wrong n shows at once."""
    return [rng.choice((1, 2**16 - 1, 2**16, rng.randrange(2**16))) for _ in range(steps + 1)]


@pytest.mark.parametrize("layers, lanes, steps", [((5, 7, 2), 2, 13), ((13, 6, 3), 4, 11), ((17, 5), 8, 5), ((37, 2), 4, 3),
                                                  ((2, 37), 4, 3), ((2, 3), 2, 20), ((6, 4, 3, 2), 2, 1), ((4, 11, 13), 2, 6)])
def test_random_lists(layers, lanes, steps):
    rng = random.Random(lanes * steps)
    config, places, sweeps = build(layers, lanes, steps), layout(layers, lanes), []
    for densities in ((0.3, 0.15), (0.05, 0.3), (0.3, 0.05), (0.8, 0.6), (0.03, 0.05), (0, 0.1), (0.3, 0), (0, 0)):
        for form in rng.sample(FORMS, 2):
            place = rng.choice(places)
            sweeps.append(Sweep(place, spikes_of(place, range(steps), densities[0], rng),
                                jobs_of(config, place, range(steps), densities[1], rng), form))
    rng.shuffle(sweeps)
    run(config, anything(steps, rng), sweeps, rng)


def turned(steps, rows):
    """(step, index, ...) the other way round in time, ascending."""
    return sorted((steps - 1 - step, *rest) for step, *rest in rows)


def test_awkward_lists():
    """Orders and distances that chance rarely makes."""
    rng, layers, lanes, steps = random.Random(3), (21, 5, 2, 3, 13), 2, 8
    config, places = build(layers, lanes, steps, error_bits=8, error_fraction=4), layout(layers, lanes)
    wide, narrow, single, high = places
    assert [(place.in_blocks, place.out_blocks) for place in places] == [(11, 3), (3, 1), (1, 2), (2, 7)]
    lists = [
        (wide, [], []), (wide, [(0, 3)], []), (wide, [], [(0, 0, -128)]),
        (wide, [(0, 0)], [(7, 4, 127)]), (wide, [(7, 20)], [(7, 4, 127)]), (wide, [(3, 1)], [(2, 4, 127)]),
        # A job right behind a spike of each block; a spike right behind a job, of the block that the job read last or first.
        *((wide, [(2, i), (3, i), (4, 0)], [(2, 1, 99), (3, 1, -99), (3, 2, 1), (7, 3, 77)]) for i in range(0, 21, 2)),
        # The same of a spike behind jobs of each block, in reverse time.
        *((high, [(2, 0), (3, 1), (3, 2)], [(2, j, 9), (3, j, -8), (4, 0, 7), (4, j or 1, 6)]) for j in range(0, 13, 2)),
        # The same neuron in consecutive steps, with 0 to 6 others and nothing to read between.
        *((wide, [(1, i) for i in range(n + 1)] + [(2, 0), (3, 0)], [(5, 0, 5)]) for n in range(7)),
        *((high, [(0, 0)], [(1, 0, 5), (2, 0, 6)] + [(3, j, 7) for j in range(n + 1)]) for n in range(7)),
        # What is read comes behind growths whose blocks go down; columns and rows that come again at once.
        (wide, [(1, 20), (2, 9), (3, 4), (4, 1)], [(4, 0, 11), (5, 0, 12)]),
        (high, [(0, 2), (1, 2)], [(1, 1, 3), (2, 4, 4), (3, 9, 5), (4, 12, 6)]),
        *((place, [(m, m % place.n_in) for m in range(steps)], [(m, 1, m - 3) for m in range(steps)]) for place in places),
        *((place, [(m, 1) for m in range(steps)], [(m, m % place.n_out, m - 3) for m in range(steps)]) for place in places),
        # Rows and columns that come again behind some others.
        *((place, [(t, i) for t in range(steps) for i in (0, *range(1, n))], [(7, 1, -9)])
          for place in (narrow, single) for n in range(1, place.n_in + 1)),
        *((single, [(0, 1)], [(m, j, 5 - m) for m in range(steps) for j in (0, *range(1, n))]) for n in range(1, 4)),
        (single, [(0, 0), (0, 1), (1, 0), (2, 1)], [(0, 0, 1), (0, 1, 2), (0, 2, 3), (2, 0, 4), (2, 2, 5)]),
        # Everything in one step, the first or the last; nothing behind it.
        *((place, [(t, i) for i in range(place.n_in)], [(t, j, j - 1) for j in range(place.n_out)])
          for place in (narrow, high) for t in (0, 7)),
        # Readings before the first growth, none or all of them.
        (narrow, [(3, 0), (5, 1)], [(0, 0, 1), (1, 0, 2), (1, 1, 3), (2, 1, 4)]), (narrow, [(7, 4)], [(7, 0, 1), (7, 1, 2)]),
        (narrow, [(t, i) for t in (6, 7) for i in range(5)], [(4, 0, 9), (6, 1, 8)]),
        (wide, [(0, 0)], [(t, 0, 9) for t in range(8)]), (narrow, [], []), (wide, [], [(6, 2, 1)]), (wide, [(6, 2)], []),
    ]
    sweeps = [sweep for each in lists for sweep in both(*each)]
    sweeps += [Sweep(place, turned(steps, spikes), turned(steps, jobs), True) for place, spikes, jobs in lists]
    rng.shuffle(sweeps)
    run(config, anything(steps, rng), sweeps, rng)


def test_saturating_traces():
    rng, steps = random.Random(4), 140
    config, place = build((3, 2), 2, steps, time_bits=10), layout((3, 2), 2)[0]
    sweeps = [Sweep(place, spikes_of(place, range(steps), 0.97, rng), jobs_of(config, place, range(0, steps, 13), 0.5, rng), False)
              for _ in range(2)]
    powers = [2**16] * 139 + [65000, 64000]
    assert run(config, powers, sweeps, rng) == 0
    assert any(abs(value) == abs(entry.value) * (2**17 - 1) for sweep in sweeps for entry in entries(sweep) if entry.value
               for _, _, values in expectation(config, powers, sweep)[0] for value in values)


@pytest.mark.parametrize("error_bits, tau", [(8, 4), (8, 10), (18, 8)])
def test_saturating_errors(error_bits, tau):
    """A pulse for each, between the sweeps of another form that have none."""
    rng, steps = random.Random(tau), 70 if tau == 4 else 20
    config, place = build((2, 3), 2, steps, time_bits=tau, error_bits=error_bits, error_fraction=5), layout((2, 3), 2)[0]
    jobs = [(m, j, (config.error.min, config.error.max, config.error.min)[j]) for m in range(steps) for j in range(3)]
    sweeps = [Sweep(place, spikes_of(place, range(steps), 0.2, rng), jobs, form) for form in (True, False, True)]
    found = run(config, [2**16] * (steps + 1), sweeps, rng)
    assert found == 2 * 3 * (steps - (64 if tau == 4 else 2))  # so many of the largest have room


@pytest.mark.parametrize("by_spikes", FORMS)
def test_cost_of_a_usual_layer(by_spikes):
    """A reading costs its blocks, a growth a cycle; what is left over comes from steps that grow in the first blocks only."""
    rng, steps, lanes = random.Random(7), 50, 2
    layers = (20, 14) if by_spikes else (14, 20)
    config, place = build(layers, lanes, steps), layout(layers, lanes)[0]
    sweep = Sweep(place, spikes_of(place, range(steps), 23 / 700, rng), jobs_of(config, place, range(steps), 28 / 1000, rng),
                  by_spikes)
    kinds = [entry.kind for entry in entries(sweep)]
    work = kinds.count("read") * sweep.blocks + kinds.count("grow") + kinds.count("nothing")
    changes = sum(a == "grow" and b == "read" for a, b in zip(kinds, kinds[1:]))
    run(config, [round(2**16 * 0.95**n) for n in range(steps + 1)], [sweep], rng)
    assert work < schedule(sweep, lanes)[1] < work + sweep.blocks + 9 + 2.5 * changes


@pytest.mark.parametrize("layers, lanes, gradient_bits", [((2, 3), 2, 22), ((3, 2), 2, 22), ((4, 2), 4, 32), ((7, 3, 9), 4, 22)])
def test_gradients_of_successive_entries(layers, lanes, gradient_bits):
    """The accumulated gradients are the oracle's, of samples in either form: of one block, each word comes again as early as it
    may."""
    rng, steps = random.Random(lanes), 14
    config, places = build(layers, lanes, steps, gradient_bits=gradient_bits), layout(layers, lanes)
    powers = [round(2**16 * 0.9**n) for n in range(steps + 1)]
    zero = [[[0] * place.n_in for _ in range(place.n_out)] for place in places]
    settings = SimpleNamespace(beta=0.9, steps=steps, scales=(0,) * len(places), gradients=0)
    gradients = [[list(row) for row in matrix] for matrix in zero]
    oracle, sweeps = Oracle(config, settings, zero, [], gradients), []
    for place in places:
        for densities in ((0.3, 0.8), (0.8, 0.3)):
            sweeps += both(place, spikes_of(place, range(steps), densities[0], rng),
                           jobs_of(config, place, range(steps), densities[1], rng, 3000))
        sweeps.append(Sweep(place, [(0, i) for i in range(place.n_in)], [(m, 1, 700 - 300 * m) for m in range(8)], False))
        sweeps.append(Sweep(place, [(m, 1) for m in range(8)], [(7, j, 9000 - 8000 * j) for j in range(place.n_out)], True))
    rng.shuffle(sweeps)
    for sweep in sweeps:
        l, settings.gradients = sweep.place.index, 2 if sweep.by_spikes else 1
        oracle.spikes, oracle.jobs = [set()] * (l - 1) + [set(sweep.spikes)], {l: {(m, j): c for m, j, c in sweep.jobs}}
        oracle.learn(l)
    # Connected as in hw/core.py.
    m, found, counts = Module(), [[list(row) for row in matrix] for matrix in zero], []
    m.submodules.dut, m.submodules.memory = dut, memory = GradientSweep(config), TransposableGradients(config)
    m.d.comb += [memory.add_en.eq(dut.word_en), memory.add_word.eq(dut.word),
                 *(into.eq(out) for into, out in zip(memory.contribution, dut.contribution, strict=True))]

    async def finish(ctx):
        for place, matrix in zip(places, found, strict=True):
            for j in range(place.out_blocks * lanes):
                column = []
                for b in range(place.in_blocks):
                    tile = place.tile_base + b * place.out_blocks + j // lanes
                    set_all(ctx, memory, {"r_en": 1, "r_word": {"tile": tile, "column": j % lanes}})
                    await ctx.tick().repeat(TransposableGradients.READ_LATENCY)
                    column += [ctx.get(lane) for lane in memory.r_data]
                assert not any(column[place.n_in if j < place.n_out else 0:])
                if j < place.n_out:
                    matrix[j] = column[:place.n_in]

    watching = [watch(counts, saturated=memory.saturated)]
    assert run(config, powers, sweeps, rng, dut, m, finish, watching) == oracle.error_saturations
    assert found == gradients
    count = sum(t["saturated"] for t in counts)
    assert count == oracle.gradient_saturations and (count > 0) == (gradient_bits == 22)
