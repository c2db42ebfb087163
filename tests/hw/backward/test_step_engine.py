"""StepBackwardEngine on StepTapes against plain integers (docs/numerics.md, "Sparse BPTT: backward"): gradients, jobs left on the
tape, saturations, and the cycles of model/timing_over_time.py."""

import math
import random
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from amaranth.hdl import Module, Signal

from coldspike.hw.backward.error_sweep import ErrorSweep
from coldspike.hw.backward.step_engine import StepBackwardEngine
from coldspike.hw.memory.step_tapes import StepTapes
from coldspike.model import timing_over_time
from coldspike.model.exact.over_time import OverTimeRecord
from coldspike.spec import pipeline
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import GradientForm, LifSettings, OverTime
from coldspike.spec.network import layout

from ...model.oracle_lif import Oracle
from ..cycles import read_port, set_all
from ..support import simulate, watch


@dataclass
class Network:
    """Sizes, settings and weights of a network on a build."""

    layers: tuple
    config: CoreConfig
    settings: LifSettings
    weights: list
    feedback: list
    gradients: list

    @property
    def places(self):
        return layout(self.layers, self.config.lanes)

    def inputs(self):
        """What the registers and the network table say."""
        places, n = self.places, self.config.max_layers

        def padded(values, count):
            return [*values, *[0] * (count - len(values))]

        # Entries past the network are meaningless; the second column base is the feedback's offset all the same.
        return {"layers": len(places), "outputs": self.layers[-1], "size": padded(self.layers, n + 1),
                "blocks": padded([places[0].in_blocks, *(p.out_blocks for p in places)], n + 1),
                "tile_base": padded([p.tile_base for p in places], n), "column_base": padded([p.column_base for p in places], n),
                "block_base": padded([p.block_base for p in places], n)}

    def shifts(self):
        count = len(self.places)
        shifts = [self.settings.error_shift(self.config, l) for l in range(2, count + 1)]
        return [*shifts, *[63] * (max(1, self.config.max_layers - 1) - len(shifts))]

    def feedback_word(self, address):
        """Lanes past the end of a column hold anything."""
        lanes = self.config.lanes
        for place, rows in zip(self.places[1:], self.feedback[1:], strict=True):
            j, block = divmod(address - place.feedback_base, place.in_blocks)
            if 0 <= j < place.n_out:
                row = rows[j][block * lanes:(block + 1) * lanes]
                return row + [self.config.weight.min] * (lanes - len(row))
        raise AssertionError(f"feedback word {address} is read, which no layer has")


def network(rng, config, layers, steps, *, scale=1.5, window=0.5, beta=0.9, scales=None, over_time=OverTime.MAX,
            gradients=GradientForm.CHEAPER):
    q = config.weight

    def matrices():
        return [[[q.clamp(round(rng.gauss(0, scale) * q.one / math.sqrt(n_in))) for _ in range(n_in)] for _ in range(n_out)]
                for n_in, n_out in zip(layers, layers[1:])]

    settings = LifSettings(steps=steps, beta=beta, window=int(window * q.one), over_time=over_time, gradients=gradients,
                           scales=scales or tuple(range(9 * len(layers) - 18, -1, -9)))
    zero = [[[0] * n_in for _ in range(n_out)] for n_in, n_out in zip(layers, layers[1:])]
    return Network(layers, config, settings, matrices(), matrices(), zero)


