"""LeakyAccumulator against model/exact/lif.py and Python integers: potentials, sums, saturations, cycles of steps."""

import random

import pytest
import torch

from coldspike.hw.forward.leaky_accumulator import LeakyAccumulator, membrane_sum
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.model.exact import lif
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifSettings
from coldspike.spec.network import layout

from ..cycles import read_port, set_all
from ..support import simulate, source, watch


def run_layer(config, layers, weights, samples, gap=0.0):
    """The last weight layer through all steps of each sample, a (settings, fires, events); returns of each [V[1], V[2], ...] of the
    steps that were readable, the sums X after the last step, its span of the trace and the cycles of its ``start``."""
    place, lanes, rng = layout(layers, config.lanes)[-1], config.lanes, random.Random(gap)
    rows = [list(row) + [config.weight.max] * (-len(row) % lanes) for row in zip(*weights, strict=True)]
    dut, trace, results, port = LeakyAccumulator(config), [], [], {}

    def row_of(tile, row):
        in_block, out_block = divmod(tile - place.tile_base, place.out_blocks)
        return rows[in_block * lanes + row][out_block * lanes:(out_block + 1) * lanes]

    async def scan(ctx):
        """Reads the potentials a block a cycle, as early as is allowed."""
        while True:
            readable = 0
            while not readable:
                _, _, readable = await ctx.tick().sample(dut.readable)
            values = []
            for block in range(place.out_blocks):
                set_all(ctx, dut, {"r_en": [1] * lanes, "r_addr": [place.block_base + block] * lanes})
                await ctx.tick()
                values += [ctx.get(v) for v in dut.potentials]
            set_all(ctx, dut, {"r_en": [0] * lanes})
            port["potentials"].append(values[:place.n_out])

    async def drive(ctx):
        set_all(ctx, dut, {"tile_base": place.tile_base, "blocks": place.out_blocks, "base": place.block_base, "size": place.n_out})
        for settings, fires, events in samples:
            begin, starts, port["potentials"] = len(trace), [], []
            set_all(ctx, dut, {"leak": settings.decays[1], "fires": fires})
            port["events"] = [{"step": t, "index": i, "end": 0} for t, i in events] + [{"step": 0, "index": 1, "end": 1}]
            await ctx.tick().repeat(6)
            final = settings.steps - fires
            for t in range(final + 1):
                starts.append(len(trace) - begin)
                ctx.set(dut.start, 1)
                await ctx.tick()
                set_all(ctx, dut, {"start": 0, "step": t, "last": t == final})
                while not ctx.get(dut.done):
                    await ctx.tick()
            await ctx.tick().repeat(place.out_blocks + 6)
            sums = []
            for block in range(place.out_blocks):
                set_all(ctx, dut, {"sum_en": 1, "sum_addr": place.block_base + block})
                await ctx.tick()
                ctx.set(dut.sum_en, 0)
                await ctx.tick()
                sums += [ctx.get(x) for x in dut.sums]
            results.append((port["potentials"], sums[:place.n_out], trace[begin:], starts))

    async def feed(ctx):
        while True:
            while not port.get("events"):
                await ctx.tick()
            await source(dut.i_events, port.pop("events"), idle=gap, rng=rng)(ctx)

    simulate(dut, drive, background=[
        scan, feed, read_port(dut.w_en, [dut.w_tile, dut.w_row], dut.w_data, row_of, latency=TransposableMemory.READ_LATENCY),
        watch(trace, done=dut.done, readable=dut.readable, saturated=dut.saturated)])
    return results


