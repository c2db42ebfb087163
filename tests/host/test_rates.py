import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.host.problems import OptionError
from coldspike.host.rates import quantize_rate
from coldspike.spec.config import CoreConfig, Optimizer

builds = st.builds(CoreConfig, weight_fraction=st.integers(4, 15), time_bits=st.integers(4, 10),
                   optimizer=st.sampled_from(Optimizer))


def meaning(config: CoreConfig, rate, batch_size: int) -> tuple[float, float]:
    """Learning rate and decay per update that the registers stand for, written out from docs/numerics.md."""
    m, s, f = rate.register & 255, rate.register >> 8, config.weight_fraction
    if config.optimizer is Optimizer.SIGN_MOMENTUM:
        lr = m * 2.0 ** (-f - s)
    else:
        lr = m * 2.0 ** (config.error_fraction + config.time_bits - f - 16 - s) * batch_size
    return lr, rate.decay * 2.0 ** (-16 - s)


@given(builds, st.floats(-16, -3), st.integers(1, 256))
def test_a_rate_is_met_within_the_mantissa(config, exponent, batch_size):
    wanted = 2.0**exponent
    try:
        rate = quantize_rate(config, wanted, batch_size=batch_size)
    except OptionError as refusal:
        assert str(refusal).startswith(f"learning rate {wanted:.4g} at batch size {batch_size} is outside what this build")
        return
    met, _ = meaning(config, rate, batch_size)
    assert abs(met / wanted - 1) <= 0.004
    assert math.isclose(met, rate.learning_rate)


@given(builds, st.floats(-8, 0))
def test_decay_is_met_within_ten_percent_or_refused(config, exponent):
    learning_rate, decay = 2.0**-10, 2.0**exponent
    try:
        rate = quantize_rate(config, learning_rate, weight_decay=decay)
    except OptionError as refusal:
        assert "change --weight-decay" in str(refusal) or "change --lr" in str(refusal)
        return
    _, pull = meaning(config, rate, 1)
    assert abs(pull / (learning_rate * decay) - 1) <= 0.1
    assert math.isclose(pull, rate.learning_rate * rate.weight_decay, rel_tol=0.005)


def test_the_default_range_is_what_training_needs():
    for rate in (1e-5, 1e-4, 0.003, 0.06):
        assert quantize_rate(CoreConfig(optimizer=Optimizer.SIGN_MOMENTUM), rate).learning_rate == pytest.approx(rate, 0.004)
    for rate in (1e-4, 0.1, 3.0):
        assert quantize_rate(CoreConfig(), rate, batch_size=16).learning_rate == pytest.approx(rate, 0.004)


def test_zero_freezes_the_layer():
    assert quantize_rate(CoreConfig(), 0.0).register & 255 == 0


@pytest.mark.parametrize("rate, decay, message", [
    (float("nan"), 0.0, r"^learning rate nan: a finite number of at least 0 is needed$"),
    (-0.1, 0.0, r"^learning rate -0\.1: "),
    (1e9, 0.0, r"^learning rate 1e\+09 at batch size 1 is outside what this build can apply, .*change --lr or --lr-decay$"),
    (1e-15, 0.0, r"^learning rate 1e-15 at batch size 1 is outside"),
    (0.01, -1.0, r"^weight decay -1\.0: a finite"),
    (0.01, float("inf"), r"^weight decay inf: a finite"),
    (0.01, 1e-9, r"^weight decay 1e-09 at learning rate 0\.01 is outside .*change --weight-decay$"),
])
def test_what_no_register_can_hold_is_refused_by_name(rate, decay, message):
    with pytest.raises(OptionError, match=message):
        quantize_rate(CoreConfig(), rate, weight_decay=decay)