class Sample:
    """A sample of ``net`` as the oracle sees it: lists for the tape, and what becomes of them; adds to the gradients of ``net``."""

    def __init__(self, rng, net, *, density=0.3, errors=None):
        self.net, top = net, len(net.weights)
        self.oracle = oracle = Oracle(net.config, net.settings, net.weights, net.feedback, net.gradients)
        oracle.forward([(t, i) for t in range(net.settings.steps) for i in range(net.layers[0]) if rng.random() < density])
        self.spikes = [sorted(fired) for fired in oracle.spikes]
        self.active = [sorted((t, i, g) for (t, i), g in each.items() if t > 0) for each in oracle.active]
        limit = net.config.error.one
        eps = [rng.randint(-limit, limit) if errors is None else errors for _ in range(net.layers[-1])]
        oracle.backward(eps)
        self.lists = {l: sorted((m + 1, j, c) for (m, j), c in oracle.jobs[l].items()) for l in range(1, top + 1)}
        outputs = [net.config.error.clamp(-e << (net.settings.gain + net.settings.scales[-1])) != -e << net.settings.scales[-1]
                   for e in eps]
        self.saturations = oracle.error_saturations - sum(outputs)

    def record(self):
        """The sample for the timing model."""
        steps, sizes = self.net.settings.steps, self.net.layers

        def marks(entries, size):
            out = torch.zeros(1, steps, size, dtype=torch.bool)
            for t, i in entries:
                out[0, t, i] = True
            return out

        inner = range(1, len(sizes) - 1)
        return OverTimeRecord(
            train=True, learned=torch.tensor([True]), written=torch.tensor([True]), scanned=[],
            spikes=[marks(self.spikes[l], sizes[l]) for l in range(len(sizes) - 1)],
            active=[marks([entry[:2] for entry in self.active[l - 1]], sizes[l]) for l in inner],
            jobs=[marks(self.oracle.jobs[l], sizes[l]) for l in range(1, len(sizes))])

    def cycles(self):
        """Cycles from layer L down: 2 besides the longer sweep."""
        record, out = self.record(), []
        for place in reversed(self.net.places):
            entries = (timing_over_time.by_sample(rows[place.index - 1])[0] for rows in (record.spikes, record.jobs))
            gradient = timing_over_time.gradient_sweep(place, self.net.config.lanes, *entries, self.net.settings.gradients)
            error = 0
            if place.index > 1:
                reach = sum(step > 1 for step, _, _ in self.lists[place.index])
                error = ErrorSweep.FIXED + reach * max(place.in_blocks, pipeline.ERROR_DEPTH) + len(self.active[place.index - 2])
            out.append(2 + max(gradient, error))
        names = SimpleNamespace(layout=self.net.places, config=self.net.config, settings=self.net.settings)
        assert timing_over_time.backward(names, record).tolist() == [sum(out)]
        return out


def connected(config):
    """The engine on its tapes, as in hw/rules/sparse_bptt.py; while it is idle the testbench has the tapes."""
    m = Module()
    m.submodules.dut, m.submodules.tapes = dut, tapes = StepBackwardEngine(config), StepTapes(config)
    for name in ("error", "active", "gradient"):
        m.d.comb += [getattr(dut, f"{name}_{side}").eq(getattr(tapes, f"{name}_{side}")) for side in ("count", "entry")]
    m.d.comb += [dut.spike_count.eq(tapes.spikes_r_count), dut.spike_entry.eq(tapes.spikes_r_entry),
                 dut.overflow.eq(tapes.overflow)]
    look = SimpleNamespace(layer=Signal.like(tapes.layer), index=Signal.like(tapes.gradient_index), en=Signal())
    m.d.comb += [tapes.layer.eq(look.layer), tapes.gradient_en.eq(look.en), tapes.gradient_index.eq(look.index)]
    with m.If(dut.busy):
        m.d.comb += [tapes.layer.eq(dut.layer + 1), tapes.spikes_r_list.eq(dut.layer), tapes.spikes_r_en.eq(dut.spike_en),
                     tapes.spikes_r_index.eq(dut.spike_index), tapes.replace_en.eq(dut.replace_en),
                     tapes.replace_index.eq(dut.replace_index), tapes.replace_entry.eq(dut.replace_entry)]
        for name in ("error", "active", "gradient"):
            m.d.comb += [getattr(tapes, f"{name}_{side}").eq(getattr(dut, f"{name}_{side}")) for side in ("en", "index")]
    return m, dut, tapes, look


async def load(ctx, tapes, sample):
    """Writes a sample as the forward engine and the readout leave it."""
    ctx.set(tapes.clear, 1)
    await ctx.tick()
    ctx.set(tapes.clear, 0)
    top = len(sample.lists)
    lists = [("spikes_w", "list", l, [{"step": t, "index": i} for t, i in entries]) for l, entries in enumerate(sample.spikes)]
    for l in range(1, top + 1):
        entries = sample.active[l - 1] if l < top else sample.lists[l]
        lists.append(("jobs_w", "layer", l, [dict(zip(("step", "index", "value"), e, strict=True)) for e in entries]))
    for name, select, l, entries in lists:
        set_all(ctx, tapes, {f"{name}_{select}": l, f"{name}_begin": 1})
        await ctx.tick()
        ctx.set(getattr(tapes, f"{name}_begin"), 0)
        for entry in entries:
            set_all(ctx, tapes, {f"{name}_en": 1, f"{name}_entry": entry})
            await ctx.tick()
        ctx.set(getattr(tapes, f"{name}_en"), 0)


