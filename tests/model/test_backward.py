"""Gradient accumulation: every path gives what adding sample by sample gives."""

import pytest
import torch

from coldspike.model.exact.backward import Factors, accumulate, factors, hidden_errors, presynaptic_errors
from coldspike.model.exact.forward import Spikes
from coldspike.spec.config import CoreConfig


def by_sample(config, gradient, part, a, fired):
    rows, saturations = gradient.tolist(), 0
    for n in range(len(a)):
        for j, row in enumerate(rows):
            g, h = int(part.g[n, j]), int(part.h[n, j])
            for i in range(len(row)):
                if fired[n, i]:
                    total = row[i] + g * (config.window - int(a[n, i])) - (h << config.time_bits)
                    row[i] = config.gradient.clamp(total)
                    saturations += row[i] != total
    return rows, saturations


@pytest.mark.parametrize("size", [10, 1000, 20000, 60000])
def test_accumulate(size):
    """From factors that cannot saturate, over columns of which some can, to all of them."""
    config = CoreConfig(gradient_bits=24, max_outputs=8)
    generator = torch.Generator().manual_seed(size)
    scale = torch.tensor([1, 1000, 30, 1, 300])
    g, h = (torch.randint(-size, size, (12, 5), generator=generator) // scale for _ in range(2))
    fired = torch.rand(12, 7, generator=generator) < 0.6
    a = torch.randint(0, 257, (12, 7), generator=generator) * fired
    gradient = torch.randint(-(1 << 20), 1 << 20, (5, 7), generator=generator)
    expected = by_sample(config, gradient, Factors(g, h, 0), a, fired)
    saturations = accumulate(config, gradient, Factors(g, h, 0), a, fired)
    assert (gradient.tolist(), saturations) == expected
    assert (saturations > 0) == (size >= 20000)


def test_no_saturation_right_up_to_the_limit():
    config = CoreConfig(gradient_bits=20)
    a, fired = torch.zeros(2, 1, dtype=torch.int64), torch.ones(2, 1, dtype=torch.bool)
    for start, expected, count in ((config.gradient.max - 512, config.gradient.max, 0),
                                   (config.gradient.max - 511, config.gradient.max, 1)):
        gradient = torch.tensor([[start]])
        part = Factors(torch.tensor([[1], [1]]), torch.tensor([[0], [0]]), 0)
        assert accumulate(config, gradient, part, a, fired) == count and gradient.item() == expected


def test_factors_round_and_saturate():
    config = CoreConfig(error_bits=8, error_fraction=4)
    ones = torch.ones(1, 4, dtype=torch.bool)
    spikes = Spikes(ones.long(), ones, ones, torch.tensor([[2048, 2047, 65535, 4096]]),
                    torch.tensor([[6144, 0, 4096, 8192]]), ~ones, ~ones)
    part = factors(config, torch.tensor([[1, 1, 100, -128]]), spikes, torch.tensor([[True, True, True, True]]))
    assert part.g.tolist() == [[1, 0, 127, -128]] and part.h.tolist() == [[2, 0, 100, -128]]
    assert part.saturations == 2
    part = factors(config, torch.tensor([[1, 1, 100, -128]]), spikes, torch.tensor([[True, False, False, False]]))
    assert part.g.tolist() == [[1, 0, 0, 0]] and part.saturations == 0


def test_hidden_errors_count_listed_neurons_only():
    config = CoreConfig(error_bits=8, error_fraction=4, weight_fraction=3)
    sums = torch.tensor([[4, 3, -4, -5, 5000, 5000, -5000]])
    listed = torch.tensor([[True, True, True, True, True, False, True]])
    errors, over = hidden_errors(config, sums, listed)
    assert errors.tolist() == [[1, 0, 0, -1, 127, 127, -128]] and over == 2


def test_presynaptic_errors():
    g, feedback = torch.tensor([[1, -2], [0, 3]]), torch.tensor([[5, 7, 0], [1, -1, 2]])
    assert presynaptic_errors(CoreConfig(), g, feedback).tolist() == [[3, 9, -4], [3, -3, 6]]
