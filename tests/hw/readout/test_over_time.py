"""OverTimeReadout against the exact model and plain integers: logits, jobs in their order, saturations, cycles."""

import random
from dataclasses import dataclass

import pytest
import torch

from coldspike.hw.readout.over_time import OverTimeReadout
from coldspike.model.exact.readout import output_errors
from coldspike.model.exact.sparse_bptt import logits, output_jobs
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifSettings, OverTime
from coldspike.spec.pipeline import JOBS_DRAIN

from ..cycles import read_port, set_all
from ..support import simulate, watch

MOST = 1 << 17

LOGITS = 4
"""Cycles from the last potential to the first logit."""


@dataclass
class Sample:
    """Potentials V[1] to V[T] of each step's outputs, and what becomes of them; ``errors`` eps, None for inference."""

    settings: LifSettings
    potentials: list
    errors: list | None

    @property
    def outputs(self):
        return len(self.potentials[0])

    def logits(self, config):
        values = []
        for column in zip(*self.potentials, strict=True):
            value = max(column) if self.settings.over_time is OverTime.MAX else sum(column)
            values.append(config.logit.clamp(value * 2**self.settings.gain * 2**10 // 2**config.weight_fraction))
        return values

    def jobs(self, config):
        """((step, index, c) ascending, which of them report a saturation)."""
        q, jobs = config.error, []
        for k, (column, error) in enumerate(zip(zip(*self.potentials, strict=True), self.errors, strict=True)):
            exact = -error * 2 ** (self.settings.gain + self.settings.scales[-1])
            steps = [column.index(max(column)) + 1] if self.settings.over_time is OverTime.MAX else range(1, len(column) + 1)
            jobs += [(step, k, q.clamp(exact), step == steps[0] and q.clamp(exact) != exact) for step in steps]
        return sorted(jobs)


def check(config, samples, rng, idle=0.2):
    """Runs ``samples`` one behind the other; returns the saturations."""
    dut, trace, now = OverTimeReadout(config), [], {}

    async def pause(ctx):
        while rng.random() < idle:
            set_all(ctx, dut, {"en": 0, "index": rng.randrange(config.max_outputs), "last": rng.randrange(2),
                               "step": rng.randrange(1, config.max_steps + 1), "potential": rng.randrange(MOST)})
            await ctx.tick()

    async def bench(ctx):
        for sample in samples:
            s, outputs, steps = sample.settings, sample.outputs, len(sample.potentials)
            set_all(ctx, dut, {"steps": steps, "count": outputs,
                               "logit": {"over_time": int(s.over_time), "gain": s.gain, "scale": s.scales[-1]}})
            await pause(ctx)
            for t, row in enumerate(sample.potentials, start=1):
                for k, potential in enumerate(row):
                    last = t == steps and k + 1 == outputs
                    set_all(ctx, dut, {"en": 1, "index": k, "step": t, "potential": potential, "last": last})
                    await ctx.tick()
                    if outputs == 1 and not last:  # those of a neuron are at least two cycles apart
                        ctx.set(dut.en, 0)
                        await ctx.tick()
                    if not last:
                        await pause(ctx)
            set_all(ctx, dut, {"en": 0, "last": 0})
            await ctx.tick().repeat(LOGITS + outputs + rng.randrange(4))
            if sample.errors is not None:
                now["errors"] = sample.errors
                ctx.set(dut.write, 1)
                await ctx.tick()
                ctx.set(dut.write, 0)
                await ctx.tick().until(dut.done)

    simulate(dut, bench, deadline=60_000, background=[
        read_port(dut.error_en, dut.error_index, dut.error_data, lambda k: now["errors"][k]),
        watch(trace, heard=dut.en & dut.last, write=dut.write, item=dut.slot.item, index=dut.slot.index, logit=dut.slot.logit,
              final=dut.slot.layer_last, job=dut.job_en, entry=dut.job_entry, saturated=dut.saturated, writing=dut.writing,
              done=dut.done, reads=dut.error_en)])
    heard, asked = (iter([n for n, t in enumerate(trace) if t[name]]) for name in ("heard", "write"))
    used = {name: set() for name in ("item", "job", "writing", "reads", "done")}
    saturations = 0
    for sample in samples:
        first, outputs = next(heard) + LOGITS, sample.outputs
        assert [(t["index"], t["logit"], t["final"]) for t in trace[first:first + outputs]] == [
            (k, logit, k + 1 == outputs) for k, logit in enumerate(sample.logits(config))]
        used["item"].update(range(first, first + outputs))
        if sample.errors is None:
            continue
        jobs, begin = sample.jobs(config), next(asked) + 1
        first = begin + 2
        seen = trace[first:first + len(jobs)]
        assert [(*(int(getattr(t["entry"], name)) for name in ("step", "index", "value")), t["saturated"]) for t in seen] == jobs
        saturations += sum(saturated for *_, saturated in jobs)
        used["job"].update(range(first, first + len(jobs)))
        used["writing"].update(range(begin, begin + len(jobs) + JOBS_DRAIN))
        used["reads"].update(range(begin, begin + len(jobs)))
        used["done"].add(first + len(jobs))
    for name, cycles in used.items():  # and in no other cycle
        assert {n for n, t in enumerate(trace) if t[name]} == cycles, name
    assert sum(t["saturated"] for t in trace) == saturations
    return saturations


def learned(config, settings, potentials, label):
    """A training sample with the errors of its logits; plain integers here and the exact model agree on it."""
    tensor, labels = torch.tensor([potentials]), torch.tensor([label])
    logit = logits(config, settings, tensor)
    sample = Sample(settings, potentials, output_errors(config, logit, labels)[0].tolist())
    jobs = output_jobs(config, settings, tensor, logit, labels)
    made = [(t + 1, k, int(jobs.error[0, t, k])) for t, k in jobs.present[0].nonzero().tolist()]
    assert sample.logits(config) == logit[0].tolist() and [job[:3] for job in sample.jobs(config)] == made
    assert jobs.saturations == sum(saturated for *_, saturated in sample.jobs(config))
    return sample


def settings_of(steps, over_time, gain=0, scale=0):
    return LifSettings(steps=steps, window=0, scales=(scale,), over_time=over_time, gain=gain)


def potentials_of(rng, steps, outputs, kind):
    """Of the whole range, close to each other, or few values, so that steps and outputs tie."""
    low, high = {"wide": (-MOST, MOST - 1), "close": (-3000, 3000), "ties": (-1, 1)}[kind]
    unit = 700 if kind == "ties" else 1
    return [[unit * rng.randint(low, high) for _ in range(outputs)] for _ in range(steps)]


def build(outputs, steps, **options):
    return CoreConfig.for_network((3, outputs), lanes=2, rules="sparse-bptt", max_steps=steps, **options)


@pytest.mark.parametrize("over_time", OverTime)
@pytest.mark.parametrize("outputs, steps, options", [
    (1, 1, {}), (1, 9, {}), (2, 12, {"error_bits": 8, "error_fraction": 4}), (5, 1, {"weight_fraction": 2}),
    (5, 16, {"weight_bits": 18, "weight_fraction": 17}), (8, 6, {"error_fraction": 10}), (17, 7, {"error_fraction": 16})])
def test_random_samples(outputs, steps, options, over_time):
    """All K and T of the build and fewer, in a row; some are not learned from."""
    rng = random.Random(outputs + steps)
    config, samples = build(outputs, steps, **options), []
    for n, kind in enumerate(("ties", "close", "wide", "ties", "close")):
        t, k = (steps, outputs) if n < 2 else (rng.randint(1, steps), rng.randint(1, outputs))
        settings = settings_of(t, over_time, gain=rng.randrange(4), scale=rng.randrange(5))
        sample = learned(config, settings, potentials_of(rng, t, k, kind), rng.randrange(k))
        if n == 3:
            sample.errors = None
        samples.append(sample)
    check(config, samples, rng, idle=(0, 0.3)[steps % 2])


def test_both_settings_in_turn():
    rng, config = random.Random(2), build(4, 6)
    samples = [learned(config, settings_of(6, over_time, 1), potentials_of(rng, 6, k, "ties"), 0)
               for over_time, k in ((OverTime.SUM, 4), (OverTime.MAX, 3), (OverTime.SUM, 2), (OverTime.MAX, 4))]
    check(config, samples, rng)


def test_order_of_maxima():
    """The first of equal potentials counts; outputs of one step come by index, whoever was in front before."""
    config = build(4, 5)
    rows = {
        "all in the first step": [[5, 5, 5, 5]] * 5,
        "all in the last": [[t, t, t, t] for t in range(5)],
        "reversed": [[0, 0, 0, 9], [0, 0, 9, 0], [0, 9, 0, 0], [9, 0, 0, 0], [9, 9, 9, 9]],
        "two a step": [[-9, -9, -9, -9], [1, -9, 1, -9], [0, 3, 0, 3], [2, 3, 0, 3], [2, 3, 1, 3]],
        "back and forth": [[0, 1, 2, 3], [1, 1, 2, 4], [2, 5, 2, 4], [2, 5, 6, 4], [-1, 5, 6, 7]],
        "below zero": [[-5, -5, -5, -5], [-4, -5, -6, -5], [-4, -4, -6, -5], [-3, -4, -6, -4], [-3, -3, -6, -4]],
        "ends of the range": [[-MOST] * 4, [-MOST, MOST - 1, -MOST, 0], [MOST - 1, 0, -MOST, 0], [MOST - 1] * 3 + [0], [0] * 4],
    }
    samples = [learned(config, settings_of(5, OverTime.MAX), row, 1) for row in rows.values()]
    check(config, samples, random.Random(1), idle=0)
    assert [[j[:2] for j in samples[n].jobs(config)] for n in (2, 4)] == [
        [(1, 3), (2, 2), (3, 1), (4, 0)], [(3, 0), (3, 1), (4, 2), (5, 3)]]


@pytest.mark.parametrize("over_time", OverTime)
def test_every_gain_and_scale(over_time):
    """Errors of any size, the smallest included; logits, errors saturate and do not."""
    rng, config = random.Random(3), build(3, 3)
    samples = []
    for n in range(32):
        settings = settings_of(3, over_time, gain=n % 16, scale=n if n < 16 else (n * 5) % 32)
        errors = [rng.choice((config.error.min, config.error.max, 0, 1, -1, rng.randint(-40, 40), rng.randint(-9999, 9999)))
                  for _ in range(3)]
        samples.append(Sample(settings, potentials_of(rng, 3, 3, rng.choice(("wide", "close", "ties"))), errors))
    samples += [Sample(settings_of(2, over_time, 15, 31), [[1, -1, 0]] * 2, [-1, 1, 0]),
                Sample(settings_of(2, over_time, 0, 0), [[1, -1, 0]] * 2, [config.error.min, config.error.max, -1])]
    assert {s.settings.scales[0] for s in samples} >= {0, 15, 31} and {s.settings.gain for s in samples} == set(range(16))
    found = {logit for s in samples for logit in s.logits(config)}
    assert {config.logit.min, config.logit.max} < found and 0 < check(config, samples, rng) < 3 * len(samples)


def test_largest_sums():
    """The sum of all steps of a build, at both ends of the range."""
    config = build(2, 8, weight_bits=18, weight_fraction=17)
    samples = [learned(config, settings_of(8, OverTime.SUM, gain), [[MOST - 1, -MOST]] * 8, 0) for gain in (0, 8)]
    samples += [learned(config, settings_of(8, OverTime.SUM), [[MOST - 1, -MOST]] * 4 + [[-MOST, MOST - 1]] * 4, 0)]
    check(config, samples, random.Random(1), idle=0)
    assert samples[0].logits(config) == [8 * (MOST - 1) >> 7, -8 * MOST >> 7]
