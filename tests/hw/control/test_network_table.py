"""NetworkTable against spec.network.layout and CoreConfig.misfit."""

import itertools
import random

import pytest

from coldspike.hw.control.network_table import NetworkTable
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.network import layout

from ..networks import network_of, settings_of
from ..support import simulate

BUILD = CoreConfig(lanes=4, max_layers=4, max_neurons=30, max_outputs=9, weight_tiles=40, gradient_words=90,
                   feedback_words=45, neuron_blocks=14)
ROOMY = {"max_layers": 4, "max_neurons": 60, "max_outputs": 60, "weight_tiles": 999, "gradient_words": 9999,
         "feedback_words": 9999, "neuron_blocks": 999}


def check(config, networks, **changed):
    """Each network in turn: verdict, layout, cycles; ``changed`` : further settings, which alone may make the verdict bad."""
    dut = NetworkTable(config)
    verdicts = []

    async def bench(ctx):
        for layers in networks:
            settings = settings_of(config, layers) if len(layers) <= config.max_layers + 1 else {
                "layers": len(layers) - 1, "size": list(layers[:config.max_layers + 1])}
            ctx.set(dut.settings, settings | changed)
            ctx.set(dut.start, 1)
            cycles, done = 0, 0
            while not done:
                _, _, done, fits, busy = await ctx.tick().sample(dut.done, dut.fits, dut.busy)
                assert busy == (cycles > 0)
                ctx.set(dut.start, 0)
                cycles += 1
            cycles -= 1
            expected = len(layers) > 1 and min(layers) > 0 and config.misfit(layers) is None
            assert fits == expected or changed, layers
            assert not ctx.get(dut.busy) and not ctx.get(dut.done)
            verdicts.append(fits)
            depth = len(layers) - 1
            assert cycles == 5 * depth + 7 if fits else cycles <= 5 * depth + 7
            if fits:
                network = ctx.get(dut.network)
                for name, value in network_of(config, layers).items():
                    meant = {"layers": None, "outputs": None, "size": depth + 1, "blocks": depth + 1}.get(name, depth)
                    shown = getattr(network, name)
                    assert (int(shown) == value if meant is None else [int(v) for v in shown][:meant] == value[:meant]), name

    simulate(dut, bench)
    return verdicts


def test_random_networks():
    rng = random.Random(0)
    networks = [tuple(rng.randint(1, rng.choice((4, 12, 30))) for _ in range(rng.randint(2, 5))) for _ in range(90)]
    verdicts = check(BUILD, networks)
    assert 20 < sum(verdicts) < 70


@pytest.mark.parametrize("limit", sorted(ROOMY))
def test_each_limit_alone(limit):
    """A network that fills one memory exactly fits, one more does not; all else is roomy."""
    layers = (9, 13, 6, 5)
    exact = CoreConfig.for_network(layers, lanes=4)
    at_limit = CoreConfig(lanes=4, **ROOMY | {limit: getattr(exact, limit)})
    below = CoreConfig(lanes=4, **ROOMY | {limit: getattr(exact, limit) - 1})
    assert below.misfit(layers)
    assert check(at_limit, [layers, layers]) == [1, 1]
    assert check(below, [layers, (3, 3), layers]) == [0, 1, 0]


def test_empty_layers_and_no_layers():
    config = CoreConfig.for_network((9, 13, 6), lanes=4)
    assert check(config, [(0, 3, 3), (3, 0, 3), (3, 3, 0), (3,), (65535, 65535), (9, 13, 6)]) == [0, 0, 0, 0, 0, 1]


STEPS = {0: False, 1: True, 20: True, 21: False, 8191: False}
"""T, and whether a build of 20 steps at most can do it."""


@pytest.mark.parametrize("rules", [
    ("sparse-bptt",), ("rate",), ("ttfs", "sparse-bptt"), ("ttfs", "rate"), ("sparse-bptt", "rate"), tuple(Rule)], ids=str)
def test_what_a_rule_asks_for(rules):
    """The build has it; it has steps, if it runs over time; sparse-bptt has errors to shift. All else may be anything."""
    config, several = CoreConfig.for_network((9, 13, 6), lanes=4, rules=rules, max_steps=20), len(rules) > 1
    running = dict(enumerate(Rule)) | {3: None} if several else {0: config.rules[0]}
    shifts = (0, 1, 40) if Rule.SPARSE_BPTT in config.rules else (None,)
    for (code, rule), steps, shift in itertools.product(running.items(), STEPS, shifts):
        fits = (rule in config.rules and (rule is Rule.TTFS or STEPS[steps])
                and (rule is not Rule.SPARSE_BPTT or shift > 0))
        changed = {"steps": steps} | ({"rule": code} if several else {}) | ({} if shift is None else {"error_shift": [shift]})
        assert check(config, [(9, 13, 6)], **changed) == [fits], changed


def test_a_refused_network_leaves_nothing_behind():
    config = CoreConfig.for_network((9, 13, 6), lanes=4)
    assert check(config, [(9, 13, 13), (9, 13, 6), (9, 14, 6), (5, 5), (9, 13, 6)]) == [0, 1, 0, 1, 1]
    assert layout((9, 13, 6), 4)[1].tile_base == 12
