"""BackwardEngine against docs/numerics.md: contributions, error sums, counts, early stop, cycles of a sample, layer in work."""

import random
from contextlib import suppress

import pytest
from amaranth.sim import BrokenTrigger

from coldspike.hw.backward.engine import BackwardEngine
from coldspike.hw.backward.lanes import BackwardLanes
from coldspike.hw.layouts import SLOTS
from coldspike.spec.config import CoreConfig, bits_for
from coldspike.spec.network import layout
from coldspike.spec.pipeline import BACKWARD_LAYER

from ..cycles import read_port, set_all
from ..networks import network_of
from ..support import simulate, watch
from .test_feed import job_of


class Sample:
    """Random lists, spikes and output errors of one sample."""

    def __init__(self, rng, config, layers, shares):
        window, q, lanes = config.window, config.error, config.lanes
        places = layout(layers, lanes)
        self.slot = rng.randrange(SLOTS)
        self.lists = [[{"index": j, "level_factor": rng.choice((1 << 12, rng.randrange(1 << 16))),
                        "slope_factor": rng.choice((1 << 13, rng.randrange(1 << 16)))}
                       for j in range(p.n_out) if rng.random() < share] for p, share in zip(places, shares, strict=True)]
        self.spikes = [[(fired * rng.randint(0, window), fired) for fired in rng.choices((0, 1), k=-(-n // lanes) * lanes)]
                       for n in layers]
        self.errors = [rng.randint(q.min, q.max) for _ in range(config.max_outputs)]


def backward(config, layers, feedback, sums, sample):
    """(words with their contributions, active neurons by layer, saturations, cycles); ``sums`` (by block) change."""
    lanes, places = config.lanes, layout(layers, config.lanes)
    words, active, saturated, cycles = [], [0] * len(places), 0, 0
    for p in reversed(places):
        entries = sample.lists[p.index - 1]
        if not entries:
            cycles += 1
            break
        cycles += BACKWARD_LAYER + len(entries) * p.in_blocks
        totals = [[0] * lanes for _ in range(p.in_blocks)]
        for entry in entries:
            j, output = entry["index"], p.index == len(places)
            error = sample.errors[j] if output else sums[p.block_base + j // lanes][j % lanes]
            column = p.column_base + j * p.in_blocks
            _, g, h, _, over = job_of(config, entry, error, output, column)
            active[p.index - 1] += 1
            saturated += over
            for b in range(p.in_blocks):
                part = sample.spikes[p.index - 1][b * lanes:(b + 1) * lanes]
                words.append((column + b, p.tile_base + b * p.out_blocks + j // lanes, j % lanes, p.index - 1,
                              p.block_base * lanes + j,
                              [g * (config.window - a) - (h << config.time_bits) if fired else 0 for a, fired in part]))
                if p.index > 1:
                    row = feedback[p.feedback_base + j * p.in_blocks + b]
                    totals[b] = [total + w * g for total, w in zip(totals[b], row, strict=True)]
        if p.index > 1:
            below = places[p.index - 2].block_base
            sums |= {below + b: total for b, total in enumerate(totals)}
    return words, active, saturated, cycles


@pytest.mark.parametrize("layers, lanes", [((6, 9, 5, 3), 4), ((5, 4, 7), 2), ((7, 5), 8)])
def test_samples(layers, lanes):
    rng = random.Random(lanes)
    config = CoreConfig.for_network(layers, lanes=lanes, weight_bits=8, weight_fraction=4, error_bits=10, error_fraction=6,
                                    time_bits=4)
    places, q = layout(layers, lanes), config.weight
    depth, outputs = len(places), bits_for(config.max_outputs)
    feedback = [[rng.randint(q.min, q.max) for _ in range(lanes)] for _ in range(config.feedback_words)]
    sums = {block: [0] * lanes for block in range(config.neuron_blocks)}
    dut, trace, now, expected = BackwardEngine(config), [], {}, []
    shares = [[1.0] * depth, [0.5] * depth, [0.0] + [0.6] * (depth - 1), [0.7] * (depth - 1) + [0.0], [0.8] * depth]

    def entry_of(n):
        place = next(p for p in places if p.block_base == now["base"])
        entries = now["sample"].lists[place.index - 1]
        return entries[n] if n < len(entries) else {"index": 0, "level_factor": 9999, "slope_factor": 9999}

    def spikes_of(first, block):
        sample, in_layer = now["sample"], 0
        if not first:
            place = max((p for p in places if p.block_base <= block), key=lambda p: p.block_base)
            in_layer, block = place.index, block - place.block_base
        return [{"time": a, "fired": fired} for a, fired in sample.spikes[in_layer][block * lanes:(block + 1) * lanes]]

    def error_of(address):
        assert address >> outputs == now["sample"].slot
        k = address & ((1 << outputs) - 1)
        return now["sample"].errors[k] if k < config.max_outputs else 1  # asked for hidden neurons too, and not used

    def count_of(slot, layer):
        return len(now["sample"].lists[layer]) if slot == now["sample"].slot and layer < depth else 1

    async def lists(ctx):  # the count is combinational
        while True:
            now["base"] = ctx.get(dut.list_base)
            ctx.set(dut.list_count, count_of(ctx.get(dut.list_slot), ctx.get(dut.list_layer)) if "sample" in now else 0)
            with suppress(BrokenTrigger):  # two changes at once: look again
                await ctx.changed(dut.list_slot, dut.list_layer, dut.list_base)

    async def bench(ctx):
        ctx.set(dut.network, network_of(config, layers))
        for share in shares:
            sample = now["sample"] = Sample(rng, config, layers, share)
            ctx.set(dut.list_count, count_of(ctx.get(dut.list_slot), ctx.get(dut.list_layer)))
            words, active, saturated, cycles = backward(config, layers, feedback, sums, sample)
            expected.extend(words)
            set_all(ctx, dut, {"start": 1, "slot": sample.slot})
            await ctx.tick()
            set_all(ctx, dut, {"start": 0, "slot": (sample.slot + 1) % SLOTS})
            begin, done = len(trace), 0
            while not done:
                _, _, done, busy = await ctx.tick().sample(dut.done, dut.busy)
                assert busy
            assert not ctx.get(dut.busy)
            await ctx.tick()
            span = trace[begin:]
            assert sum(t["busy"] for t in span) == cycles
            assert [sum(t["active"] >> l & 1 for t in span) for l in range(depth)] == active
            assert sum(t["saturated"] for t in span) == saturated
            for block, words in sums.items():
                set_all(ctx, dut, {"sum_en": 1, "sum_addr": block})
                await ctx.tick()
                assert [ctx.get(s) for s in dut.sum_data] == words, block
            ctx.set(dut.sum_en, 0)

    simulate(dut, bench, background=[
        lists, read_port(dut.list_en, dut.list_index, dut.list_entry, entry_of),
        read_port(dut.output_en, dut.output_addr, dut.output_data, error_of),
        read_port(dut.tape_en, [dut.tape_first, dut.tape_block], dut.tape_data, spikes_of),
        read_port(dut.feedback_en, dut.feedback_addr, dut.feedback_data, lambda address: feedback[address]),
        watch(trace, busy=dut.busy, active=dut.active, saturated=dut.saturated, en=dut.word_en, word=dut.word, layer=dut.layer,
              feedback_en=dut.feedback_en, feedback_addr=dut.feedback_addr,
              **{f"lane_{k}": lane for k, lane in enumerate(dut.contribution)})])
    names = ("address", "tile", "column", "layer", "neuron")
    seen = [(*(int(getattr(t["word"], name)) for name in names), [late[f"lane_{k}"] for k in range(lanes)])
            for t, late in zip(trace, trace[BackwardLanes.CONTRIBUTION_LATENCY:]) if t["en"]]
    assert seen == expected
    layer_of = {p.feedback_base + n: p.index - 1 for p in places[1:] for n in range(p.words)}
    reads = [n for n, t in enumerate(trace) if t["feedback_en"]]
    assert {layer_of[trace[n]["feedback_addr"]] for n in reads} == set(layer_of.values())
    assert all(trace[n - early]["layer"] == layer_of[trace[n]["feedback_addr"]] for n in reads for early in range(3))
