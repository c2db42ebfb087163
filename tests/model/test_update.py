"""The update rule, exhaustively at a small width, and the stochastic rounding it rests on."""

import numpy as np
import pytest
import torch

from coldspike.model.exact.update import Rate, decayed_momentum, rounding_bits, updated_weights
from coldspike.spec.config import CoreConfig, Optimizer


@pytest.mark.parametrize("optimizer", list(Optimizer), ids=str)
@pytest.mark.parametrize("rate", [Rate(255, 0, 0), Rate(7, 3, 500), Rate(100, 9, 65535), Rate(255, 31, 1)], ids=str)
def test_every_weight_and_gradient(optimizer, rate):
    config = CoreConfig(weight_bits=6, weight_fraction=3, optimizer=optimizer)
    weights, gradients, us = torch.meshgrid(torch.arange(-32, 32), torch.arange(-300, 300, 7),
                                            torch.tensor([0, 1, 30000, 65535]), indexing="ij")
    new, over = updated_weights(config, weights, gradients, us, rate)
    expected, saturated = [], 0
    for w, g, u in zip(*(x.reshape(-1).tolist() for x in (weights, gradients, us)), strict=True):
        term = ((g > 0) - (g < 0)) * rate.mantissa << 16 if optimizer is Optimizer.SIGN_MOMENTUM else g * rate.mantissa
        value = w - ((((term + w * rate.decay) >> rate.shift) + u) >> 16)
        expected.append(config.weight.clamp(value))
        saturated += expected[-1] != value
    assert new.reshape(-1).tolist() == expected and over == saturated
    assert int(weights.min()) == -32, "the old weights must stay"


def test_rounding_is_unbiased():
    """The mean step over all u is the step before rounding."""
    config = CoreConfig()
    u = torch.arange(1 << 16)
    for gradient in (1, -1, 12345, -70000):
        new, _ = updated_weights(config, torch.zeros_like(u), torch.full_like(u, gradient), u, Rate(3, 1, 0))
        assert int(new.sum()) == -((gradient * 3) >> 1)


def test_momentum_decays_towards_zero():
    values = [*range(-1500, 1500), (1 << 47) - 1, -(1 << 47)]
    expected = [(abs(m) * 230 >> 8) * (1 if m > 0 else -1) for m in values]
    assert decayed_momentum(torch.tensor(values)).tolist() == expected


@pytest.mark.parametrize("n_in", [1, 4, 5, 8])
def test_rounding_bits_follow_words_and_lanes(n_in):
    blocks = -(-n_in // 4)
    states = np.arange(3 * blocks * 4, dtype=np.uint32).reshape(-1, 4) << np.uint32(16) | np.uint32(0xFFFF)
    u = rounding_bits(states, n_in)
    assert u.tolist() == [[column * blocks * 4 + i for i in range(n_in)] for column in range(3)]


@pytest.mark.parametrize("start, step, expected, over",
                         [(-32, 1, -32, 1), (-32, 0, -32, 0), (31, -1, 31, 1), (30, -1, 31, 0)])
def test_saturation_of_a_single_weight(start, step, expected, over):
    config = CoreConfig(weight_bits=6, weight_fraction=3)
    one = torch.ones(1, 1, dtype=torch.int64)
    new, saturated = updated_weights(config, one * start, one * step << 16, one * 0, Rate(1, 0, 0))
    assert (new.item(), saturated) == (expected, over)
