"""StepForwardEngine against model/exact/lif.py: lists, readout, saturations, sums, and every cycle of its work."""

import random
from dataclasses import dataclass

import pytest
import torch
from amaranth.hdl import Elaboratable, Module

from coldspike.hw.forward.leaky_accumulator import LeakyAccumulator
from coldspike.hw.forward.step_engine import StepForwardEngine
from coldspike.hw.layouts import StepSpikeLayout
from coldspike.hw.memory.step_list import StepList
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.model.exact import lif
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifSettings
from coldspike.spec.network import layout

from ..cycles import read_port, set_all
from ..networks import network_of
from ..support import simulate, source, watch

EVERYTHING = (1 << 19) - 1
"""A window beyond every potential."""

SEEN = ("busy", "done", "event", "saturated", "active_layer", "active_begin", "active_en", "active_entry", "output_start",
        "output_en", "output_index", "output_step", "output_potential", "output_last")


@dataclass
class Sample:
    """Run-time settings and input events (step, index), ascending, of a sample; ``idle`` as in support.source."""

    settings: LifSettings
    train: int
    events: list
    idle: float = 0.0


@dataclass
class Layer:
    """What the golden model says of a weight layer: the ``events`` that reach it and its own ``spikes`` (step, index), potentials
    V[0] to V[T] (hidden: T - 1), sums after the last step, active neurons {(step, index): g}, the neurons sent in each step."""

    events: list
    spikes: list
    potentials: list
    sums: list
    active: dict
    sent: dict
    saturations: int


class Bench(Elaboratable):
    """The engine and its lists of spikes."""

    def __init__(self, config):
        self.engine = StepForwardEngine(config)
        self.spikes = StepList(StepSpikeLayout(config), config.spike_entries, config.max_layers, second=True)

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine, m.submodules.spikes = engine, spikes = self.engine, self.spikes
        for name in ("clear", "w_list", "w_begin", "w_en", "w_entry", "r_list", "r_en", "r_index"):
            m.d.comb += getattr(spikes, name).eq(getattr(engine, f"spikes_{name}"))
        m.d.comb += [engine.spikes_r_count.eq(spikes.r_count), engine.spikes_r_entry.eq(spikes.r_entry)]
        return m


def golden(config, weights, sample):
    """Layers of a sample; later layers see only the spikes that find room."""
    settings, events, room, layers = sample.settings, sample.events, config.spike_entries, []
    for l, matrix in enumerate(weights, start=1):
        kept = events[:room]
        room -= len(kept)
        spikes = torch.zeros(1, settings.steps, len(matrix[0]), dtype=torch.bool)
        for t, i in kept:
            spikes[0, t, i] = True
        current = lif.currents(torch.tensor(matrix), spikes)
        if l == len(weights):
            potential, saturations = lif.integrate(config, settings, current)
            fired, active = torch.zeros_like(potential, dtype=torch.bool), {}
            sent = {t: range(len(matrix)) for t in range(1, settings.steps + 1)}
        else:
            layer = lif.fire(config, settings, current)
            potential, fired, saturations = layer.potential, layer.fired, layer.saturations
            active = {(t, j): int(layer.surrogate[0, t, j]) for _, t, j in layer.active.nonzero().tolist() if t and sample.train}
            sent = {t: [j for j in range(len(matrix)) if fired[0, t, j] or (t, j) in active] for t in range(1, settings.steps)}
        end = settings.steps - 1
        sums = lif.decay(torch.tensor(settings.decays), potential[0, end], 1) - fired[0, end] * config.weight.one + current[0, end]
        events = [(t, j) for _, t, j in fired.nonzero().tolist()]
        layers.append(Layer(kept, events, potential[0].tolist(), sums.tolist(), active, sent, saturations))
    return layers


