"""No memory is read in the cycle in which the same word is written, except through ports that are made for it.

Synthesis relies on it: block RAM without logic that would give the old word (fpga/synthesis.py, no_rw_check).
"""

import numpy as np
import pytest
from amaranth.hdl import Assert

from coldspike.host.over_time import OverTimeOptions
from coldspike.host.stimuli import random_settings
from coldspike.host.verify import Verification
from coldspike.hw.memory.ram import Ram
from coldspike.hw.top import Coldspike
from coldspike.model.device import GoldenDevice
from coldspike.sim.device import SimulatedDevice
from coldspike.spec.config import CoreConfig, Optimizer, Rule
from coldspike.spec.network import Readout

COLLISION, TRANSPARENT = "collision", "transparent"
LAYERS = (9, 11, 6, 3)
OVER_TIME = OverTimeOptions(steps=12, tau=10.0, window=0.5, over_time="max", rate_lower=0.1)
BUILDS = {"sgd": {}, "momentum": {"optimizer": Optimizer.SIGN_MOMENTUM}, "no gradient memory": {"gradient_memory": False},
          "sparse-bptt": OVER_TIME.build(LAYERS), "both rules": OVER_TIME.build(LAYERS) | {"rules": list(Rule)}}


class Watched(Coldspike):
    """The accelerator, built while ``Ram`` reports each read of the word being written."""


def reporting(elaborate):
    """``Ram.elaborate`` with a printed line for each collision."""
    def watched(self, platform):
        m = elaborate(self, platform)

        def report(enable, address, text):
            m.d.sync += Assert(~(enable & self.w_en & (address == self.w_addr)), f"{text} in {self._depth} words; ")

        report(self.r_en, self.r_addr, TRANSPARENT if self._transparent or self.forwarded else COLLISION)
        if self._second:
            report(self.s_en, self.s_addr, COLLISION)
        return m
    return watched


@pytest.mark.parametrize("build", BUILDS)
def test_nothing_is_read_while_it_is_written(build, monkeypatch, capfd):
    monkeypatch.setattr(Ram, "elaborate", reporting(Ram.elaborate))
    config = CoreConfig.for_network(LAYERS, lanes=4, **BUILDS[build])
    over_time = None
    if Rule.SPARSE_BPTT in config.rules:
        over_time = OVER_TIME.random_settings(config, np.random.default_rng(2), LAYERS)
    settings = random_settings(np.random.default_rng(1), config, LAYERS, interval=2, batch_size=4, readout=Readout.POTENTIAL,
                               over_time=over_time)
    with SimulatedDevice(config, top=Watched) as device:
        check = Verification(GoldenDevice(config), device, [settings.of(rule) for rule in config.rules], seed=1)
        for _ in range(3):
            check.run(3, 4)
    assert check.mismatches == 0
    printed = capfd.readouterr().out
    assert [where for where in printed.split("; ") if where.startswith(COLLISION)] == []
    assert TRANSPARENT in printed  # accumulators: what reports can be seen
