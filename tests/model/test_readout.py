"""Softmax of the exact model against its definition and its stated error bound."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coldspike.model.exact.forward import Membrane, Spikes
from coldspike.model.exact.readout import logits, output_errors, predictions, probabilities, softmax_error_bound
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import Readout

from .oracle import Oracle

LOGIT = st.integers(-(1 << 20), 1 << 20)


def config(error_fraction=14, **options):
    return CoreConfig(error_fraction=error_fraction, error_bits=18, max_outputs=4096, **options)


@given(st.lists(st.one_of(LOGIT, st.integers(-3000, 3000)), min_size=1, max_size=40), st.integers(4, 16))
def test_probabilities_equal_the_definition_and_keep_the_bound(values, fraction):
    build = config(fraction)
    exact = probabilities(build, torch.tensor([values]))[0]
    oracle = Oracle(build, (1, len(values)), Readout.POTENTIAL, 0, 0, [], [], 1, 0, [])
    assert exact.tolist() == oracle.softmax(values)
    real = torch.softmax(torch.tensor(values).double() / 1024, 0)
    assert float((exact / 2.0**fraction - real).abs().max()) <= softmax_error_bound(build, len(values))


@pytest.mark.parametrize("outputs", [1, 2, 10, 100, 4096])
def test_bound_at_equal_and_extreme_logits(outputs):
    build = config(16)
    for high in (0, 1 << 20):
        values = torch.zeros(1, outputs, dtype=torch.int64)
        values[0, -1] = high
        real = torch.softmax(values.double() / 1024, 1)
        error = float((probabilities(build, values) / 2.0**16 - real).abs().max())
        assert error <= softmax_error_bound(build, outputs)


def test_errors_sum_to_nearly_zero_and_point_to_the_label():
    build = config()
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(-4000, 4000, (50, 10), generator=generator)
    labels = torch.randint(0, 10, (50,), generator=generator)
    errors = output_errors(build, values, labels)
    assert errors.sum(1).abs().max() <= 10
    assert bool((errors.gather(1, labels[:, None]) >= 0).all()) and int((errors > 0).sum()) <= 50


def test_first_of_equal_logits_wins():
    assert predictions(torch.tensor([[1, 5, 5], [7, 7, 7], [-3, -2, -2]])).tolist() == [1, 0, 1]


@pytest.mark.parametrize("fraction, tau", [(12, 8), (2, 4), (4, 6)])
def test_potential_logits(fraction, tau):
    build = config(4, weight_bits=18, weight_fraction=fraction, time_bits=tau)
    slope, level = torch.tensor([[-7, 7, 1 << 28, -(1 << 28)]]), torch.tensor([[3, -3, 0, 0]])
    z = [(w << tau) + a for w, a in zip(slope[0].tolist(), level[0].tolist(), strict=True)]
    expected = [max(-(1 << 31), min((1 << 31) - 1, math.floor(x * 2.0 ** (10 - fraction - tau)))) for x in z]
    spikes = Spikes.silent_readout(1, 4)
    assert logits(build, Readout.POTENTIAL, Membrane(slope, level), spikes)[0].tolist() == expected
