import pytest

from coldspike.host.problems import OptionError
from coldspike.host.settings import NetworkSettings
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.lif import LifSettings
from coldspike.spec.network import Readout
from coldspike.spec.rate import RateSettings

CONFIG = CoreConfig.for_network((5, 4, 3), lanes=2)


def test_every_configuration_register_of_the_network_is_set():
    values = NetworkSettings(layers=(5, 4, 3), learning_rates=(0.1, 0.2), level_clip=0.5, slope_clip=0.75, interval=7,
                             interval_start=3, readout=Readout.SPIKE_TIME).registers(CONFIG)
    assert values.pop("RATE_1") != values.pop("RATE_2")
    assert values == {"LAYERS": 2, "READOUT": 1, "LEVEL_CLIP": 2048, "SLOPE_CLIP": 3072, "INTERVAL": 7,
                      "INTERVAL_START": 3, "SIZE_0": 5, "SIZE_1": 4, "SIZE_2": 3, "DECAY_1": 0, "DECAY_2": 0, "TRANSPORT_2": 8}


def test_a_build_without_weight_decay():
    plain = CoreConfig.for_network((5, 4, 3), lanes=2, weight_decay=False)
    settings = NetworkSettings(layers=(5, 4, 3), learning_rates=(0.1,))
    assert settings.registers(plain) == {name: value for name, value in settings.registers(CONFIG).items() if "DECAY" not in name}
    with pytest.raises(OptionError, match=r"^weight decay 0\.1: this build cannot; use 0, or build it with weight_decay$"):
        NetworkSettings(layers=(5, 4, 3), learning_rates=(0.1,), weight_decays=(0.0, 0.1)).registers(plain)


@pytest.mark.parametrize("changes, message", [
    ({"layers": (5, 9, 3)}, r"^network 5-9-3 needs 9 neurons in the largest layer, this build has 5; "),
    ({"learning_rates": (0.1, 0.1, 0.1)}, r"^3 learning rates for 2 weight layers: "),
    ({"weight_decays": (0.1, 0.1, 0.1)}, r"^3 weight decays for 2 weight layers: "),
    ({"level_clip": 16.0}, r"^clip = 16\.0: a number from 0 to 16\.00 is needed$"),
    ({"slope_clip": float("nan")}, r"^clip = nan: "),
    ({"interval": -1}, r"^interval = -1: "),
])
def test_what_does_not_fit_is_refused_by_name(changes, message):
    settings = NetworkSettings(**{"layers": (5, 4, 3), "learning_rates": (0.1,), **changes})
    with pytest.raises(OptionError, match=message):
        settings.registers(CONFIG)


RATE = NetworkSettings(layers=(5, 4, 3), learning_rates=(0.1,), rate=RateSettings(steps=6, leak=0.5, coded=True))


def rate_build(**more) -> CoreConfig:
    return CoreConfig.for_network((5, 4, 3), lanes=2, **{"rules": "rate", "max_steps": 6} | more)


def test_registers_of_rule_rate():
    """K is the ticks of a spike, 256 / 6, in 1/256."""
    values = RATE.registers(rate_build())
    assert {name: values[name] for name in ("STEPS", "CODING", "TICKS")} == {"STEPS": 6, "CODING": 1, "TICKS": 10923}
    assert not {"RULE", "READOUT", "WINDOW", "LOGIT"} & values.keys()
    assert RATE.registers(rate_build(rules=list(Rule)))["RULE"] == 2
    assert RATE.registers(rate_build(time_bits=10))["TICKS"] == 43691
    current = NetworkSettings(layers=(5, 4, 3), learning_rates=(0.1,), rate=RateSettings(steps=1))
    assert current.registers(rate_build())["CODING"] == 0 and (RATE.listed, current.listed) == (True, False)
    assert RATE.decays == [32768, *(round(65536 * rho / 6) for rho in (1, 1.5, 1.75, 1.875, 1.9375, 1.96875))]


def test_settings_of_several_rules_are_split_by_rule():
    over_time = LifSettings(steps=3, beta=0.5, window=9, scales=(0, 0))
    both = NetworkSettings(layers=(5, 4, 3), learning_rates=(0.1,), over_time=over_time, rate=RATE.rate)
    config = rate_build(rules=list(Rule), spike_entries=60, job_entries=60)
    for rule in Rule:
        one = both.of(rule)
        assert one.rule is rule and one.registers(config)["RULE"] == rule.code
    assert both.of(Rule.TTFS).decays == [] and both.of(Rule.SPARSE_BPTT).decays == [65536, 32768, 16384, 8192]
    with pytest.raises(OptionError, match="^settings of rules sparse-bptt and rate: a network runs by one; choose it$"):
        both.registers(config)


@pytest.mark.parametrize("build, message", [
    ({"max_steps": 5}, r"^steps = 6: this build has 1 to 5$"),
    ({"rules": ["ttfs", "sparse-bptt"]}, r"^rule rate: this build has ttfs, sparse-bptt; choose that, or build it with rules$"),
])
def test_what_a_build_lacks_for_rule_rate_is_refused_by_name(build, message):
    with pytest.raises(OptionError, match=message):
        RATE.registers(rate_build(**build))
