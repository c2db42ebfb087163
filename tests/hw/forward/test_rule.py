"""TtfsRule against docs/numerics.md, written out in Python integers; latency 25, one neuron a cycle."""

import random

import pytest

from coldspike.hw.forward.rule import TtfsRule
from coldspike.spec.config import CoreConfig

from ..cycles import play

SMALL = CoreConfig(lanes=2, max_neurons=5, time_bits=4, weight_bits=6, weight_fraction=4)
TINY = CoreConfig(lanes=2, max_neurons=1, time_bits=4, weight_bits=4, weight_fraction=2)
USUAL = CoreConfig(lanes=2, max_neurons=784)
WIDE = CoreConfig(lanes=2, max_neurons=65535, time_bits=10, weight_bits=18, weight_fraction=2)  # logits saturate


def neuron_rule(c, neuron, level_clip, slope_clip):
    """Expected spike; None where it does not matter."""
    f, tau, window = c.weight_fraction, c.time_bits, c.window
    slope, level = neuron["slope"], neuron["level"]
    z = (slope << tau) + level
    if neuron["potential"]:
        down = f + tau - 10
        logit = z >> down if down >= 0 else z << -down
        return {"fired": 0, "time": 0, "active": 1, "level_factor": 1 << 12, "slope_factor": 2 << 12,
                "level_clipped": 0, "slope_clipped": 0, "logit": max(c.logit.min, min(c.logit.max, logit))}
    saturated = level >= window << f
    fired = saturated or z >= 0
    a, r = (window if saturated else 0), None
    if fired and not saturated:
        d = (1 << f) + slope
        b = d.bit_length()
        m = (d << 18) >> b
        q = min((1 << 35) // m, (1 << 18) - 1)
        zn = (z << 18) >> (b + tau)
        a = (zn * q + (1 << (34 - tau))) >> (35 - tau)
        s = b + 5 - f
        r = min(q >> s, 65535) if s >= 0 else 65535
    active = fired and not saturated and 0 < a < window
    expected = {"fired": int(fired), "time": a, "active": int(active), "logit": a << (10 - tau),
                "level_factor": None, "slope_factor": None, "level_clipped": 0, "slope_clipped": 0}
    if active:
        tr = ((2 * window - a) * r) >> tau
        expected |= {"level_factor": min(r, level_clip), "slope_factor": min(tr, slope_clip),
                     "level_clipped": int(r > level_clip), "slope_clipped": int(tr > slope_clip)}
    return expected


def neurons(c, rng, count):
    """Random and edge accumulators; z close to 0 and to D << tau, level close to T."""
    full = c.window << c.weight_fraction
    for n in range(count):
        one = c.weight.one
        slope = rng.choice((rng.randint(c.slope.min, c.slope.max), rng.randint(-2 * one, 2 * one), rng.randint(1, 99) - one))
        slope = c.slope.clamp(slope)
        near = rng.choice((full, -(slope << c.time_bits), 0)) + rng.randint(-3, 3) * rng.choice((1, one // 2))
        level = c.level.clamp(rng.choice((near, near, rng.randint(c.level.min, c.level.max), rng.randint(-full, full))))
        yield {"item": 1, "index": n % c.max_neurons, "slope": slope, "level": level, "potential": int(rng.random() < 0.15),
               "block_last": rng.randrange(2), "layer_last": rng.randrange(2)}


def check(config, items, level_clip, slope_clip):
    dut = TtfsRule(config)
    fields = [name for name, _ in dut.spike.shape()]
    trace = play(dut, [{"neuron": item} for item in items], ["spike"], rest=25,
                 stable={"level_clip": level_clip, "slope_clip": slope_clip})
    assert TtfsRule.LATENCY == 25
    seen = []
    for item, record in zip(items, trace[25:], strict=True):
        shown = {name: int(record["spike"][name]) for name in fields}
        expected = {name: item[name] for name in ("item", "index", "block_last", "layer_last")}
        if item["item"]:
            expected |= neuron_rule(config, item, level_clip, slope_clip)
        else:
            expected |= dict.fromkeys(("fired", "active", "level_clipped", "slope_clipped"), 0)
        for name, value in expected.items():
            assert value is None or shown[name] == value, (name, item, shown, expected)
        seen.append(shown)
    return seen


@pytest.mark.parametrize("config, clips", [
    (SMALL, (1 << 12, 1 << 12)), (SMALL, (65535, 65535)), (SMALL, (0, 3000)), (TINY, (3000, 9000)),
    (USUAL, (1 << 12, 1 << 13)), (WIDE, (5000, 5000)),
], ids=["small", "unclipped", "clipped", "tiny", "usual", "wide"])
def test_random_and_edge_accumulators(config, clips):
    items = list(neurons(config, random.Random(str(clips)), 350))
    seen = check(config, items, *clips)
    timed = [s for item, s in zip(items, seen, strict=True) if s["fired"] and not item["potential"]]
    assert any(s["active"] for s in timed) and any(s["time"] == config.window for s in timed)
    assert any(s["fired"] and s["time"] == 0 for s in timed)  # an event without a level


def test_every_accumulator_of_a_tiny_format():
    """Every slope, and every level around the three places where the rule changes."""
    full, items = TINY.window << TINY.weight_fraction, []
    for slope in range(TINY.slope.min, TINY.slope.max + 1):
        places = {0, full, -(slope << TINY.time_bits)}
        for level in sorted({TINY.level.clamp(p + n) for p in places for n in (-9, -8, -7, -1, 0, 1, 7, 8)}):
            items.append({"item": 1, "index": 0, "slope": slope, "level": level, "potential": 0,
                          "block_last": 0, "layer_last": 0})
    seen = check(TINY, items, 4096, 8192)
    rounded_up = [s for i, s in zip(items, seen, strict=True) if s["time"] == TINY.window and i["level"] < full]
    assert rounded_up and not any(s["active"] for s in rounded_up)


def test_a_derivative_equal_to_its_clip_counts_as_unclipped():
    item = {"item": 1, "index": 0, "slope": -3, "level": 200, "potential": 0, "block_last": 1, "layer_last": 0}
    free = neuron_rule(SMALL, item, 65535, 65535)
    exact = free["level_factor"], free["slope_factor"]
    assert free["active"] and min(exact) > 4096
    seen = [check(SMALL, [item], exact[0] - n, exact[1] - n)[0] for n in (0, 1)]
    assert [(s["level_clipped"], s["slope_clipped"]) for s in seen] == [(0, 0), (1, 1)]


def test_slots_without_a_neuron_carry_markers_only():
    items = list(neurons(SMALL, random.Random(3), 40))
    for n, item in enumerate(items):
        item["item"] = n % 3 == 0
    check(SMALL, items, 100, 100)