def run(samples, rng):
    """Runs ``samples`` of one build one behind the other (None: one that has no room); checks everything but gradients, which it
    returns by sample as {(tile, row, column): sum}, without limit."""
    config = next(sample for sample in samples if sample).net.config
    m, dut, tapes, look = connected(config)
    trace, now, found = [], {}, []

    async def bench(ctx):
        powers = None
        for sample in samples:
            if sample is None:  # the list of layer 1 finds no room
                ctx.set(tapes.jobs_w_en, 1)
                await ctx.tick().repeat(config.job_entries + 1)
                ctx.set(tapes.jobs_w_en, 0)
                found.append(None)
            else:
                now["net"] = net = sample.net
                if powers != net.settings.decays:
                    powers = net.settings.decays
                    for n, power in enumerate(powers):
                        set_all(ctx, dut, {"powers_w_en": 1, "powers_w_addr": n, "powers_w_data": power})
                        await ctx.tick()
                    ctx.set(dut.powers_w_en, 0)
                set_all(ctx, dut, {"network": net.inputs(), "error_shift": net.shifts(), "form": int(net.settings.gradients)})
                await load(ctx, tapes, sample)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            while ctx.get(dut.busy):
                await ctx.tick()
            await ctx.tick().repeat(rng.randint(1, 4))
            if sample is None:
                continue
            left = {}
            for l, entries in sample.lists.items():
                ctx.set(look.layer, l)
                ctx.set(look.en, 1)
                assert ctx.get(tapes.gradient_count) == len(entries)
                left[l] = []
                for n in range(len(entries)):
                    ctx.set(look.index, n)
                    await ctx.tick()
                    entry = ctx.get(tapes.gradient_entry)
                    left[l].append(tuple(int(getattr(entry, name)) for name in ("step", "index", "value")))
                ctx.set(look.en, 0)
            found.append(left)

    simulate(m, bench, deadline=60_000, background=[
        read_port(dut.feedback_en, dut.feedback_addr, dut.feedback_data, lambda address: now["net"].feedback_word(address)),
        watch(trace, start=dut.start, busy=dut.busy, done=dut.done, layer=dut.layer, en=dut.word_en, word=dut.word,
              active=dut.active, mark_en=dut.mark_en, mark=dut.mark, saturated=dut.saturated, feedback=dut.feedback_en,
              replace=dut.replace_en, **{f"lane_{k}": lane for k, lane in enumerate(dut.contribution)})])
    starts = [n for n, t in enumerate(trace) if t["start"]]
    gradients, busy = [], 0
    for sample, left, start in zip(samples, found, starts, strict=True):
        cycles = sample.cycles() if sample else [pipeline.STEP_LOOK]
        span = trace[start + 1:start + 1 + sum(cycles)]
        assert all(t["busy"] for t in span) and not trace[start]["busy"] and not trace[start + 1 + sum(cycles)]["busy"]
        assert [t["done"] for t in span] == [0] * (len(span) - 1) + [1]
        busy += len(span)
        if sample is None:
            assert not any(span[0][name] for name in ("en", "active", "saturated", "feedback", "replace"))
            continue
        assert left == sample.lists
        assert sum(t["saturated"] for t in span) == sample.saturations
        gradients.append(check_layers(sample, span, cycles, trace[start + 1:]))
    assert sum(t["busy"] for t in trace) == busy
    assert not any(t[name] for t in trace if not t["busy"] for name in ("done", "en", "active", "saturated", "feedback", "replace"))
    return gradients


def check_layers(sample, span, cycles, trace):
    """Layers in their order, jobs in theirs; the sample's gradients by place."""
    net, lanes, begin, words = sample.net, sample.net.config.lanes, 0, {}
    late = trace[StepBackwardEngine.CONTRIBUTION_LATENCY:]
    for place, length in zip(reversed(net.places), cycles, strict=True):
        part = span[begin:begin + length]
        assert {t["layer"] for t in part} == {place.index - 1}
        jobs = [j for _, j, _ in sample.lists[place.index]]
        by_spikes = net.settings.gradients.by_spikes(len(jobs), len(sample.spikes[place.index - 1]), place.n_in, place.n_out)
        assert [t["active"] for t in part if t["active"]] == [1 << place.index - 1] * len(jobs)
        marks = [t["mark"] - place.block_base * lanes for t in part if t["mark_en"]]
        assert marks == (jobs[::-1] if by_spikes else jobs)
        assert not any(t["feedback"] for t in part[:2])  # the layer is known two cycles before
        assert place.index > 1 or not any(t["feedback"] or t["replace"] for t in part)
        for n, t in enumerate(part, start=begin):
            if t["en"]:
                word = t["word"]
                assert word.row == by_spikes and place.tile_base <= word.tile < place.tile_base + place.in_blocks * place.out_blocks
                for k in range(lanes):
                    where = (word.tile, word.index, k) if by_spikes else (word.tile, k, word.index)
                    words[where] = words.get(where, 0) + late[n][f"lane_{k}"]
        begin += length
    return words


