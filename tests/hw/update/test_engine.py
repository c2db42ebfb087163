"""UpdateEngine: which columns it updates and in which order, forgetting, words that come without a gradient memory."""

import random

import pytest

from coldspike.hw.backward.gradient_memory import GradientMemory
from coldspike.hw.backward.transposable_gradients import TransposableGradients
from coldspike.hw.update.engine import UpdateEngine
from coldspike.hw.update.unit import UpdateUnit
from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.network import layout
from coldspike.spec.pipeline import UPDATE_DRAIN, WALK_START

from ..cycles import play, read_port, set_all
from ..networks import network_of, settings_of
from ..support import simulate, watch

LAYERS, LANES = (5, 7, 3), 4
WORD = ("address", "tile", "column")


def columns():
    """(layer l - 1, neuron address, words of the column as (gradient address, tile, lane column))."""
    for p in layout(LAYERS, LANES):
        for j in range(p.n_out):
            yield p.index - 1, p.block_base * LANES + j, [
                (p.column_base + j * p.in_blocks + b, p.tile_base + b * p.out_blocks + j // LANES, j % LANES)
                for b in range(p.in_blocks)]


@pytest.mark.parametrize("memory", [GradientMemory, TransposableGradients])
@pytest.mark.parametrize("optimizer, decays, sparse_layers", [
    (Optimizer.SGD, [0, 0], {0, 1}), (Optimizer.SGD, [0, 9], {0}), (Optimizer.SGD, None, {0, 1}),
    (Optimizer.SIGN_MOMENTUM, [0, 0], set()), (Optimizer.SIGN_MOMENTUM, None, set())])
def test_columns_that_are_updated(optimizer, decays, sparse_layers, memory):
    """``decays`` None: a build without weight decay. Marks alone count: words of contributions say nothing."""
    rng = random.Random(len(sparse_layers))
    config = CoreConfig.for_network(LAYERS, lanes=LANES, optimizer=optimizer, weight_decay=decays is not None)
    dut, trace = UpdateEngine(config, memory.READ_LATENCY), []
    settings = settings_of(config, LAYERS, rate=[{"mantissa": 1, "shift": 0}] * 2, **({"decay": decays} if decays else {}))
    gradient = {word: rng.randint(1, 9) << 16 for _, _, words in columns() for word in words}

    def word():
        return {"neuron": rng.randrange(12), "address": rng.randrange(config.gradient_words), "tile": 1}

    async def update(ctx, touched):
        begin = len(trace)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        assert ctx.get(dut.busy) and not ctx.get(dut.forgetting)
        while ctx.get(dut.busy):
            await ctx.tick()
        expected, cycles = [], 1 + WALK_START  # the cycle of start
        for layer, neuron, words in columns():
            if neuron in touched or layer not in sparse_layers:
                expected += words
                cycles += len(words)
            else:
                cycles += 1
        part = trace[begin:]
        assert [(t["tile"], t["index"]) for t in part if t["en"]] == [word[1:] for word in expected]
        assert [tuple(int(getattr(t["kept_word"], name)) for name in WORD) for t in part if t["kept_en"]] == expected
        if optimizer is Optimizer.SGD and not any(decays or ()):  # the weights were zero: a step is G / 2**16, rounded down or up
            assert all(-t["lane"] - (gradient[word] >> 16) in (0, 1)
                       for t, word in zip([t for t in part if t["en"]], expected, strict=True))
        return len(part), cycles

    async def bench(ctx):
        set_all(ctx, dut, {"network": network_of(config, LAYERS), "settings": settings, "forget": 1})
        await ctx.tick()
        ctx.set(dut.forget, 0)
        assert ctx.get(dut.busy) and ctx.get(dut.forgetting)
        while ctx.get(dut.busy):
            await ctx.tick()
        await update(ctx, set())
        for share in (1.0, 0.4):
            touched = {neuron for _, neuron, _ in columns() if rng.random() < share}
            for neuron in touched:
                set_all(ctx, dut, {"mark_en": 1, "mark": neuron, "add_en": rng.random() < 0.5, "add_word": word()})
                await ctx.tick()
            for _ in range(2):
                set_all(ctx, dut, {"mark_en": 0, "mark": rng.randrange(12), "add_en": 1, "add_word": word()})
                await ctx.tick()
            ctx.set(dut.add_en, 0)
            length, cycles = await update(ctx, touched)
            if share == 1.0:  # the last column is updated: the pipeline behind it ends the update
                assert length == cycles + UPDATE_DRAIN
            await update(ctx, set())  # an update forgets
        for forget in (0, 1):
            set_all(ctx, dut, {"mark_en": 1, "mark": 2})
            await ctx.tick()
            set_all(ctx, dut, {"mark_en": 0, "forget": forget})
            await ctx.tick()
            ctx.set(dut.forget, 0)
            while ctx.get(dut.busy):
                await ctx.tick()
            await update(ctx, set() if forget else {2})

    simulate(dut, bench, background=[
        read_port(dut.gradient_en, [getattr(dut.gradient_word, name) for name in WORD], dut.gradient_data,
                  lambda *word: [gradient[word]] * LANES, latency=memory.READ_LATENCY),
        watch(trace, en=dut.write_en, tile=dut.write_tile, index=dut.write_index, lane=dut.write_data[1], kept_en=dut.kept_en,
              kept_word=dut.kept_word)])


def test_without_a_gradient_memory_words_are_updated_as_they_come():
    rng = random.Random(0)
    config = CoreConfig.for_network(LAYERS, lanes=LANES, gradient_memory=False)
    words = [{"address": n, "tile": rng.randrange(config.weight_tiles), "column": n % LANES, "layer": n % 2, "neuron": n}
             for n in range(8)]
    changes = [rng.randint(-9, 9) << 16 for _ in words]
    cycles = [{"add_en": 1, "add_word": word} for word in words] + [{} for _ in range(UpdateUnit.OPERAND_LATENCY)]
    for inputs, change in zip(cycles[UpdateUnit.OPERAND_LATENCY:], changes, strict=True):
        inputs["contribution"] = [change] * LANES
    rates = [{"mantissa": 2, "shift": 1}, {"mantissa": 3, "shift": 0}]
    late = UpdateUnit.WRITE_LATENCY
    for inputs in cycles:  # nothing is marked where nothing is kept
        inputs |= {"mark_en": 1, "mark": rng.randrange(12)}
    dut = UpdateEngine(config, GradientMemory.READ_LATENCY)
    trace = play(dut, cycles, ["write_en", "write_tile", "write_index", "write_data", "busy", "kept_en"],
                 rest=late,
                 stable={"settings": settings_of(config, LAYERS, rate=rates, decay=[0, 0])})
    seen = [(t["write_tile"], t["write_index"], t["write_data"]) for t in trace[late:late + 8]]
    expected = [(w["tile"], w["column"], [-(change >> 16) * (1, 3)[w["layer"]]] * LANES)
                for w, change in zip(words, changes, strict=True)]
    assert seen == expected  # steps are whole: no fraction to round
    assert [t["write_en"] for t in trace] == [0] * late + [1] * 8 + [0] * (len(trace) - late - 8)
    assert [t["busy"] for t in trace[:late + 10]] == [1] * (late + 9) + [0]
