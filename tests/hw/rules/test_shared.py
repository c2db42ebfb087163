"""Builds of several rules: which parts their lanes share, and that a build of one rule has none of it."""

import re

import pytest

from coldspike.hw import verilog
from coldspike.spec.config import CoreConfig, Rule

LAYERS = (5, 3, 2)
SHARED = {"level_sums", "slope_sums", "event_products", "error_products", "time_products"}
ONE_SHOT = {"forward.accumulator.level_sums", "forward.accumulator.slope_sums", "forward.accumulator.event_products",
            "backward.lanes.error_products", "backward.lanes.time_products"}
OWN = {
    Rule.TTFS: ONE_SHOT,
    Rule.SPARSE_BPTT: {"forward.accumulator.sums", "forward.accumulator.potentials", "forward.accumulator.leak_products",
                       "backward.errors.lanes.error_products", "backward.gradients.lanes.decay_products"},
    Rule.RATE: ONE_SHOT | {"forward.traces.potentials", "forward.traces.counts", "forward.traces.eligibilities"},
}


def units(*rules):
    """Names of the core's modules."""
    config = CoreConfig.for_network(LAYERS, lanes=2, rules=rules, max_steps=8, spike_entries=40, job_entries=20)
    return set(re.findall(r"^module \\coldspike\.core\.(\S+?)[\s(]", verilog.generate(config), re.M))


@pytest.mark.parametrize("first", [Rule.TTFS, Rule.RATE])
def test_rules_share_the_parts_of_lanes(first):
    found = units(first, Rule.SPARSE_BPTT)
    assert found >= SHARED
    for rule in (first, Rule.SPARSE_BPTT):
        prefix = rule.name.lower()
        assert not found & {f"{prefix}_{name}" for name in OWN[rule] if "traces" not in name}
        assert f"{prefix}_forward" in found
    assert "sparse_bptt_backward.gradients.lanes" in found


def test_rules_with_one_backward_pass_share_that_and_the_accumulator():
    found = units(Rule.TTFS, Rule.RATE)
    assert {"forward_ttfs", "forward_rate", "accumulator.level_sums", "backward.lanes.error_products"} <= found
    assert not {name for name in found if re.search(r"forward_\w+\.accumulator", name)} and not found & SHARED


def test_three_rules_share_both():
    found = units(*Rule)
    assert found >= SHARED | {"ttfs_rate_accumulator", "ttfs_rate_forward_rate", "ttfs_rate_backward", "sparse_bptt_backward"}
    assert not {name for name in found if re.search(r"accumulator\.(level_sums|slope_sums|sums)", name)}


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_alone_has_its_own(rule):
    found = units(rule)
    assert found >= OWN[rule] and not found & SHARED
    assert not {name for name in found if any(other.name.lower() in name.split("_") for other in Rule)}
