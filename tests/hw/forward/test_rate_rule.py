"""RateRule against docs/numerics.md, written out in Python integers, and model/exact/traces.py; latency 2, one neuron a cycle."""

import random

import pytest
import torch

from coldspike.hw.forward.rate_rule import RateRule
from coldspike.model.exact import traces
from coldspike.spec.config import CoreConfig
from coldspike.spec.rate import RateFormats

from ..cycles import play

LATENCY = 2
MOST_TICKS = (1 << 19) - 1
USUAL = CoreConfig(lanes=2, max_neurons=784, rules="rate", max_steps=100)
SMALL = CoreConfig(lanes=2, max_neurons=5, rules="rate", max_steps=1, time_bits=4, weight_bits=6, weight_fraction=4)
COARSE = CoreConfig(lanes=2, max_neurons=3, rules="rate", max_steps=2, time_bits=4, weight_bits=4, weight_fraction=2)
WIDE = CoreConfig(lanes=2, max_neurons=65535, rules="rate", max_steps=4096, time_bits=10, weight_bits=18, weight_fraction=2)
CONFIGS = {"usual": USUAL, "one step": SMALL, "coarse": COARSE, "wide": WIDE}
"""Levels have more fractional bits than logits, or fewer (coarse); logits saturate (wide)."""


def neuron_rule(c, neuron, ticks):
    """Expected spike; None where it does not matter."""
    if neuron["output"]:
        down = c.weight_fraction + c.time_bits - 10
        level = neuron["level"]
        logit = level >> down if down >= 0 else level << -down
        return {"fired": 0, "time": 0, "active": 1, "level_factor": 1 << 12, "slope_factor": 1 << 12,
                "logit": max(c.logit.min, min(c.logit.max, logit))}
    g = min((neuron["eligibility"] + (1 << 11)) >> 12, 65535)
    return {"fired": int(neuron["count"] > 0), "time": min((neuron["count"] * ticks + (1 << 7)) >> 8, 1 << c.time_bits),
            "active": int(g > 0), "level_factor": g, "slope_factor": g, "logit": None}


def neurons(c, ticks, rng, count):
    """Random and edge neurons: rates at the window, factors at 0 and at their largest, levels at the logit's ends."""
    form, most = RateFormats(c).eligibility, c.max_steps
    full = ((c.window << 8) // ticks, (c.window << 8) // ticks + 1) if ticks else ()
    counts = [n for n in (0, 1, most, *full) if n <= most]
    borders = [place + n for place in (0, 1 << 11, 3 << 11, 65535 << 12, 65536 << 12, form.max) for n in (-1, 0, 1)]
    down = c.weight_fraction + c.time_bits - 10
    edges = [end << down if down >= 0 else end >> -down for end in (c.logit.min, c.logit.max)]
    for n in range(count):
        level = c.level.clamp(rng.choice((0, rng.choice(edges) + rng.randint(-3, 3), rng.randint(c.level.min, c.level.max))))
        yield {"item": 1, "index": n % c.max_neurons, "output": int(rng.random() < 0.3), "level": level,
               "count": rng.choice((*counts, rng.randint(0, most))),
               "eligibility": min(max(0, rng.choice((*borders, rng.randint(0, form.max)))), form.max),
               "block_last": rng.randrange(2), "layer_last": rng.randrange(2)}


def check(config, ticks, items):
    dut = RateRule(config)
    fields = [name for name, _ in dut.spike.shape()]
    trace = play(dut, [{"neuron": item} for item in items], ["spike"], rest=LATENCY, stable={"ticks": ticks})
    assert RateRule.LATENCY == LATENCY
    seen = []
    for item, record in zip(items, trace[LATENCY:], strict=True):
        shown = {name: int(record["spike"][name]) for name in fields}
        expected = {name: item[name] for name in ("item", "index", "block_last", "layer_last")}
        expected |= {"level_clipped": 0, "slope_clipped": 0}
        expected |= neuron_rule(config, item, ticks) if item["item"] else {"fired": 0, "active": 0}
        for name, value in expected.items():
            assert value is None or shown[name] == value, (name, item, shown, expected)
        seen.append(shown)
    assert not trace[0]["spike"].item and not trace[1]["spike"].item
    return seen


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("ticks", [0, 1, 127, 128, 656, 6554, 262144, MOST_TICKS])
def test_random_and_edge_neurons(name, ticks):
    config = CONFIGS[name]
    items = list(neurons(config, ticks, random.Random(ticks), 300))
    seen = check(config, ticks, items)
    hidden = [s for item, s in zip(items, seen, strict=True) if not item["output"]]
    assert any(s["fired"] and not s["time"] for s in hidden) == (ticks < 128)  # an event without a rate
    if ticks * config.max_steps > config.window << 8:
        assert any(s["time"] == config.window for s in hidden)
    assert {s["active"] for s in hidden} == {s["fired"] for s in hidden} == {0, 1}
    if config in (USUAL, WIDE):  # sums of 18 steps and more
        assert any(s["level_factor"] == 65535 for s in hidden)
    if config is WIDE:
        assert {config.logit.min, config.logit.max} <= {s["logit"] for item, s in zip(items, seen, strict=True) if item["output"]}


def test_every_count_of_a_tiny_build():
    """Each count and K around what makes half a tick, and the window."""
    config = CoreConfig(lanes=2, max_neurons=3, rules="rate", max_steps=20, time_bits=4)
    for ticks in (6, 7, 13, 128, 191, 204, 205, 206, 4096, 4097):
        check(config, ticks, [{"item": 1, "index": 0, "output": 0, "level": 0, "count": n, "eligibility": 0, "block_last": 0,
                               "layer_last": 0} for n in range(21)])


def test_slots_without_a_neuron_carry_markers_only():
    items = list(neurons(SMALL, 900, random.Random(3), 60))
    for n, item in enumerate(items):
        item["item"] = n % 3 == 0
    check(SMALL, 900, items)


@pytest.mark.parametrize("config", [USUAL, WIDE], ids=["usual", "wide"])
def test_the_golden_model_agrees(config):
    rng = random.Random(1)
    for ticks in (0, 127, 656, MOST_TICKS):
        items = [item for item in neurons(config, ticks, rng, 400) if not item["output"]]
        expected = [neuron_rule(config, item, ticks) for item in items]
        rates = traces.rates(config, ticks, torch.tensor([item["count"] for item in items]))
        factors = traces.eligibility_factor(config, torch.tensor([item["eligibility"] for item in items]))
        assert rates.tolist() == [each["time"] for each in expected]
        assert factors.tolist() == [each["level_factor"] for each in expected]
