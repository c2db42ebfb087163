import pytest

from coldspike.host.problems import OptionError
from coldspike.host.settings import NetworkSettings
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import Readout

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
