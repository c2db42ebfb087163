"""SoftmaxReadout against docs/numerics.md: errors, prediction, result words, handover, 2 K + READOUT_FIXED cycles."""

import random
from math import exp

import pytest

from coldspike.hw.readout.softmax import SoftmaxReadout
from coldspike.spec.config import CoreConfig, bits_for
from coldspike.spec.packets import Kind
from coldspike.spec.pipeline import READOUT_FIXED

from ..cycles import set_all
from ..support import get, simulate, watch


def output_errors(fraction, logits, label):
    high, low = ([round(2**17 * exp(-n / scale)) for n in range(128)] for scale in (8, 1024))
    distances = [min(max(logits) - logit, (1 << 14) - 1) for logit in logits]
    powers = [(high[d >> 7] * low[d & 127] + (1 << 16)) >> 17 for d in distances]
    total = sum(powers)
    b = total.bit_length()
    q = min((1 << 35) // ((total << 18) >> b), (1 << 18) - 1)
    p = [(e * q + (1 << (16 - fraction + b))) >> (17 - fraction + b) for e in powers]
    return [((k == label) << fraction) - value for k, value in enumerate(p)]


def run(config, samples, seed=0):
    """Carries out ``samples`` (logits, label, train, slot); returns (results, errors by sample, cycles of work)."""
    rng = random.Random(seed)
    dut = SoftmaxReadout(config)
    results, errors, trace, handovers = [], [], [], []

    async def bench(ctx):
        for n, (logits, label, train, slot) in enumerate(samples):
            assert ctx.get(dut.ready)
            set_all(ctx, dut, {"start": 1, "slot": slot, "train": train, "label": label, "sequence": 1000 + n,
                               "count": len(logits)})
            await ctx.tick()
            set_all(ctx, dut, {"start": 0, "slot": 3, "train": 1 - train, "label": 9999, "sequence": 0, "count": 1})
            for k, logit in enumerate(logits):
                while rng.random() < 0.3:  # slots without a neuron, neurons of other layers
                    other = rng.randrange(2)
                    ctx.set(dut.spike, {"item": 1 - other, "index": 0, "logit": config.logit.max, "layer_last": 1 - other})
                    ctx.set(dut.spike_output, other)
                    await ctx.tick()
                ctx.set(dut.spike, {"item": 1, "index": k, "logit": logit, "layer_last": k + 1 == len(logits)})
                ctx.set(dut.spike_output, 1)
                await ctx.tick()
            ctx.set(dut.spike, {"item": 0})
            assert not ctx.get(dut.ready)
            if train:
                wait = rng.randrange(60)
                await ctx.tick().repeat(wait)
                ctx.set(dut.backward_ready, 1)
                handed = 0
                while not handed:
                    _, _, handed, handed_slot = await ctx.tick().sample(dut.backward_start, dut.backward_slot)
                assert not ctx.get(dut.backward_start)
                handovers.append(handed_slot)
                ctx.set(dut.backward_ready, 0)
            words, last = [], 0
            while not last:
                for _ in range(rng.randrange(2)):
                    await ctx.tick()
                word = await get(ctx, dut.o_result)
                words.append(int(word.data))
                last = int(word.last)
            results.append(words)
        for logits, _, train, slot in samples:
            ctx.set(dut.error_en, 1)
            found = []
            for k in range(len(logits)):
                ctx.set(dut.error_addr, slot << bits_for(config.max_outputs) | k)
                await ctx.tick()
                found.append(ctx.get(dut.error_data))
            errors.append(found if train else None)

    simulate(dut, bench, background=[watch(trace, working=dut.working)])
    assert handovers == [slot for _, _, train, slot in samples if train]
    return results, errors, sum(t["working"] for t in trace)


def check(config, samples):
    results, errors, working = run(config, samples)
    for n, ((logits, label, train, _), words, found) in enumerate(zip(samples, results, errors, strict=True)):
        header = [int(Kind.SAMPLE), 1000 + n, logits.index(max(logits)) | label << 16]
        assert words == header + [logit & 0xFFFFFFFF for logit in logits]
        assert not train or found == output_errors(config.error.fraction, logits, label)
    assert working == sum(2 * len(logits) + READOUT_FIXED for logits, _, train, _ in samples if train)


@pytest.mark.parametrize("outputs, options", [
    (1, {}), (2, {"error_bits": 18, "error_fraction": 16}), (5, {"error_bits": 8, "error_fraction": 4}), (17, {})])
def test_random_logits(outputs, options):
    rng = random.Random(outputs)
    config = CoreConfig(lanes=2, max_outputs=outputs, max_neurons=20, **options)
    samples = []
    for slot in range(4):
        spread = rng.choice((3, 1500, 20_000, config.logit.max))
        logits = [rng.randint(-spread, spread) for _ in range(outputs)]
        samples.append((logits, rng.randrange(outputs), int(slot != 2), slot))
    check(config, samples)


def test_ties_extremes_and_fewer_outputs_than_built():
    config = CoreConfig(lanes=2, max_outputs=7)
    low, high = config.logit.min, config.logit.max
    check(config, [([5] * 7, 3, 1, 0), ([-4, 8, 8, 1], 2, 1, 1), ([low, high, low], 0, 1, 2), ([low] * 4, 1, 1, 3)])


def test_one_output_has_no_error():
    _, errors, _ = run(CoreConfig(lanes=2, max_outputs=1), [([-77], 0, 1, 2)])
    assert errors == [[0]]


def test_inference_computes_no_errors():
    _, _, working = run(CoreConfig(lanes=2, max_outputs=3), [([1, 2, 3], 0, 0, 0)])
    assert working == 0
