"""ActiveList against Python lists: slots, layers, counts, order, latency 1."""

import random

import pytest

from coldspike.hw.backward.active_list import ActiveList
from coldspike.hw.layouts import SLOTS
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout

from ..cycles import set_all
from ..support import simulate


@pytest.mark.parametrize("layers, lanes", [((4, 7, 3), 2), ((4, 5, 9, 6), 4), ((3, 8), 8)])
def test_lists_of_all_slots_and_layers(layers, lanes):
    rng = random.Random(lanes)
    config = CoreConfig.for_network(layers, lanes=lanes)
    places = layout(layers, lanes)
    dut = ActiveList(config)
    lists = {}

    async def write(ctx, slot, place, density):
        key = slot, place.index - 1
        set_all(ctx, dut, {"w_start": 1, "w_slot": slot, "w_layer": place.index - 1, "w_base": place.block_base})
        await ctx.tick()
        ctx.set(dut.w_start, 0)
        lists[key] = []
        for j in range(place.n_out):
            entry = {"index": j, "level_factor": rng.randrange(1 << 16), "slope_factor": rng.randrange(1 << 16)}
            listed = rng.random() < density
            set_all(ctx, dut, {"w_en": listed, "w_entry": entry})
            await ctx.tick()
            if listed:
                lists[key].append(entry)
        ctx.set(dut.w_en, 0)

    async def check(ctx):
        for (slot, layer), entries in lists.items():
            set_all(ctx, dut, {"r_slot": slot, "r_layer": layer, "r_base": places[layer].block_base})
            assert ctx.get(dut.r_count) == len(entries)  # combinational
            for n in rng.sample(range(len(entries)), len(entries)):
                set_all(ctx, dut, {"r_en": 1, "r_index": n})
                await ctx.tick()
                set_all(ctx, dut, {"r_en": 0, "r_index": 0})
                await ctx.tick()  # the entry holds
                assert {name: int(ctx.get(getattr(dut.r_entry, name))) for name in entries[n]} == entries[n]

    async def bench(ctx):
        keys = [(slot, place) for slot in range(SLOTS) for place in places]
        rng.shuffle(keys)
        for slot, place in keys:
            await write(ctx, slot, place, rng.choice((0.0, 0.5, 1.0)))
        await check(ctx)
        for slot, place in keys[:3]:  # a list made again replaces the old one, no other
            await write(ctx, slot, place, 0.3)
        await check(ctx)

    simulate(dut, bench)
