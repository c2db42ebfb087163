"""The neuron rule, exhaustively over small accumulators, against the oracle and the equations."""

import pytest
import torch

from coldspike.model.exact.forward import Membrane, fire, integrate
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import Readout

from .oracle import Oracle


def grid(config, slopes, levels):
    w, a = torch.meshgrid(torch.arange(-slopes, slopes), torch.arange(-levels, levels), indexing="ij")
    return Membrane(w.reshape(1, -1), a.reshape(1, -1))


@pytest.mark.parametrize("fraction, tau, slopes, levels", [(2, 4, 40, 200), (3, 5, 20, 600), (8, 4, 600, 60)])
@pytest.mark.parametrize("level_clip, slope_clip", [(4096, 4096), (1000, 65535), (0, 0)])
def test_rule_equals_the_oracle(fraction, tau, slopes, levels, level_clip, slope_clip):
    config = CoreConfig(weight_bits=12, weight_fraction=fraction, time_bits=tau)
    membrane = grid(config, slopes, levels)
    spikes = fire(config, membrane, level_clip, slope_clip)
    oracle = Oracle(config, (1, 1), Readout.SPIKE_TIME, level_clip, slope_clip, [(0, 0)], [0], 1, 0, [])
    expected = [oracle.neuron(w, a, True) for w, a in zip(*(m[0].tolist() for m in (membrane.slope, membrane.level)),
                                                         strict=True)]
    factors = zip(spikes.factor_level[0].tolist(), spikes.factor_slope[0].tolist(), strict=True)
    listings = [f if on else None for f, on in zip(factors, spikes.active[0].tolist(), strict=True)]
    assert list(zip(spikes.a[0].tolist(), spikes.fired[0].tolist(), listings, strict=True)) == expected
    assert int(spikes.level_clipped.sum()) == oracle.count["LEVEL_CLIPS"]
    assert int(spikes.slope_clipped.sum()) == oracle.count["SLOPE_CLIPS"]
    assert 0 < int(spikes.active.sum()) < spikes.active.numel()


@pytest.mark.parametrize("tau", [4, 8, 10])
def test_spike_times_and_derivatives_keep_their_bounds(tau):
    """a errs by half a tick and T 2**-16 from the reciprocal, r by one unit of 2**-12 and 2**-16 of its value."""
    config = CoreConfig(time_bits=tau)
    generator = torch.Generator().manual_seed(tau)
    slope = torch.randint(-4000, 200000, (1, 50000), generator=generator)
    level = torch.randint(-(1 << 12 + tau), 1 << 12 + tau, (1, 50000), generator=generator)
    spikes = fire(config, Membrane(slope, level), 65535, 65535)
    denominator = (1 + slope / 4096).double()
    real = (slope / 4096 + level / 4096 / config.window) / denominator
    on = spikes.active
    assert int(on.sum()) > 10000
    assert float((spikes.a / config.window - real)[on].abs().max()) <= 0.5 / config.window + 2.0**-15
    unclipped = on & (spikes.factor_level < 65535)
    r = (spikes.factor_level / 4096)[unclipped]
    assert bool(((r - 1 / denominator[unclipped]).abs() <= 2.0**-12 + 2.0**-16 * r).all())


def test_spike_at_the_end_of_the_window_is_an_event_without_level():
    config = CoreConfig(time_bits=4)
    spikes = fire(config, Membrane(torch.tensor([[0]]), torch.tensor([[0]])), 4096, 4096)
    assert (int(spikes.a), bool(spikes.fired), bool(spikes.active)) == (0, True, False)
    after = integrate(config, torch.tensor([[5]]), spikes.a, spikes.fired)
    assert (int(after.slope), int(after.level)) == (5, 0)


def test_largest_accumulators_do_not_overflow():
    config = CoreConfig(weight_bits=18, weight_fraction=2, time_bits=10, max_neurons=65535)
    membrane = Membrane(torch.tensor([[config.slope.max, config.slope.min]]),
                        torch.tensor([[(config.window << 2) - 1, config.level.max]]))
    spikes = fire(config, membrane, 65535, 65535)
    oracle = Oracle(config, (1, 1), Readout.SPIKE_TIME, 65535, 65535, [(0, 0)], [0], 1, 0, [])
    for n in range(2):
        a, fired, _ = oracle.neuron(int(membrane.slope[0, n]), int(membrane.level[0, n]), True)
        assert (int(spikes.a[0, n]), bool(spikes.fired[0, n])) == (a, fired)