def busy_cycles(lanes, sizes, steps, inputs, events, sent):
    """Cycles of a sample of ``inputs`` events. Of each weight layer, ``events`` : events of each step; ``sent`` : of each step but
    the first, how many neurons of each block are sent."""
    total = 1 + inputs
    for l, size in enumerate(sizes[1:]):
        blocks, output = -(-size // lanes), l == len(sizes) - 2
        total += 32
        for t in range(steps + output):
            adding = 2 + blocks * (1 + (events[l][t] if t < steps else 0))
            total += max(adding, 7 + sum(max(1, n) for n in sent[l][t]) if t else 0)
    return total


def run(config, sizes, weights, samples):
    """Runs the samples one after the other. Returns of each its span of the trace, the final sums, the lists of spikes and whether
    they overflowed."""
    bench, places, lanes, rng = Bench(config), layout(sizes, config.lanes), config.lanes, random.Random(len(samples))
    dut, trace, results = bench.engine, [], []
    # Neurons past a layer's end get the largest weights: none may be sent or counted.
    rows = [[list(row) + [config.weight.max] * (-len(row) % lanes) for row in zip(*matrix, strict=True)] for matrix in weights]

    def row_of(tile, row):
        p = max((p for p in places if p.tile_base <= tile), key=lambda p: p.tile_base)
        in_block, out_block = divmod(tile - p.tile_base, p.out_blocks)
        return rows[p.index - 1][in_block * lanes + row][out_block * lanes:(out_block + 1) * lanes]

    async def final_sums(ctx, place):
        sums = []
        for block in range(place.out_blocks):
            set_all(ctx, dut, {"sum_en": 1, "sum_addr": place.block_base + block})
            await ctx.tick()
            set_all(ctx, dut, {"sum_en": 0, "sum_addr": 0})
            await ctx.tick()
            sums += [ctx.get(x) for x in dut.sums]
        return sums[:place.n_out]

    async def entries(ctx, number):
        ctx.set(bench.spikes.s_list, number)
        out = []
        for n in range(ctx.get(bench.spikes.s_count)):
            set_all(ctx, bench.spikes, {"s_en": 1, "s_index": n})
            await ctx.tick()
            out.append(tuple(int(ctx.get(field)) for field in (bench.spikes.s_entry.step, bench.spikes.s_entry.index)))
        return out

    async def drive(ctx):
        ctx.set(dut.network, network_of(config, sizes))
        for sample in samples:
            begin, settings = len(trace), sample.settings
            set_all(ctx, dut, {"steps": settings.steps, "leak": settings.decays[1], "window": settings.window,
                               "start": 1, "train": sample.train, "count": len(sample.events)})
            await ctx.tick()
            set_all(ctx, dut, {"start": 0, "train": 1 - sample.train, "count": 77})
            await source(dut.i_payload, [i | t << 16 for t, i in sample.events], idle=sample.idle, rng=rng)(ctx)
            while ctx.get(dut.busy):
                await ctx.tick()
            span = trace[begin:]
            results.append((span, [await final_sums(ctx, p) for p in places], [await entries(ctx, p.index - 1) for p in places],
                            ctx.get(bench.spikes.overflow)))

    simulate(bench, drive, deadline=60_000, background=[
        read_port(dut.w_en, [dut.w_tile, dut.w_row], dut.w_data, row_of, latency=TransposableMemory.READ_LATENCY),
        watch(trace, **{name: getattr(dut, name) for name in SEEN})])
    return results


def check(config, sizes, weights, samples):
    """Runs the samples and compares everything; returns the golden layers of each."""
    expected = [golden(config, weights, sample) for sample in samples]
    for sample, layers, (span, sums, lists, overflow) in zip(samples, expected, run(config, sizes, weights, samples), strict=True):
        steps = sample.settings.steps
        assert lists == [layer.events for layer in layers]
        assert overflow == (sum(map(len, lists)) < len(sample.events) + sum(len(layer.spikes) for layer in layers[:-1]))
        assert sums == [layer.sums for layer in layers]
        assert sum(t["saturated"] for t in span) == sum(layer.saturations for layer in layers)
        counts = [sum(t["event"] >> l & 1 for t in span) for l in range(config.max_layers)]
        assert counts == [len(events) for events in lists] + [0] * (config.max_layers - len(lists))
        check_active(sample, layers, span)

        slots = [(t["output_step"], t["output_index"], t["output_potential"]) for t in span if t["output_en"]]
        assert slots == [(t, k, layers[-1].potentials[t][k]) for t in range(1, steps + 1) for k in range(sizes[-1])]
        starts, ends = ([n for n, t in enumerate(span) if t[name]] for name in ("output_start", "output_last"))
        assert len(starts) == 1 and starts[0] < min(n for n, t in enumerate(span) if t["output_en"])
        assert [n for n, t in enumerate(span) if t["done"]] == ends and len(ends) == 1 and span[ends[0]]["output_en"]
        busy = [n for n, t in enumerate(span) if t["busy"]]
        assert busy == list(range(1, ends[0] + 1))
        if not sample.idle:
            events = [[sum(step == t for step, _ in spikes) for t in range(steps)] for spikes in lists]
            sent = [{t: [sum(j // config.lanes == block for j in neurons) for block in range(-(-size // config.lanes))]
                     for t, neurons in layer.sent.items()} for size, layer in zip(sizes[1:], layers, strict=True)]
            assert len(busy) == busy_cycles(config.lanes, sizes, steps, len(sample.events), events, sent)
    return expected


def check_active(sample, layers, span):
    """The lists of active neurons: begun in order, of training samples only."""
    active = []
    for t in span:
        if t["active_begin"]:
            active.append((t["active_layer"], []))
        if t["active_en"]:
            assert t["active_layer"] == active[-1][0]
            active[-1][1].append(tuple(int(getattr(t["active_entry"], name)) for name in ("step", "index", "value")))
    assert active == [(l, sorted((t, j, g) for (t, j), g in layer.active.items()))
                      for l, layer in enumerate(layers[:-1], start=1) if sample.train]


def settings_of(steps, window, beta=0.8, layers=3):
    return LifSettings(steps=steps, beta=beta, window=window, scales=(0,) * layers)


def weights_of(rng, sizes, low, high):
    return [[[rng.randint(low, high) for _ in range(n)] for _ in range(k)] for n, k in zip(sizes, sizes[1:])]


def events_of(rng, steps, inputs, density):
    return [(t, i) for t in range(steps) for i in range(inputs) if rng.random() < density]


@pytest.mark.parametrize("sizes, lanes", [((6, 9, 3), 4), ((5, 4, 5), 2), ((7, 3), 4), ((3, 1, 1), 2), ((5, 11, 2), 8)])
def test_samples(sizes, lanes):
    rng = random.Random(lanes)
    config = CoreConfig.for_network(sizes, lanes=lanes, weight_bits=8, weight_fraction=5, rules="sparse-bptt", max_steps=5)
    weights = weights_of(rng, sizes, -20, 45)
    samples = [Sample(settings_of(steps, window, beta), train, events_of(rng, steps, sizes[0], density), idle)
               for steps, window, beta, train, density, idle in (
                   (5, 20, 0.8, 1, 0.4, 0.0), (1, EVERYTHING, 0.5, 1, 1.0, 0.0), (3, 0, 0.0, 1, 0.7, 0.4), (2, 9, 0.8, 1, 0.0, 0.0),
                   (5, EVERYTHING, 0.95, 1, 0.4, 0.0), (4, 30, 0.9999999, 0, 0.5, 0.0))]
    layers = [layer for sample in check(config, sizes, weights, samples) for layer in sample[:-1]]
    if max(sizes[1:-1], default=1) > 1:
        assert any(layer.spikes for layer in layers) and any(layer.active for layer in layers)


@pytest.mark.parametrize("fraction", [2, 16])
def test_saturation(fraction):
    """The largest weights: potentials saturate at both ends, sums beyond them are kept whole."""
    rng, sizes = random.Random(fraction), (9, 6, 5)
    config = CoreConfig.for_network(sizes, lanes=4, weight_bits=18, weight_fraction=fraction, rules="sparse-bptt", max_steps=6)
    q = config.weight
    weights = [[[rng.choice((q.min, q.max)) if k % 2 else (q.max if k % 4 else q.min) for _ in range(n)] for k in range(m)]
               for n, m in zip(sizes, sizes[1:])]
    samples = [Sample(settings_of(6, EVERYTHING, beta), train, events_of(rng, 6, sizes[0], 0.7))
               for beta, train in ((0.9, 1), (0.9999999, 0))]
    layers = [layer for sample in check(config, sizes, weights, samples) for layer in sample]
    assert all(layer.saturations for layer in layers)
    potentials = [v for layer in layers for step in layer.potentials for v in step]
    assert (min(potentials), max(potentials)) == (-1 << 17, (1 << 17) - 1)


def test_many_steps():
    rng, sizes = random.Random(4), (8, 6, 2)
    config = CoreConfig.for_network(sizes, lanes=4, rules="sparse-bptt", max_steps=30)
    check(config, sizes, weights_of(rng, sizes, -1500, 2500), [Sample(settings_of(30, 500, 0.95), 1, events_of(rng, 30, 8, 0.2))])


@pytest.mark.parametrize("full", [0, 1, 2])
def test_a_full_list_leaves_spikes_out(full):
    """Half of list ``full`` finds room, of the lists behind it nothing; the next sample has all the room again."""
    rng, sizes = random.Random(8), (6, 7, 5, 3)
    weights = weights_of(rng, sizes, 0, 60)
    samples = [Sample(settings_of(4, 30), 1, events_of(rng, 4, sizes[0], density)) for density in (0.5, 0.2)]

    def config_of(room):
        return CoreConfig.for_network(sizes, lanes=4, weight_bits=8, weight_fraction=5, rules="sparse-bptt", max_steps=4,
                                      spike_entries=room)

    lengths = [len(layer.events) for layer in golden(config_of(1000), weights, samples[0])]
    assert min(lengths) > 1
    layers = check(config_of(sum(lengths[:full]) + lengths[full] // 2), sizes, weights, samples)[0]
    assert [len(layer.events) for layer in layers] == [*lengths[:full], lengths[full] // 2, 0, 0][:3]


def test_constants():
    """busy_cycles writes them as numbers."""
    assert (StepForwardEngine.LOAD, StepForwardEngine.LAYER, StepForwardEngine.SCAN, LeakyAccumulator.TURN) == (1, 32, 7, 2)
