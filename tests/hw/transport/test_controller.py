"""TransportController against docs/numerics.md, "Transport": position, due, the words copied, how many, a word a cycle."""

import random

import pytest

from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.hw.transport.controller import TransportController
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout
from coldspike.spec.pipeline import TRANSPORT_DRAIN, WALK_START

from ..cycles import read_port, set_all
from ..networks import network_of
from ..support import simulate, watch


def run(layers, lanes, intervals, build=None, updates=7):
    """Makes updates under each (interval, position at start); checks state and copies after every one."""
    rng = random.Random(lanes)
    config = CoreConfig.for_network(build or layers, lanes=lanes, weight_bits=8, weight_fraction=4)
    places = layout(layers, lanes)
    dut = TransportController(config)
    weights, trace = {}, []
    expected = {}
    for p in places[1:]:
        for j in range(p.n_out):
            for block in range(p.in_blocks):
                expected[p.feedback_base + j * p.in_blocks + block] = (
                    p.tile_base + block * p.out_blocks + j // lanes, j % lanes)
    count = sum(p.n_in * p.n_out for p in places[1:])

    def column_of(tile, index):
        return weights[tile, index]

    async def bench(ctx):
        ctx.set(dut.network, network_of(config, layers))
        for interval, position in intervals:
            set_all(ctx, dut, {"interval": interval, "load": 1, "position_in": position})
            await ctx.tick()
            set_all(ctx, dut, {"load": 0, "position_in": 99})
            for _ in range(updates):
                await ctx.tick()
                for tile in range(config.weight_tiles):
                    for index in range(lanes):
                        weights[tile, index] = [rng.randint(-128, 127) for _ in range(lanes)]
                assert ctx.get(dut.position) == position and not ctx.get(dut.busy) and not ctx.get(dut.due)
                position = (position + 1) & 0xFFFFFFFF
                due = interval != 0 and position == interval
                position = 0 if due else position
                ctx.set(dut.update_done, 1)
                assert ctx.get(dut.due) == due  # combinational
                await ctx.tick()
                ctx.set(dut.update_done, 0)
                begin = len(trace)
                while ctx.get(dut.busy):
                    await ctx.tick()
                part = trace[begin:]
                writes = [(t["address"], [t[f"lane_{k}"] for k in range(lanes)]) for t in part if t["en"]]
                words = {address: weights[place] for address, place in expected.items()} if due else {}
                assert writes == sorted(words.items())
                assert sum(t["moved"] for t in part) == (count if due else 0)
                assert all(t["en"] or not t["moved"] for t in part)
                assert len(part) == (WALK_START + len(words) + TRANSPORT_DRAIN if words else 0)

    simulate(dut, bench, background=[
        read_port(dut.w_en, [dut.w_tile, dut.w_index], dut.w_data, column_of, latency=TransposableMemory.READ_LATENCY),
        watch(trace, en=dut.feedback_en, address=dut.feedback_addr, moved=dut.moved,
              **{f"lane_{k}": lane for k, lane in enumerate(dut.feedback_data)})])


@pytest.mark.parametrize("layers, lanes", [((5, 7, 3), 2), ((3, 5, 6, 2), 4), ((2, 9, 1), 8)])
def test_intervals(layers, lanes):
    run(layers, lanes, [(1, 0), (3, 0), (3, 2), (0, 0), (2, 5)])


def test_position_wraps():
    run((2, 2, 2), 2, [(0, (1 << 32) - 2), (1, (1 << 32) - 2)], updates=4)


def test_a_network_of_one_layer_has_nothing_to_copy():
    run((4, 3), 2, [(1, 0)], build=(4, 3, 2))
    run((4, 3), 2, [(2, 0)])
