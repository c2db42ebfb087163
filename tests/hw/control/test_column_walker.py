"""ColumnWalker against spec.network.layout: words, lanes, skipped columns, a word a cycle."""

import random

import pytest

from coldspike.hw.control.column_walker import ColumnWalker
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout
from coldspike.spec.pipeline import WALK_START

from ..networks import network_of
from ..support import simulate, watch

WORD = ("address", "tile", "column", "layer", "neuron")


def walk(config, layers, first_layer, skipped):
    """Expected cycles: a word (with its lanes), or None for a skipped column."""
    lanes, out = config.lanes, []
    for p in layout(layers, lanes)[first_layer:]:
        for j in range(p.n_out):
            neuron = p.block_base * lanes + j
            if neuron in skipped:
                out.append(None)
                continue
            for block in range(p.in_blocks):
                word = (p.column_base + j * p.in_blocks + block, p.tile_base + block * p.out_blocks + j // lanes, j % lanes,
                        p.index - 1, neuron)
                out.append((*word, min(lanes, p.n_in - block * lanes)))
    return out


def run(config, layers, walks):
    """Checks each walk (first layer, set of skipped neurons) in turn."""
    dut = ColumnWalker(config)
    skipped, trace = set(), []

    async def answer(ctx):  # a memory of flags
        while True:
            _, _, asked, neuron, busy = await ctx.tick().sample(dut.peek_en, dut.peek, dut.busy)
            if asked or not busy:
                ctx.set(dut.skip, neuron in skipped)

    async def bench(ctx):
        ctx.set(dut.network, network_of(config, layers))
        for first_layer, skip in walks:
            skipped.clear()
            skipped.update(skip)
            ctx.set(dut.first_layer, first_layer)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.first_layer, 0)
            begin = len(trace)
            while ctx.get(dut.busy):
                await ctx.tick()
            await ctx.tick()
            expected = walk(config, layers, first_layer, skip)
            seen = trace[begin:]
            ahead = WALK_START if expected else 0
            assert [t["busy"] for t in seen] == [1] * (ahead + len(expected)) + [0]
            assert not any(t["valid"] for t in (*seen[:ahead], seen[-1]))
            words = [(*(int(getattr(t["word"], name)) for name in WORD), t["lanes"]) if t["valid"] else None
                     for t in seen[ahead:-1]]
            assert words == expected

    simulate(dut, bench, background=[watch(trace, valid=dut.valid, word=dut.word, lanes=dut.lanes, busy=dut.busy), answer])


@pytest.mark.parametrize("layers, lanes", [((5, 7, 3), 2), ((4, 8, 9, 1), 4), ((1, 1), 2), ((17, 3), 8)])
def test_whole_networks(layers, lanes):
    config = CoreConfig.for_network(layers, lanes=lanes)
    neurons = {p.block_base * lanes + j for p in layout(layers, lanes) for j in range(p.n_out)}
    rng = random.Random(lanes)
    some = [{n for n in neurons if rng.random() < 0.5} for _ in range(3)]
    edges = {p.block_base * lanes for p in layout(layers, lanes)}
    lasts = {p.block_base * lanes + p.n_out - 1 for p in layout(layers, lanes)}
    run(config, layers, [(0, set()), (0, neurons), *((0, s) for s in some), (0, edges), (0, lasts), (0, neurons - lasts),
                         (len(layers) - 2, set())])


def test_beyond_the_last_layer_there_is_nothing():
    config = CoreConfig.for_network((4, 3, 2), lanes=2)
    run(config, (4, 3), [(1, set()), (0, set()), (1, set())])
    one_layer = CoreConfig.for_network((4, 3), lanes=2)
    run(one_layer, (4, 3), [(1, set()), (0, {1})])