def check(samples, rng):
    """Runs ``samples``; their gradients together are the oracle's."""
    found = run(samples, rng)
    nets = {id(sample.net): sample.net for sample in samples if sample}
    for net in nets.values():
        totals = {}
        for sample, words in zip([sample for sample in samples if sample], found, strict=True):
            for where, value in words.items() if sample.net is net else ():
                totals[where] = totals.get(where, 0) + value
        lanes, expected = net.config.lanes, {}
        for place, rows in zip(net.places, net.gradients, strict=True):
            for j, row in enumerate(rows):
                for i, value in enumerate(row):
                    tile = place.tile_base + i // lanes * place.out_blocks + j // lanes
                    expected[tile, i % lanes, j % lanes] = value
        assert {where: value for where, value in totals.items() if value} == {w: v for w, v in expected.items() if v}


def build(layers, lanes, steps, **options):
    return CoreConfig.for_network(layers, lanes=lanes, rules="sparse-bptt", max_steps=steps,
                                  **{"job_entries": 128, "spike_entries": 256, **options})


@pytest.mark.parametrize("gradients", GradientForm)
@pytest.mark.parametrize("layers, lanes, steps, options", [
    ((5, 6, 4, 3), 2, 8, {"window": 1.0}),
    ((6, 7, 5, 3), 2, 6, {"over_time": OverTime.SUM, "beta": 0.7}),
    ((9, 3, 2), 2, 9, {"window": 1.5}),                              # long gradient sweeps: many spikes, wide inputs
    ((2, 9, 3), 2, 5, {"window": 9.0, "over_time": OverTime.SUM}),   # long error sweeps: all are active
    ((3, 4, 4, 3, 2), 4, 5, {"scales": (23, 13, 4, 1), "window": 2.0, "over_time": OverTime.SUM}),
    ((7, 3), 2, 6, {}),                                              # one layer: no errors go back
])
def test_random_samples(layers, lanes, steps, options, gradients):
    """Lists of a forward pass; several samples between which nothing is cleared but the tape."""
    rng = random.Random(sum(layers) + steps)
    net = network(rng, build(layers, lanes, steps), layers, steps, gradients=gradients, **options)
    samples = [Sample(rng, net, density=density) for density in (0.6, 0.3)]
    assert len(layers) == 2 or any(c for sample in samples for _, _, c in sample.lists[1])
    check(samples, rng)


def test_saturation():
    """Errors at their limits, sums beyond the operand's range."""
    rng, layers, steps = random.Random(5), (3, 3, 5, 4), 8
    net = network(rng, build(layers, 2, steps), layers, steps, window=3, beta=0.99, scales=(36, 20, 4), over_time=OverTime.SUM)
    net.feedback = [[[net.config.weight.max for _ in row] for row in rows] for rows in net.feedback]
    samples = [Sample(rng, net, errors=errors) for errors in (net.config.error.one, None)]
    assert samples[0].saturations > 20
    check(samples, rng)


def test_networks_in_turn():
    """Smaller networks on a build, and back: other depths, sizes, shifts, decays."""
    rng, config = random.Random(6), build((6, 7, 5, 4), 2, 9)
    nets = [network(rng, config, layers, steps, beta=beta, scales=scales) for layers, steps, beta, scales in (
        ((6, 7, 5, 4), 9, 0.9, (1, 6, 3)), ((5, 4), 7, 0.8, (2,)), ((4, 7, 3), 9, 0.6, (5, 0)))]
    check([Sample(rng, nets[n]) for n in (0, 1, 2, 0)], rng)


def test_nothing_to_do():
    """No spikes, no active neurons, no errors: each layer takes its least time."""
    rng, layers, steps = random.Random(7), (4, 5, 3), 6
    config = build(layers, 2, steps)
    silent = Sample(rng, network(rng, config, layers, steps), density=0)
    closed = Sample(rng, network(rng, config, layers, steps, window=0))
    zero = Sample(rng, network(rng, config, layers, steps), errors=0)
    assert not any(silent.spikes) and not closed.lists[1] and not any(c for _, _, c in zero.lists[1])
    assert closed.cycles()[1] == 2 + 1  # layer 1: 2 and the empty sweep
    check([silent, closed, zero, silent], rng)


def test_overflow_ends_at_once():
    """In one cycle, without a word or a replaced entry; the sample after it is learned from."""
    rng, layers, steps = random.Random(8), (4, 5, 3), 6
    net = network(rng, build(layers, 2, steps), layers, steps)
    first, second = Sample(rng, net), Sample(rng, net)
    check([None, first, None, None, second], rng)
