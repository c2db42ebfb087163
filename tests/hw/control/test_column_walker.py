"""ColumnWalker against spec.network.layout: words, lanes, skipped columns, a word a cycle, one layer alone."""

import random

import pytest

from coldspike.hw.control.column_walker import ColumnWalker
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout
from coldspike.spec.pipeline import WALK_START

from ..cycles import set_all
from ..networks import network_of
from ..support import simulate, watch

WORD = ("address", "tile", "column", "layer", "neuron")


def walk(config, layers, first_layer, skipped, single):
    """Expected cycles: a word (with its lanes), or None for a skipped column."""
    lanes, out = config.lanes, []
    for p in layout(layers, lanes)[first_layer:][:1 if single else None]:
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
    """Checks each walk (first layer, set of skipped neurons, whether of this layer alone) in turn."""
    dut = ColumnWalker(config)
    skipped, trace = set(), []

    async def answer(ctx):  # a memory of flags
        while True:
            _, _, asked, neuron, busy = await ctx.tick().sample(dut.peek_en, dut.peek, dut.busy)
            if asked or not busy:
                ctx.set(dut.skip, neuron in skipped)

    async def bench(ctx):
        ctx.set(dut.network, network_of(config, layers))
        for first_layer, skip, single in walks:
            skipped.clear()
            skipped.update(skip)
            set_all(ctx, dut, {"first_layer": first_layer, "single": single, "start": 1})
            await ctx.tick()
            set_all(ctx, dut, {"first_layer": 0, "start": 0})
            begin = len(trace)
            while ctx.get(dut.busy):
                await ctx.tick()
            await ctx.tick()
            expected = walk(config, layers, first_layer, skip, single)
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
    skips = [set(), neurons, *some, edges, lasts, neurons - lasts]
    run(config, layers, [*((0, skip, 0) for skip in skips), (len(layers) - 2, set(), 0),
                         *((first, skip, 1) for skip in skips for first in range(len(layers) - 1)), (0, set(), 0)])


def test_beyond_the_last_layer_there_is_nothing():
    config = CoreConfig.for_network((4, 3, 2), lanes=2)
    run(config, (4, 3), [(first, set(), single) for single in (0, 1) for first in (1, 0, 1)])
    one_layer = CoreConfig.for_network((4, 3), lanes=2)
    run(one_layer, (4, 3), [(1, set(), 0), (0, {1}, 0), (1, set(), 1), (0, {1}, 1)])
