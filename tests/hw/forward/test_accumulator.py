"""SynapseAccumulator against sums of Python integers: values, cycles of events, end of a layer."""

import random

import pytest

from coldspike.hw.forward.accumulator import SynapseAccumulator
from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout
from coldspike.spec.pipeline import ACCUMULATOR_DRAIN

from ..cycles import read_port, set_all
from ..support import put, simulate, watch


def run_layer(layers, lanes, samples, gap=0, seed=0):
    """Accumulates each sample (a list of (index, time)) for the last weight layer; returns (sums, trace) of each."""
    rng = random.Random(seed)
    config = CoreConfig.for_network(layers, lanes=lanes, weight_bits=7, weight_fraction=4, time_bits=4)
    place = layout(layers, lanes)[-1]
    q = config.weight
    padded = place.out_blocks * lanes
    weights = [[rng.choice((q.min, q.max, rng.randint(q.min, q.max))) for _ in range(padded)] for _ in range(place.n_in)]
    dut = SynapseAccumulator(config)
    trace, results = [], []

    def row_of(tile, row):
        in_block, out_block = divmod(tile - place.tile_base, place.out_blocks)
        i = in_block * lanes + row
        return weights[i][out_block * lanes:(out_block + 1) * lanes] if 0 <= i < place.n_in else [33] * lanes

    async def events(ctx):
        set_all(ctx, dut, {"tile_base": place.tile_base, "blocks": place.out_blocks, "base": place.block_base})
        for sample in samples:
            for index, time in sample:
                await put(ctx, dut.i_events, {"index": index, "time": time, "end": 0})
                for _ in range(gap and rng.randrange(gap)):
                    await ctx.tick()
            await put(ctx, dut.i_events, {"index": rng.randrange(place.n_in), "time": 3, "end": 1})
            done = ctx.get(dut.done)
            while not done:
                _, _, done = await ctx.tick().sample(dut.done)
            sums = []
            for block in range(place.out_blocks):  # readable from the cycle after done
                set_all(ctx, dut, {"r_en": [1] * config.lanes, "r_addr": [place.block_base + block] * config.lanes})
                await ctx.tick()
                sums += [(ctx.get(s), ctx.get(l)) for s, l in zip(dut.slopes, dut.levels, strict=True)]
            set_all(ctx, dut, {"r_en": [0] * config.lanes})
            results.append(sums)

    simulate(dut, events, background=[
        read_port(dut.w_en, [dut.w_tile, dut.w_row], dut.w_data, row_of, latency=TransposableMemory.READ_LATENCY),
        watch(trace, valid=dut.i_events.valid, ready=dut.i_events.ready, event=dut.i_events.payload, done=dut.done)])
    for sample, sums in zip(samples, results, strict=True):
        assert sums == [(sum(weights[i][j] for i, _ in sample), sum(weights[i][j] * a for i, a in sample)) for j in range(padded)]
    return trace, place


def random_sample(rng, n_in, density, window=16):
    return [(i, rng.choice((0, window, rng.randint(0, window)))) for i in range(n_in) if rng.random() < density]


@pytest.mark.parametrize("layers, lanes", [((5, 7), 2), ((3, 9, 5), 4), ((9, 4), 4), ((1, 1), 2), ((8, 16), 8)])
@pytest.mark.parametrize("gap", [0, 4])
def test_sums(layers, lanes, gap):
    rng = random.Random(gap)
    samples = [random_sample(rng, layers[-2], density) for density in (1.0, 0.0, 0.5, 1.0)]
    run_layer(layers, lanes, samples, gap)


@pytest.mark.parametrize("n_out", [3, 4, 9])  # 1 block: each event changes the word that the one before is writing
def test_cycles(n_out):
    events = [(i, 5) for i in range(6)]
    trace, place = run_layer((6, n_out), 4, [events, []])
    taken = [n for n, t in enumerate(trace) if t["valid"] and t["ready"]]
    turns = [taken[0] + n * place.out_blocks for n in range(7)]  # three events wait in registers while one is worked on
    assert taken[:7] == [turns[0], turns[0] + 1, turns[0] + 2, *(turn + 3 for turn in turns[:4])]
    ends = [turns[6], [n for n in taken if trace[n]["event"].end][1]]
    done = [n for n, t in enumerate(trace) if t["done"]]
    assert done == [ends[0] + ACCUMULATOR_DRAIN + 1, ends[1] + place.out_blocks + ACCUMULATOR_DRAIN]
