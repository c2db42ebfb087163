"""The one cocotb run of plain ``make test``: the set-up works, and a failing cocotb test is seen."""

import pytest

from coldspike.sim.cocotb_runner import run_cocotb
from coldspike.spec.config import CoreConfig
from tests.sim.echo import Echo

CONFIG = CoreConfig.for_network((7, 5, 3), lanes=2)


@pytest.mark.parametrize("name", ["without_pauses", "with_pauses_on_every_channel"])
def test_echo(name):
    assert run_cocotb("tests.cocotb.echo_ports", CONFIG, top=Echo, testcase=name) == 1


def test_failure_is_seen():
    with pytest.raises(AssertionError, match=r"^cocotb: .*fails failed; see .*test\.log$"):
        run_cocotb("tests.cocotb.echo_ports", CONFIG, top=Echo, testcase="fails")
