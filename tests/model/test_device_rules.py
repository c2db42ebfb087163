"""The golden device of a build of both rules: what a change of the rule keeps, and that each rule is what it is alone."""

import dataclasses

import numpy as np
import pytest

from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Kind, Space, header
from coldspike.spec.rate import RateSettings
from coldspike.spec.registers import Control, counters, register_map

from .test_device import configured, read, sample, send, write
from .test_device_over_time import LAYERS, SETTINGS, STEPS, events, fill, register
from .test_device_over_time import REGISTERS as OVER_TIME

BOTH = CoreConfig.for_network(LAYERS, lanes=2, rules=tuple(Rule), max_steps=12, spike_entries=60, job_entries=40)
ADDRESS = {r.name: r.address for r in register_map(BOTH)}
TTFS, SPARSE, RATE = (rule.code for rule in Rule)
RATED = RateSettings(steps=STEPS, leak=0.5)
REGISTERS = OVER_TIME | {"TICKS": RATED.ticks(BOTH)}
PROFILES = {Rule.TTFS: [], Rule.SPARSE_BPTT: [write(Space.DECAY, 0, 0, SETTINGS.decays)],
            Rule.RATE: [write(Space.DECAY, 0, 0, RATED.profile)]}


def start(device, **registers):
    """Stops, writes registers, starts."""
    device.write_register(ADDRESS["CONTROL"], 1 << Control.STOP)
    for name, value in registers.items():
        device.write_register(ADDRESS[name], value)
    device.write_register(ADDRESS["CONTROL"], 1 << Control.START)


def both(rule):
    device = configured(BOTH, LAYERS, **REGISTERS)
    start(device, RULE=rule)
    return device


def memories(device):
    return [read(space, l, j) for space, first in ((Space.WEIGHT, 1), (Space.FEEDBACK, 2), (Space.GRADIENT, 1))
            for l in range(first, len(LAYERS)) for j in range(LAYERS[l])] + [read(Space.RANDOM, 0), read(Space.OUTPUT_ERROR, 0)]


def contents(device):
    """Every element of the memories that both rules have."""
    return [words[2:] for words in send(device, *memories(device))]


def trainings(rule, seed):
    """Training samples and an update."""
    rng = np.random.default_rng(seed)
    if rule == SPARSE:
        given = [events(rng, 20) for _ in range(3)]
    else:
        given = [[(i, int(rng.integers(257))) for i in range(LAYERS[0])] for _ in range(3)]
    return [*(sample(each, n % 3) for n, each in enumerate(given)), [header(Kind.UPDATE), 0]]


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_is_what_it_is_in_a_build_of_its_own(rule):
    alone = configured(dataclasses.replace(BOTH, rules=(rule,)), LAYERS,
                       **{name: value for name, value in REGISTERS.items()
                          if name in {r.name for r in register_map(dataclasses.replace(BOTH, rules=(rule,)))}})
    alone.write_register(0x008, 1 << Control.START)
    answers = []
    for device in (alone, both(rule.code)):
        rng = np.random.default_rng(7)
        loads = [write(space, l, j, rng.normal(0, 3000, LAYERS[l - 1]).astype(int)) for space, first in
                 ((Space.WEIGHT, 1), (Space.FEEDBACK, 2)) for l in range(first, len(LAYERS)) for j in range(LAYERS[l])]
        answers.append(send(device, *PROFILES[rule], *loads, *trainings(rule.code, 1), *memories(device),
                            read(Space.SLOPE, 2), read(Space.SPIKES, 1)))
        answers[-1].append([register(device, name) for name, _ in counters(alone.config)])
    assert answers[0] == answers[1] and any(map(any, answers[0][-5:]))


def test_memories_and_counters_stay_when_the_rule_changes():
    device = both(SPARSE)
    fill(device)
    send(device, *trainings(SPARSE, 2))
    kept, trained = contents(device), register(device, "SAMPLES_TRAINED")
    start(device, RULE=TTFS)
    assert contents(device) == kept and register(device, "SAMPLES_TRAINED") == trained == 3
    send(device, *trainings(TTFS, 3))
    changed = contents(device)
    assert changed != kept
    start(device, RULE=SPARSE)
    assert contents(device) == changed


def test_sums_and_lists_of_a_rule_wait_for_its_return():
    device = both(SPARSE)
    fill(device)
    send(device, *trainings(SPARSE, 2))
    mine = [read(Space.SLOPE, 1), read(Space.SPIKES, 1), read(Space.JOBS, 2)]
    before = [words[2:] for words in send(device, *mine)]
    assert all(map(any, before))
    start(device, RULE=TTFS)
    send(device, *trainings(TTFS, 3))
    start(device, RULE=SPARSE)
    assert [words[2:] for words in send(device, *mine)] == before


def test_other_layers_forget_what_both_rules_kept():
    device = both(SPARSE)
    fill(device)
    start(device, RULE=TTFS, SIZE_1=4)
    start(device, RULE=SPARSE, SIZE_1=LAYERS[1])
    assert not any(map(any, contents(device)[:-2]))


def test_spaces_are_those_of_the_rule_that_runs():
    device = both(SPARSE)
    for rule, there, gone in ((SPARSE, Space.JOBS, Space.LEVEL), (TTFS, Space.LEVEL, Space.JOBS),
                              (TTFS, Space.ERROR_SUM, Space.DECAY)):
        start(device, RULE=rule)
        good, bad = send(device, read(there, 1), read(gone, 1))
        assert good[0] == Kind.READ and bad[0] == Kind.ERROR | ErrorCode.ADDRESS << 8


@pytest.mark.parametrize("rules, registers", [
    (tuple(Rule), {"RULE": len(Rule)}), (tuple(Rule), {"RULE": SPARSE, "STEPS": 0}), (tuple(Rule), {"RULE": RATE, "STEPS": 0}),
    (tuple(Rule), {"RULE": RATE, "STEPS": 13}), ((Rule.TTFS, Rule.SPARSE_BPTT), {"RULE": RATE}),
    ((Rule.TTFS, Rule.RATE), {"RULE": SPARSE})], ids=str)
def test_a_rule_that_cannot_run_is_refused(rules, registers):
    """A code that no rule has, or one that the build leaves out; steps that rules over time cannot do."""
    config = dataclasses.replace(BOTH, rules=rules)
    there = {r.name for r in register_map(config)}
    device = configured(config, LAYERS, **{name: value for name, value in REGISTERS.items() if name in there})
    start(device, **registers)
    assert register(device, "STATUS") == ErrorCode.NETWORK << 8 | 2
    start(device, RULE=TTFS, STEPS=0)
    assert register(device, "STATUS") & 1
