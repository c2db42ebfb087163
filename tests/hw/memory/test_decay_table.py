"""DecayTable against the settings' powers: every reader has its own look, all at once."""

import random

import pytest

from coldspike.hw.memory.decay_table import DecayTable
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import LifSettings

from ..cycles import play


def tables(rng, steps):
    """Powers of a decay, of one that rounds to 2^16 throughout, and anything."""
    return [LifSettings(steps=steps, window=0, scales=(0,), beta=beta).decays for beta in (0.9, 1 - 1e-7)] + [
        [rng.randrange(1 << 17) for _ in range(steps + 1)]]


@pytest.mark.parametrize("steps", [1, 6, 15])
@pytest.mark.parametrize("readers", [1, 2, 3, 4])
def test_looks(readers, steps):
    rng = random.Random(readers * steps)
    dut = DecayTable(CoreConfig(max_steps=steps), readers)
    cycles, expected, shown = [], [], [0] * readers
    for powers in tables(rng, steps):
        places = list(enumerate(powers))
        rng.shuffle(places)
        for n, power in places:  # what was read holds
            cycles.append({"w_en": 1, "w_addr": n, "w_data": power, "r_addr": [rng.randrange(steps + 1) for _ in range(readers)]})
            expected.append(list(shown))
        for _ in range(60):
            at = [rng.randrange(steps + 1) for _ in range(readers)]
            looks = rng.random() < 0.7  # else nothing is written either
            cycles.append({"r_en": looks, "r_addr": at, "w_addr": rng.randrange(steps + 1), "w_data": rng.randrange(1 << 17)})
            expected.append(list(shown))
            shown = [powers[n] for n in at] if looks else shown
        everywhere = [(n + k) % (steps + 1) for n in range(steps + 1) for k in range(readers)]
        for n in range(0, len(everywhere), readers):
            cycles.append({"r_en": 1, "r_addr": everywhere[n:n + readers]})
            expected.append(list(shown))
            shown = [powers[n] for n in everywhere[n:n + readers]]
    assert [t["r_data"] for t in play(dut, cycles, ["r_data"])] == expected
