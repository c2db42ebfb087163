"""Builds of several rules: which parts their lanes share, and that a build of one rule has none of it."""

import re

import pytest

from coldspike.hw import verilog
from coldspike.spec.config import CoreConfig, Rule

LAYERS = (5, 3, 2)
SHARED = ("level_sums", "slope_sums", "event_products", "error_products", "time_products")
OWN = {
    Rule.TTFS: ("forward.accumulator.level_sums", "forward.accumulator.slope_sums", "forward.accumulator.event_products",
                "backward.lanes.error_products", "backward.lanes.time_products"),
    Rule.SPARSE_BPTT: ("forward.accumulator.sums", "forward.accumulator.potentials", "forward.accumulator.leak_products",
                       "backward.errors.lanes.error_products", "backward.gradients.lanes.decay_products"),
}


def units(*rules):
    """Names of the core's modules."""
    config = CoreConfig.for_network(LAYERS, lanes=2, rules=rules, max_steps=8, spike_entries=40, job_entries=20)
    return set(re.findall(r"^module \\coldspike\.core\.(\S+?)[\s(]", verilog.generate(config), re.M))


def test_rules_share_the_parts_of_lanes():
    found = units(*Rule)
    assert found >= set(SHARED)
    assert not found & {f"{rule.name.lower()}_{name}" for rule in Rule for name in OWN[rule]}
    assert {"ttfs_forward", "sparse_bptt_forward", "sparse_bptt_backward.gradients.lanes"} < found


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_alone_has_its_own(rule):
    found = units(rule)
    assert found >= set(OWN[rule]) and not found & set(SHARED)
    assert not {name for name in found if any(other.name.lower() in name for other in Rule)}