def check(config, layers, weights, samples, gap=0.0):
    blocks = -(-layers[-1] // config.lanes)
    results = run_layer(config, layers, weights, samples, gap)
    for (settings, fires, events), (potentials, sums, span, starts) in zip(samples, results, strict=True):
        spikes = torch.zeros(1, settings.steps, layers[-2], dtype=torch.bool)
        for t, i in events:
            spikes[0, t, i] = True
        current, one = lif.currents(torch.tensor(weights), spikes), config.weight.one
        expected, count = lif.integrate(config, settings, current[:, :settings.steps - fires], one if fires else None)
        assert potentials == expected[0, 1:].tolist()
        assert sum(t["saturated"] for t in span) == count
        end = expected[0, settings.steps - 1]
        decayed = lif.decay(torch.tensor(settings.decays), end, 1)
        assert sums == (decayed - (fires * (end > one)) * one + current[0, -1]).tolist()

        done = [n for n, t in enumerate(span) if t["done"]]
        readable = [n for n, t in enumerate(span) if t["readable"]]
        assert readable == [start + 1 + 3 for start in starts[1:]]
        if not gap:  # cycle 0 of a step comes after its start
            counts = [sum(step == t for step, _ in events) for t in range(len(starts))]
            assert done == [start + 1 + blocks * (1 + n) - 1 + 2 for start, n in zip(starts, counts, strict=True)]
            assert [b - a for a, b in zip(starts, starts[1:])] == [2 + blocks * (1 + n) for n in counts[:-1]]
    return results


def settings_of(steps, beta):
    return LifSettings(steps=steps, beta=beta, window=0, scales=(0,))


def events_of(rng, steps, inputs, density):
    return [(t, i) for t in range(steps) for i in range(inputs) if rng.random() < density]


@pytest.mark.parametrize("layers, lanes", [((5, 7), 2), ((3, 9, 5), 4), ((9, 4), 4), ((2, 1), 2), ((8, 16), 8)])
@pytest.mark.parametrize("gap", [0.0, 0.6])
def test_layers(layers, lanes, gap):
    rng = random.Random(lanes)
    config = CoreConfig.for_network(layers, lanes=lanes, weight_bits=8, weight_fraction=5, rules="sparse-bptt", max_steps=12)
    weights = [[rng.randint(-30, 40) for _ in range(layers[-2])] for _ in range(layers[-1])]
    samples = [(settings_of(steps, beta), fires, events_of(rng, steps, layers[-2], density)) for steps, beta, fires, density in (
        (6, 0.8, 1, 0.6), (1, 0.9, 1, 1.0), (1, 0.9, 0, 0.5), (3, 0.5, 0, 0.0), (12, 0.93, 0, 0.3), (2, 0.9999999, 1, 1.0),
        (4, 0.0, 1, 0.8))]
    check(config, layers, weights, samples, gap)


@pytest.mark.parametrize("fraction", [2, 12, 17])
def test_both_ends_saturate(fraction):
    """Lanes without a neuron saturate, too, and are not counted; so do potentials that barely do, and do not."""
    rng, layers = random.Random(fraction), (4, 7)
    config = CoreConfig.for_network(layers, lanes=4, weight_bits=18, weight_fraction=fraction, rules="sparse-bptt", max_steps=8)
    q = config.weight
    weights = [[sign if n in (j % 3, j % 3 + 1) else int(n == 3) for n in range(4)] for j, sign in enumerate((q.max, q.min) * 3)]
    weights.append([q.max, q.min, -1, 1])
    samples = [(settings_of(8, beta), fires, events_of(rng, 8, 4, 0.6)) for beta in (0.9999999, 0.97) for fires in (0, 1)]
    check(config, layers, weights, samples)


def test_the_sum_of_a_build_with_few_small_weights_is_wider_than_a_potential():
    """Whose 18 bits are more than those of any current."""
    config = CoreConfig.for_network((1, 2), lanes=2, weight_bits=4, weight_fraction=2, rules="sparse-bptt", max_steps=4)
    assert config.slope.bits < 18 and membrane_sum(config).bits == 19
    check(config, (1, 2), [[7], [-8]], [(settings_of(4, 0.9), 0, [(0, 0), (2, 0)])])


def test_the_largest_sums():
    """A potential at its limit and every input at once: more than a current's bits."""
    config = CoreConfig.for_network((7, 2), lanes=2, weight_bits=16, rules="sparse-bptt", max_steps=8)
    weights = [[config.weight.min] * 7, [config.weight.max] * 7]
    (_, sums, _, _), = check(config, (7, 2), weights, [(settings_of(8, 0.9999999), 0, events_of(random.Random(0), 8, 7, 1.0))])
    assert sums == [-(1 << 17) - (7 << 15), (1 << 17) - 1 + 7 * ((1 << 15) - 1)] and sums[0] < config.slope.min
