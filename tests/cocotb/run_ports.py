"""``make sim``: the accelerator's ports under cocotb, for several builds. Each compiles for a minute, once."""

import pytest

from coldspike.sim.cocotb_runner import run_cocotb
from coldspike.spec.config import CoreConfig, Optimizer
from tests.cocotb.session import write_sessions

LAYERS = (7, 5, 3)
BUILDS = {
    "sgd": CoreConfig.for_network(LAYERS, lanes=2),
    "sign-momentum": CoreConfig.for_network(LAYERS, lanes=4, optimizer=Optimizer.SIGN_MOMENTUM),
    "no gradient memory": CoreConfig.for_network(LAYERS, lanes=4, gradient_memory=False),
}


@pytest.mark.parametrize("name", BUILDS)
def test_ports(name, tmp_path):
    write_sessions(tmp_path / "sessions.json", BUILDS[name], LAYERS)
    environment = {"COLDSPIKE_SESSIONS": str(tmp_path / "sessions.json")}
    assert run_cocotb("tests.cocotb.test_ports", BUILDS[name], environment=environment) == 13
