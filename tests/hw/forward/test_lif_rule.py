"""LifRule against docs/numerics.md, written out in Python integers, and model/exact/lif.py; latency 26, one neuron a cycle."""

import random

import pytest
import torch

from coldspike.hw.forward.lif_rule import LifRule
from coldspike.model.exact import lif
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifFormats

from ..cycles import play

LATENCY = 26
LOW, HIGH = -1 << 17, (1 << 17) - 1
EVERYTHING = (1 << 19) - 1


def config_of(fraction):
    return CoreConfig(lanes=2, max_neurons=300, weight_bits=18, weight_fraction=fraction, rules="sparse-bptt", max_steps=20)


def neuron_rule(f, potential, window):
    """Expected fired, active, g."""
    d = (1 << f) + 100 * abs(potential - (1 << f))
    b = d.bit_length()
    m = (d << 18) >> b
    q = min((1 << 35) // m, (1 << 18) - 1)
    r = q >> (b - f - 1)
    return {"fired": int(potential > 1 << f), "active": int(abs(potential - (1 << f)) < window),
            "surrogate": min(r * r >> 20, (1 << 16) - 1)}


def check(f, potentials, window, rng):
    """Sends the potentials among empty slots."""
    config = config_of(f)
    dut = LifRule(config)
    slots = [{"item": int(n % 7 != 3), "step": rng.randrange(21), "index": rng.randrange(300), "potential": v,
              "last": rng.randrange(2)} for n, v in enumerate(potentials)]
    trace = play(dut, [{"neuron": slot} for slot in slots], ["spike"], rest=LATENCY, stable={"window": window})
    assert LifRule.LATENCY == LATENCY
    for slot, record in zip(slots, trace[LATENCY:], strict=True):
        expected = slot | (neuron_rule(f, slot["potential"], window) if slot["item"] else {"fired": 0, "active": 0})
        assert {name: int(getattr(record["spike"], name)) for name in expected} == expected
    return [t["spike"] for t in trace[LATENCY:]]


@pytest.mark.parametrize("f", [2, 5, 12, 16, 17])
@pytest.mark.parametrize("share", [0.0, 0.1, 2.0])
def test_potentials(f, share):
    """At the threshold, at both edges of the window, at the ends of the format, anywhere."""
    rng, one = random.Random(f), 1 << f
    window = min(int(share * one), EVERYTHING)
    places = {LOW, HIGH, 0, *(p + n for p in (one, one - window, one + window) for n in range(-3, 4))}
    potentials = [*(v for v in sorted(places) if LOW <= v <= HIGH), *(rng.randint(LOW, HIGH) for _ in range(60)),
                  *(rng.randint(max(LOW, -2 * one), min(HIGH, 4 * one)) for _ in range(120))]
    rng.shuffle(potentials)
    seen = check(f, potentials, window, rng)
    assert any(s.active for s in seen) == (window > 0)


def test_the_largest_window_takes_all():
    rng = random.Random(1)
    for f in (2, 17):
        seen = check(f, [LOW, HIGH, 0, 1 << f if f < 17 else 7, LOW, HIGH], EVERYTHING, rng)
        assert [int(s.active) for s in seen] == [int(s.item) for s in seen]


@pytest.mark.parametrize("f", [4, 12])
def test_the_golden_model_agrees(f):
    potentials = torch.arange(LOW, HIGH + 1, 37)
    expected = [neuron_rule(f, int(v), 9)["surrogate"] for v in potentials]
    assert lif.surrogate(config_of(f), potentials).tolist() == expected
    assert LifFormats(config_of(f)).membrane.one == 1 << f
