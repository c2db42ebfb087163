"""Rule rate's settings and number formats: what they refuse, and what they compute, against the equations of docs/numerics.md."""

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import DECAY
from coldspike.spec.rate import SURROGATE_TABLE, RateFormats, RateSettings
from coldspike.spec.registers import TICK_BITS


@pytest.mark.parametrize("options, text", [
    ({"steps": 0}, "steps = 0: at least 1 is needed"), ({"steps": -3}, "steps = -3: at least 1 is needed"),
    ({"leak": -0.1}, "leak = -0.1: 0 to below 1 is needed"), ({"leak": 1.0}, "leak = 1.0: 0 to below 1 is needed"),
    ({"leak": math.nan}, "leak = nan: 0 to below 1 is needed"),
])
def test_settings_out_of_range_are_refused_by_name(options, text):
    with pytest.raises(ValueError, match=rf"^{re.escape(text)}$"):
        RateSettings(**{"steps": 3, **options})


def test_settings_have_names_and_defaults():
    with pytest.raises(TypeError):
        RateSettings(3)
    assert RateSettings(steps=1) == RateSettings(steps=1, leak=0.2, coded=False)


@pytest.mark.parametrize("steps, leak, profile", [
    (1, 0.2, [13107, 65536]), (1, 0, [0, 65536]), (4, 0, [0, *[16384] * 4]), (3, 0, [0, *[21845] * 3]),
    (2, 0.5, [32768, 32768, 49152]), (3, 0.9, [58982, 21845, 41506, 59201]), (1, 1 - 2**-20, [65536, 65536]),
])
def test_profile(steps, leak, profile):
    assert RateSettings(steps=steps, leak=leak).profile == profile


@given(st.integers(1, 300), st.fractions(0, Fraction(999, 1000)))
def test_profile_is_the_mean_that_each_step_is_part_of(steps, leak):
    """p[t] in rational numbers; the sum of p is that of rho / T but for the rounding, and none is beyond 1."""
    found, rho = RateSettings(steps=steps, leak=float(leak)).profile, Fraction(0)
    assert len(found) == steps + 1 and abs(found[0] - 2**16 * leak) <= Fraction(1, 2) + Fraction(1, 10**6)
    for p in found[1:]:
        rho = 1 + Fraction(float(leak)) * rho
        assert abs(p - 2**16 * rho / steps) <= Fraction(1, 2) + Fraction(1, 10**6)
        assert 0 < p <= 1 << 16 <= DECAY.max


@pytest.mark.parametrize("time_bits, steps, ticks", [
    (8, 1, 65536), (8, 2, 32768), (8, 3, 21845), (8, 5, 13107), (8, 6, 10923), (8, 100, 655), (4, 4096, 1), (10, 1, 1 << 18)])
def test_ticks(time_bits, steps, ticks):
    assert RateSettings(steps=steps).ticks(CoreConfig(time_bits=time_bits)) == ticks < 1 << TICK_BITS


def test_the_table_is_the_surrogate_in_the_middle_of_each_distance():
    assert len(SURROGATE_TABLE) == 64 and SURROGATE_TABLE[0] == 255 and SURROGATE_TABLE[60] == 1 and SURROGATE_TABLE[61] == 0
    assert list(SURROGATE_TABLE) == sorted(SURROGATE_TABLE, reverse=True)
    for n, entry in enumerate(SURROGATE_TABLE):
        u = 1 - (n + 0.5) / 32  # below the threshold it is what it is above
        exact = 256 / math.cosh(2 * (u - 1)) ** 2  # 4 s (1 - s) = 1 / cosh^2(2 (u - 1))
        assert abs(entry - exact) <= 0.5 or entry == 255 < exact
    assert 256 / math.cosh(2 * 2) ** 2 < 0.5  # so that 0 is right beyond the table


@pytest.mark.parametrize("steps", [1, 2, 3, 100, 128, 4096])
def test_widths_exclude_overflow(steps):
    form = RateFormats(CoreConfig(max_steps=steps))
    assert form.eligibility.min == form.count.min == 0 and form.eligibility.fraction == 24 and form.count.fraction == 0
    assert form.count.max // 2 < steps <= form.count.max
    most = steps * max(SURROGATE_TABLE) * DECAY.max
    assert form.eligibility.max // 4 < most <= form.eligibility.max


@pytest.mark.parametrize("fraction", [2, 12, 17])
def test_potentials_have_the_fraction_of_the_weights(fraction):
    form = RateFormats(CoreConfig(weight_bits=18, weight_fraction=fraction)).membrane
    assert (form.bits, form.fraction, form.signed) == (18, fraction, True)
