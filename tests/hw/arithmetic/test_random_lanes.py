"""Generators against spec.random: steps, holding, loading."""

import random

import pytest

from coldspike.hw.arithmetic.random_lanes import RandomLanes
from coldspike.spec.random import xorshift_step

from ..cycles import play


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_steps_and_loads(lanes):
    rng = random.Random(lanes)
    cycles = [{"step": [rng.random() < 0.6 for _ in range(lanes)], "load": [rng.random() < 0.1 for _ in range(lanes)],
               "state_in": [rng.randrange(1, 1 << 32) for _ in range(lanes)]} for _ in range(120)]
    cycles[3] |= {"step": [1] * lanes, "load": [1] * lanes}  # load precedes step
    cycles[7] |= {"step": [0] * lanes, "load": [0] * lanes}
    trace = play(RandomLanes(lanes), cycles, ["state", "value"])
    states = trace[0]["state"]
    assert 0 not in states and len(set(states)) == lanes
    for inputs, shown in zip(cycles, trace, strict=True):
        assert shown == {"state": states, "value": [state >> 16 for state in states]}
        states = [given if load else xorshift_step(state) if step else state for state, step, load, given in zip(
            states, inputs["step"], inputs["load"], inputs["state_in"], strict=True)]
