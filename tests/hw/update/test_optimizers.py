"""Optimizer rules against docs/numerics.md, "Update": steps, what is kept, holding, latency 4."""

import random

import pytest

from coldspike.hw.update.optimizers import SgdRule, SignMomentumRule, optimizer_rule
from coldspike.spec.config import CoreConfig, Optimizer

from ..cycles import play


def sgd(g, w, m, d):
    return g * m + w * d, 0


def sign_momentum(g, w, m, d):
    sign = (g > 0) - (g < 0)
    return (sign * m << 16) + w * d, sign * (abs(g) * 230 >> 8)


@pytest.mark.parametrize("optimizer, rule, compute", [
    (Optimizer.SGD, SgdRule, sgd), (Optimizer.SIGN_MOMENTUM, SignMomentumRule, sign_momentum)])
@pytest.mark.parametrize("weight_decay", [False, True])
@pytest.mark.parametrize("gradient_bits, weight_bits", [(8, 6), (32, 18), (10, 18)])
def test_rules(optimizer, rule, compute, gradient_bits, weight_bits, weight_decay):
    rng = random.Random(weight_bits)
    config = CoreConfig(lanes=2, optimizer=optimizer, gradient_bits=gradient_bits, weight_bits=weight_bits, weight_fraction=5,
                        weight_decay=weight_decay)
    dut = optimizer_rule(config)
    assert type(dut) is rule
    g, w = config.gradient, config.weight
    cycles = [{"enable": 1, "mantissa": m, "shift": s, "decay": d, "gradient": [a, b], "weight": [x, y]}
              for m, s, d in ((255, 0, 65535), (1, 17, 0), (0, 3, 1), (255, 31, 0)) for a, b, x, y in (
                  (g.min, g.max, w.max, w.min), (g.min, g.max, w.min, w.max), (0, -1, w.min, 1), (1, 2, 0, -1), (-3, 3, 1, 1))]
    for _ in range(120):
        cycles.append({"enable": rng.random() < 0.7, "mantissa": rng.randrange(256), "shift": rng.randrange(32),
                       "decay": rng.randrange(1 << 16), "gradient": [rng.randint(g.min, g.max) for _ in range(2)],
                       "weight": [rng.randint(w.min, w.max) for _ in range(2)]})
    trace = play(dut, cycles, ["step", "kept"], rest=4)
    expected = []
    for c in cycles:
        if c["enable"]:
            lanes = [compute(a, x, c["mantissa"], c["decay"] * weight_decay)
                     for a, x in zip(c["gradient"], c["weight"], strict=True)]
            expected.append({"step": [lane[0] >> c["shift"] for lane in lanes], "kept": [lane[1] for lane in lanes]})
        else:
            expected.append(expected[-1])
    assert rule.LATENCY == 4 and trace[4:] == expected
