"""ErrorSweep against plain integers (docs/numerics.md, "Sparse BPTT: backward") and the exact model: errors in place of g, error
sums, saturations, cycles."""

import random
from dataclasses import dataclass

import pytest
import torch
from amaranth.hdl import Module, Signal

from coldspike.hw.backward.error_lanes import ErrorLanes
from coldspike.hw.backward.error_sweep import ErrorSweep
from coldspike.hw.layouts import StepJobLayout
from coldspike.hw.memory.step_list import StepList
from coldspike.model.exact.lif import LifSpikes
from coldspike.model.exact.sparse_bptt import Jobs, hidden_jobs
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifSettings
from coldspike.spec.network import layout

from ..cycles import lanes_of, read_port, set_all
from ..support import simulate, watch

ERROR = 1 << 17


@dataclass(frozen=True)
class Network:
    """A build, how it runs, and its feedback weights by word; all errors have 18 bits."""

    layers: tuple
    config: CoreConfig
    settings: LifSettings
    feedback: list

    def place(self, layer):
        return layout(self.layers, self.config.lanes)[layer - 1]

    def weight(self, layer, j, i):
        place, lanes = self.place(layer), self.config.lanes
        return self.feedback[place.feedback_base + j * place.in_blocks + i // lanes][i % lanes]

    def plain(self, layer, jobs, active):
        """Errors of the active entries (t, i, g), sums in the end (None without jobs) and saturations. ``jobs`` : (m, j, c)."""
        power, p, n_in = self.settings.decays, self.settings.error_shift(self.config, layer), self.place(layer).n_in
        sums, u, errors, saturations = [0] * n_in, None, {}, 0

        def limited(value, limit):
            nonlocal saturations
            inside = min(max(value, -limit), limit - 1)
            saturations += inside != value
            return inside

        def later(i, t):
            operand = limited((sums[i] + 512) >> 10, 1 << 26)
            return operand if u is None else (operand * power[u - t] + (1 << 15)) >> 16

        for t in range(self.settings.steps - 1, 0, -1):
            here = [(j, c) for m, j, c in jobs if m == t]
            if here:
                sums, u = [later(i, t) << 10 for i in range(n_in)], t
            sums = [e + sum(self.weight(layer, j, i) * c for j, c in here) for i, e in enumerate(sums)]
            for step, i, g in active:
                if step == t:
                    errors[t, i] = limited((later(i, t) * g + (1 << p - 1)) >> p, ERROR)
        return [errors[t, i] for t, i, _ in active], None if u is None else sums, saturations

    def model(self, layer, jobs, active):
        """The same of the exact model, without sums."""
        place, steps = self.place(layer), self.settings.steps
        error = torch.zeros(1, steps, place.n_out, dtype=torch.int64)
        present, g = torch.zeros_like(error, dtype=torch.bool), torch.zeros(1, steps, place.n_in, dtype=torch.int64)
        passes = torch.zeros_like(g, dtype=torch.bool)
        for m, j, c in jobs:
            error[0, m, j], present[0, m, j] = c, True
        for t, i, value in active:
            g[0, t, i], passes[0, t, i] = value, True
        rows = torch.tensor([[self.weight(layer, j, i) for i in range(place.n_in)] for j in range(place.n_out)])
        out = hidden_jobs(self.config, self.settings, layer, Jobs(error, present, 0), rows,
                          LifSpikes(torch.zeros_like(g), passes, passes, g, 0))
        return [int(out.error[0, t - 1, i]) for t, i, _ in active], out.saturations


def network_for(rng, layers, lanes, *, extreme, beta, scales, steps, **build):
    config = CoreConfig.for_network(layers, lanes=lanes, rules="sparse-bptt", max_steps=steps, **build)
    q = config.weight
    feedback = [[rng.choice((q.min, q.max) if extreme else (q.min, q.max, rng.randint(q.min, q.max), rng.randint(-99, 99)))
                 for _ in range(lanes)] for _ in range(config.feedback_words)]
    if extreme:  # of one sign for each neuron, so that its sum grows
        feedback = [[q.max if k % 3 else q.min for k in range(lanes)] for _ in feedback]
    return Network(layers, config, LifSettings(steps=steps, beta=beta, window=1, scales=scales), feedback)


def predicted(jobs, active, in_blocks):
    """Cycles of ``busy`` from the steps of the lists' entries."""
    return 19 + sum(step > 1 for step in jobs) * max(in_blocks, 4) + len(active)


def sweep(network, work):
    """Runs ``work``: (layer, jobs (m, j, c), active (t, i, g)), both lists ascending; checks everything."""
    config, dut, trace, now = network.config, ErrorSweep(network.config), [], {"jobs": [], "active": []}
    lanes, places = config.lanes, layout(network.layers, config.lanes)
    known = {}  # sums by {block, lane}: those of all layers stay until their next sweep with jobs
    totals = {"saturated": 0, "changed": 0}

    def entry_of(name):
        def lookup(index):
            step, neuron, value = now[name][index] if index < len(now[name]) else (1, 0, 77)
            return {"step": step, "index": neuron, "value": value}
        return lookup

    async def bench(ctx):
        for n, power in enumerate(network.settings.decays):
            set_all(ctx, dut, {"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power})
            await ctx.tick()
        ctx.set(dut.powers_w_en, 0)
        for layer, jobs, active in work:
            place, sum_base = network.place(layer), network.place(layer - 1).block_base
            errors, sums, saturations = network.plain(layer, jobs, active)
            assert network.model(layer, jobs, active) == (errors, saturations)
            now["jobs"], now["active"] = [(m + 1, j, c) for m, j, c in jobs], active
            set_all(ctx, dut, {
                "job_count": len(jobs), "active_count": len(active), "in_blocks": place.in_blocks, "n_in": place.n_in,
                "sum_base": sum_base, "column_base": place.column_base, "feedback_offset": places[0].words,
                "shift": network.settings.error_shift(config, layer), "start": 1})
            begin = len(trace)
            await ctx.tick()
            ctx.set(dut.start, 0)
            while not trace[-1]["done"]:
                await ctx.tick()
            span = trace[begin:]
            assert [t["busy"] for t in span] == [0] + [1] * predicted([m + 1 for m, _, _ in jobs], active, place.in_blocks)
            assert not ctx.get(dut.busy) and sum(t["done"] for t in span) == 1
            assert sum(t["saturated"] for t in span) == saturations
            replaced = [(t["index"], *(int(getattr(t["entry"], name)) for name in ("step", "index", "value")))
                        for t in span if t["replace"]]
            assert replaced == [(n, *active[n][:2], errors[n]) for n in reversed(range(len(active)))]
            totals["saturated"] += saturations
            totals["changed"] += sum(error != 0 for error in errors)
            known.update({(sum_base + i // lanes, i % lanes): total for i, total in enumerate(sums or [])})
            for block in sorted({block for block, _ in known}):
                set_all(ctx, dut, {"sum_en": 1, "sum_addr": block})
                await ctx.tick()
                ctx.set(dut.sum_en, 0)
                assert all(ctx.get(dut.sum_data[k]) == known.get((block, k), ctx.get(dut.sum_data[k])) for k in range(lanes)), block

    simulate(dut, bench, background=[
        watch(trace, busy=dut.busy, done=dut.done, saturated=dut.saturated, replace=dut.replace_en, index=dut.replace_index,
              entry=dut.replace_entry),
        read_port(dut.job_en, dut.job_index, dut.job_entry, entry_of("jobs")),
        read_port(dut.active_en, dut.active_index, dut.active_entry, entry_of("active")),
        read_port(dut.feedback_en, dut.feedback_addr, dut.feedback_data, lambda address: network.feedback[address])])
    assert not any(t["replace"] or t["saturated"] for t in trace if not t["busy"])
    return totals


def lists(rng, network, layer, jobs, active, *, extreme=False):
    """Random lists; ``jobs`` and ``active`` of the (step, neuron) are in them."""
    place, steps = network.place(layer), network.settings.steps

    def value():
        return -ERROR if extreme else rng.choice((-ERROR, ERROR - 1, rng.randrange(-ERROR, ERROR), rng.randint(-200, 200)))

    busy = {m for m in range(steps) if rng.random() < 0.6} if jobs < 1 else range(steps)  # the other steps have none at all
    return (layer, [(m, j, value()) for m in range(steps) for j in range(place.n_out) if m in busy and rng.random() < jobs],
            [(t, i, rng.choice((65535, rng.randrange(65536)))) for t in range(1, steps) for i in range(place.n_in)
             if rng.random() < active])


SHARES = ((0.3, 0.3), (1.0, 0.1), (0.0, 0.5), (0.1, 1.0), (0.5, 0.0), (0.0, 0.0), (0.2, 0.2))
"""Of jobs and of active neurons, sweep after sweep."""


@pytest.mark.parametrize("layers, lanes, steps, beta, scales", [
    ((3, 7, 6, 4), 2, 7, 0.8, (0, 6, 0)),       # 4 and 3 blocks
    ((2, 5, 18, 3), 4, 5, 0.4, (12, 0, 9)),     # 2 and 5 blocks, the last partly used
    ((2, 8, 7), 8, 9, 0.95, (17, 0)),           # one block, p = 1
    ((2, 5, 3), 8, 6, 1 - 1e-7, (0, 15)),       # B[n] = 2^16, p = 33
])
def test_random_lists(layers, lanes, steps, beta, scales):
    rng = random.Random(lanes)
    network = network_for(rng, layers, lanes, extreme=False, beta=beta, scales=scales, steps=steps)
    assert (network.settings.decays[-1] == 1 << 16) == (beta > 0.99)
    total = sweep(network, [lists(rng, network, rng.randint(2, len(layers) - 1), *shares) for shares in SHARES])
    assert total["changed"] or network.settings.error_shift(network.config, 2) > 30


@pytest.mark.parametrize("lanes, beta, scales", [(2, 1 - 1e-7, (0, 0)), (4, 0.97, (6, 0)), (4, 1 - 1e-7, (0, 22))])
def test_saturation(lanes, beta, scales):
    """Sums beyond 2^36, as three jobs a step reach them; the errors saturate where p is small."""
    rng = random.Random(lanes)
    network = network_for(rng, (2, 5, 6), lanes, extreme=True, beta=beta, scales=scales, steps=12)
    total = sweep(network, [lists(rng, network, 2, *shares, extreme=True) for shares in ((0.6, 0.3), (1.0, 0.3), (0.3, 0.5))])
    assert total["saturated"] and total["changed"]


def test_narrow_build():
    """More products come together over the steps than a neuron has inputs, for which ``error_sum`` has room."""
    rng = random.Random(1)
    network = network_for(rng, (2, 5, 3), 2, extreme=True, beta=1 - 1e-7, scales=(0, 12), steps=16, weight_bits=8,
                          weight_fraction=4)
    _, jobs, active = work = lists(rng, network, 2, 1.0, 0.2, extreme=True)
    total = sweep(network, [work])
    assert total["changed"] and 127 * ERROR * len(jobs) > network.config.error_sum.max and active


@pytest.mark.parametrize("in_blocks", [1, 3, 4, 5])
def test_turns(in_blocks):
    """Jobs and looks alternate; jobs in the last step, in step 0 and looks before any job; a step's last look, then at once a job
    that changes the same sum."""
    rng = random.Random(in_blocks)
    network = network_for(rng, (2, 2 * in_blocks - 1, 3), 2, extreme=False, beta=0.7, scales=(0, 0), steps=8)
    everywhere = [(t, i, 65535) for t in range(1, 8) for i in (0, 2 * in_blocks - 2)]
    once = [(m, m % 3, 1000 - 300 * m) for m in range(8)]
    assert ErrorLanes.DEPTH == 4 and ErrorSweep.FIXED == 19
    sweep(network, [(2, once, everywhere), (2, once[:1], everywhere), (2, once[2:5], everywhere[:6]),
                    (2, once[-1:], everywhere[-1:]), (2, [], everywhere[:1]), (2, once, []),
                    (2, [(3, j, j - 70) for j in range(3)], everywhere[4:6])])


def test_one_step():
    """T = 1: all jobs are in step 0, nobody is active."""
    network = network_for(random.Random(1), (2, 3, 3), 2, extreme=False, beta=0.5, scales=(0, 0), steps=1)
    sweep(network, [(2, [(0, 1, 5), (0, 2, 7)], [])] * 2)


def test_in_lists():
    """Lists as they are in the tape: a sweep's errors are the jobs of the next one, which runs at once."""
    rng = random.Random(3)
    network = network_for(rng, (2, 6, 5, 3), 2, extreme=False, beta=0.9, scales=(0, 3, 1), steps=6)
    config, entry = network.config, StepJobLayout(network.config)
    m = Module()
    m.submodules.sweep = dut = ErrorSweep(config)
    m.submodules.odd = odd = StepList(entry, config.job_entries, 2, second=True)
    m.submodules.even = even = StepList(entry, config.job_entries, 2, second=True)
    _, jobs, upper = lists(rng, network, 3, 0.4, 0.4)
    _, _, lower = lists(rng, network, 2, 0.4, 0.4)
    contents = {(odd, 1): [(m + 1, j, c) for m, j, c in jobs], (even, 0): upper, (odd, 0): lower}

    def wire(jobs_in, jobs_list, active_in, active_list):
        return [jobs_in.r_list.eq(jobs_list), jobs_in.r_en.eq(dut.job_en), jobs_in.r_index.eq(dut.job_index),
                dut.job_entry.eq(jobs_in.r_entry), dut.job_count.eq(jobs_in.r_count), active_in.s_list.eq(active_list),
                active_in.s_en.eq(dut.active_en), active_in.s_index.eq(dut.active_index), dut.active_entry.eq(active_in.s_entry),
                dut.active_count.eq(active_in.s_count), active_in.replace_en.eq(dut.replace_en),
                active_in.replace_index.eq(dut.replace_index), active_in.replace_entry.eq(dut.replace_entry)]

    second, trace = Signal(), []
    with m.If(second):
        m.d.comb += wire(even, 0, odd, 0)
    with m.Else():
        m.d.comb += wire(odd, 1, even, 0)

    async def bench(ctx):
        for n, power in enumerate(network.settings.decays):
            set_all(ctx, dut, {"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power})
            await ctx.tick()
        ctx.set(dut.powers_w_en, 0)
        for (where, which), entries in contents.items():
            set_all(ctx, where, {"w_list": which, "w_begin": 1})
            await ctx.tick()
            ctx.set(where.w_begin, 0)
            for step, index, value in entries:
                set_all(ctx, where, {"w_en": 1, "w_entry": {"step": step, "index": index, "value": value}})
                await ctx.tick()
            ctx.set(where.w_en, 0)
        errors, here = {}, jobs
        for layer, active in ((3, upper), (2, lower)):
            place = network.place(layer)
            set_all(ctx, dut, {"in_blocks": place.in_blocks, "n_in": place.n_in, "sum_base": network.place(layer - 1).block_base,
                               "column_base": place.column_base, "feedback_offset": network.place(1).words,
                               "shift": network.settings.error_shift(config, layer), "start": 1})
            ctx.set(second, layer == 2)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().until(dut.done)
            errors[layer], _, _ = network.plain(layer, here, active)
            here = [(t - 1, i, c) for (t, i, _), c in zip(active, errors[layer], strict=True)]
        assert [t["value"] for t in trace if t["replace"]] == errors[3][::-1] + errors[2][::-1] and any(errors[2])

    simulate(m, bench, background=[
        watch(trace, replace=dut.replace_en, value=dut.replace_entry.value),
        read_port(dut.feedback_en, dut.feedback_addr, lanes_of(dut, "feedback_data"), lambda address: network.feedback[address])])
