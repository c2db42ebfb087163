"""BackwardLanes against docs/numerics.md: words, contributions, error sums, cycles."""

import random
from dataclasses import dataclass

import pytest

from coldspike.hw.backward.lanes import BackwardLanes
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import LayerLayout, layout

from ..cycles import read_port, set_all
from ..support import simulate, source, watch

WORD = ("address", "tile", "column", "layer", "neuron")


@dataclass
class Layer:
    """Stimulus of one layer: spikes (a, fired) of its presynaptic neurons and jobs (j, g, h)."""

    place: LayerLayout
    spikes: list
    jobs: list


def run(layers, lanes, work, idle=0.0, seed=0):
    """Walks ``work`` (pairs of weight layer l and listed neurons); checks values, returns the trace of each layer."""
    rng = random.Random(seed)
    config = CoreConfig.for_network(layers, lanes=lanes, weight_bits=8, weight_fraction=4, error_bits=10, error_fraction=6,
                                    time_bits=4)
    places = layout(layers, lanes)
    q, e = config.weight, config.error
    feedback = [[rng.choice((q.min, q.max, rng.randint(q.min, q.max))) for _ in range(lanes)]
                for _ in range(config.feedback_words)]
    dut = BackwardLanes(config)
    sums = {block: [0] * lanes for block in range(config.neuron_blocks)}
    expected, now, traces = [], {}, []

    def factor():
        return rng.choice((e.min, e.max, rng.randint(e.min, e.max)))

    def expect(layer):
        place = layer.place
        totals = [[0] * lanes for _ in range(place.in_blocks)]
        for j, g, h in layer.jobs:
            for block in range(place.in_blocks):
                address = place.column_base + j * place.in_blocks + block
                word = (address, place.tile_base + block * place.out_blocks + j // lanes, j % lanes, place.index - 1,
                        place.block_base * lanes + j)
                part = layer.spikes[block * lanes:(block + 1) * lanes]
                expected.append((word, [g * (config.window - a) - (h << config.time_bits) if fired else 0 for a, fired in part]))
                if place.index > 1:
                    row = feedback[address - places[0].words]
                    totals[block] = [total + b * g for total, b in zip(totals[block], row, strict=True)]
        if place.index > 1 and layer.jobs:
            for block in range(place.in_blocks):
                sums[places[place.index - 2].block_base + block] = totals[block]

    async def bench(ctx):
        for index, listed in work:
            place = places[index - 1]
            below = places[index - 2].block_base if index > 1 else 0
            spikes = [(rng.choice((0, 16, rng.randint(0, 16))), rng.randrange(2)) for _ in range(place.in_blocks * lanes)]
            layer = now["layer"] = Layer(place, [(a * fired, fired) for a, fired in spikes],
                                         [(j, factor(), factor()) for j in listed])
            expect(layer)
            set_all(ctx, dut, {"layer": index - 1, "first_layer": index == 1, "in_blocks": place.in_blocks,
                               "out_blocks": place.out_blocks, "tile_base": place.tile_base, "block_base": place.block_base,
                               "sum_base": below, "feedback_offset": places[0].words, "restart": 1})
            assert ctx.get(dut.idle)
            await ctx.tick()
            ctx.set(dut.restart, 0)
            jobs = [{"index": j, "g": g, "h": h, "column": place.column_base + j * place.in_blocks}
                    for j, g, h in layer.jobs]
            await source(dut.i_jobs, jobs, idle=idle, rng=rng)(ctx)
            while not ctx.get(dut.idle):
                await ctx.tick()
            for block, words in sums.items():
                set_all(ctx, dut, {"sum_en": 1, "sum_addr": [block] * config.lanes})
                await ctx.tick()
                assert [ctx.get(s) for s in dut.sum_data] == words, (index, block)
            ctx.set(dut.sum_en, 0)
        await ctx.tick().repeat(3)

    def spikes_of(block):
        return [{"time": a, "fired": fired} for a, fired in now["layer"].spikes[block * lanes:(block + 1) * lanes]]

    simulate(dut, bench, background=[
        read_port(dut.spikes_en, dut.block, dut.spikes, spikes_of),
        read_port(dut.feedback_en, dut.feedback_addr, dut.feedback_data, lambda address: feedback[address]),
        watch(traces, en=dut.word_en, word=dut.word, taken=dut.i_jobs.valid & dut.i_jobs.ready, idle=dut.idle,
              **{f"lane_{k}": lane for k, lane in enumerate(dut.contribution)})])
    seen = [(tuple(int(getattr(t["word"], name)) for name in WORD), [late[f"lane_{k}"] for k in range(lanes)])
            for t, late in zip(traces, traces[BackwardLanes.CONTRIBUTION_LATENCY:]) if t["en"]]
    assert seen == expected
    return traces


@pytest.mark.parametrize("idle", [0.0, 0.5])
@pytest.mark.parametrize("layers, lanes", [((5, 7, 4), 2), ((3, 4, 4, 2), 4), ((9, 10, 3), 8)])
def test_layers_from_the_output_down(layers, lanes, idle):
    rng = random.Random(lanes)
    work = []
    for _ in range(2):  # the second sample's sums start from zero again
        for index in reversed(range(1, len(layers))):
            listed = sorted(rng.sample(range(layers[index]), rng.randint(1, layers[index])))
            work.append((index, listed))
    run(layers, lanes, work, idle)


@pytest.mark.parametrize("n_in", [4, 6])  # one block: each job changes the word that the one before is writing
def test_cycles_and_sums_of_successive_jobs(n_in):
    trace = run((3, n_in, 9), 4, [(2, range(9)), (1, range(n_in))])
    blocks = -(-n_in // 4)
    taken = [n for n, t in enumerate(trace) if t["taken"]][:9]
    assert [b - a for a, b in zip(taken, taken[1:])] == [blocks] * 8
    words = [n for n, t in enumerate(trace) if t["en"]][:9 * blocks]
    assert words == list(range(taken[0] + 2, taken[0] + 2 + 9 * blocks))  # without a gap
    idle = next(n for n in range(words[-1], len(trace)) if trace[n]["idle"])
    assert idle == words[-1] + 4  # five stages behind the walk's last cycle
