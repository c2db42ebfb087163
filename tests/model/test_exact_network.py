"""The exact model against the literal transcription of docs/numerics.md, in every state."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldspike.model.exact import TtfsNetwork
from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.network import Readout
from coldspike.spec.random import lane_seeds
from coldspike.spec.transport import LayerTransport, Precision, Signs, Values, negative_log2

from .pair import TINY, Pair

LAYERS = [(7, 5, 3), (1, 1), (1, 1, 1, 2), (19, 9, 6, 4), (33, 1, 5), (5, 17)]


@pytest.mark.parametrize("layers", LAYERS, ids=str)
@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
@pytest.mark.parametrize("optimizer", list(Optimizer), ids=str)
def test_every_state_equals_the_oracle(layers, readout, optimizer):
    config = CoreConfig.for_network(layers, lanes=4, optimizer=optimizer)
    rates = [(200, 8)] * (len(layers) - 1) if optimizer is Optimizer.SIGN_MOMENTUM else [(180, 3)] * (len(layers) - 1)
    Pair(config, layers, 1, readout=readout, rates=rates).run()


@pytest.mark.parametrize("layers", LAYERS, ids=str)
@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
def test_update_every_sample_equals_the_oracle(layers, readout):
    config = CoreConfig.for_network(layers, lanes=4, gradient_memory=False)
    depth = len(layers) - 1
    Pair(config, layers, 2, readout=readout, rates=[(150, 2)] * depth, decays=[40] * depth, interval=2).run()


def test_decay_and_interval():
    layers = (11, 6, 5, 4)
    config = CoreConfig(lanes=2, max_layers=5)
    for decays in ([3000, 0, 65535], [0, 0, 0]):
        for interval, start in ((3, 2), (0, 0), (2, 5)):
            pair = Pair(config, layers, 3, rates=[(255, 0), (90, 4), (3, 31)], decays=decays, interval=interval,
                        interval_start=start)
            pair.run(batches=4, samples=3)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
@pytest.mark.parametrize("optimizer", list(Optimizer), ids=str)
def test_tiny_and_wide_formats(name, readout, optimizer):
    layers = (23, 9, 8, 5)
    config = CoreConfig.for_network(layers, lanes=4, optimizer=optimizer, **TINY[name])
    pair = Pair(config, layers, 4, spread=4.0, readout=readout, level_clip=65535, slope_clip=60000,
                rates=[(255, 0), (255, 2), (255, 1)], interval=2)
    pair.run(batches=4, samples=9)
    seen = pair.oracle.count
    if readout is Readout.SPIKE_TIME and name == "error":
        return  # its factors are too small to saturate
    wanted = {"gradient": "GRADIENT_SATURATIONS", "gradient_some": "GRADIENT_SATURATIONS",
              "error": "ERROR_SATURATIONS", "weight": "WEIGHT_SATURATIONS"}.get(name)
    assert wanted is None or seen[wanted] > 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layers=st.lists(st.integers(1, 12), min_size=2, max_size=5), lanes=st.sampled_from([2, 4, 8]),
       readout=st.sampled_from(list(Readout)), memory=st.booleans(), seed=st.integers(0, 1000),
       spread=st.sampled_from([0.3, 1.0, 5.0]), samples=st.integers(1, 6))
def test_any_shape_equals_the_oracle(layers, lanes, readout, memory, seed, spread, samples):
    layers = tuple(layers)
    config = CoreConfig.for_network(layers, lanes=lanes, gradient_memory=memory, gradient_bits=24)
    Pair(config, layers, seed, spread=spread, readout=readout, rates=[(129, 4)] * (len(layers) - 1),
         level_clip=9000, slope_clip=12000).run(batches=2, samples=samples)


def test_long_batches_are_cut_without_a_trace(monkeypatch):
    layers = (9, 7, 4)
    config = CoreConfig.for_network(layers, lanes=4, gradient_bits=20)
    monkeypatch.setattr("coldspike.model.exact.one_shot.CHUNK", 3)
    Pair(config, layers, 5).run(batches=2, samples=10)


def test_misfit_is_refused():
    with pytest.raises(ValueError, match="^network 9-9 needs 9 neurons in the largest layer, this build has 4$"):
        TtfsNetwork(CoreConfig(max_neurons=4), (9, 9))


# -- feedback and transport ------------------------------------------------------------------------------------------------
PARTIAL = (Values.TOP_K, Values.RANDOM, Values.CHANGE)
SELECT = {Values.TOP_K: 13, Values.RANDOM: 7 << 21, Values.CHANGE: 900}
SCHEMES = [(p, v, e, s) for p in Precision for v in Values for e in (False, True) for s in Signs
           if p is not Precision.SIGN or v not in PARTIAL]
FORMATS = [(Precision.FULL, 4, 2), (Precision.FULL, 18, 17), (Precision.FULL, 18, 2), (Precision.EIGHT, 8, 6),
           (Precision.EIGHT, 18, 16), (Precision.FOUR, 5, 4), (Precision.FOUR, 12, 9),
           (Precision.SIGN, 6, 5)]


def build(layers, precision, lanes=4, **options):
    return CoreConfig.for_network(layers, lanes=lanes, feedback_precision=precision,
                                  partial_transport=precision is not Precision.SIGN, **options)


def allowed(precision, schemes):
    """Builds that keep signs only copy all or nothing."""
    choice = PARTIAL if precision is Precision.SIGN else ()
    return [replace(scheme, values=Values.ALL) if scheme.values in choice else scheme for scheme in schemes]


@pytest.mark.parametrize("precision, values, every, signs", SCHEMES, ids=lambda v: getattr(v, "name", str(v)))
def test_every_scheme_equals_the_oracle(precision, values, every, signs):
    layers = (6, 9, 5, 3)
    scheme = LayerTransport(values=values, every_update=every, signs=signs, select=SELECT.get(values, 0), scale=1234)
    pair = Pair(build(layers, precision), layers, 6, interval=3, interval_start=1, schemes=[scheme] * 3)
    for ends in (False, True, False, False):
        pair.shake()
        pair.batch(2)
        due = pair.update()
        pair.check()
        assert due == bool((values and (every or ends)) or signs is Signs.EVERY_UPDATE or (signs and ends))
    count = pair.oracle.count
    assert values not in PARTIAL or 0 < count["WEIGHTS_TRANSPORTED"] < (4 if every else 1) * (45 + 15)
    assert not signs or values is Values.ALL or count["SIGNS_TRANSPORTED"]


@pytest.mark.parametrize("precision, bits, fraction", FORMATS, ids=str)
@pytest.mark.parametrize("values", list(Values), ids=lambda v: v.name)
def test_schemes_of_any_weight_format(precision, bits, fraction, values):
    layers = (3, 7, 6)
    config = build(layers, precision, weight_bits=bits, weight_fraction=fraction)
    scheme = LayerTransport(values=values, every_update=True, signs=Signs.AT_INTERVAL, select=SELECT.get(values, 0),
                            scale=config.weight.max)
    Pair(config, layers, 7, interval=2, schemes=allowed(precision, [scheme] * 2)).run(shake=True)


@pytest.mark.parametrize("select", [0, 1, 10, 15, 29, 30, 62, 63, 64, 0xFFFFFFFF])
@pytest.mark.parametrize("precision", [Precision.FULL, Precision.EIGHT, Precision.FOUR])
def test_top_k_and_ties(precision, select):
    layers = (2, 9, 7)
    scheme = LayerTransport(values=Values.TOP_K, select=select)
    pair = Pair(build(layers, precision), layers, 8, schemes=[scheme] * 2)
    rng = pair.rng
    sizes = rng.permutation(np.concatenate([rng.integers(600, 3000, 10), rng.integers(40, 44, 20), rng.integers(0, 9, 33)]))
    pair.put(2, (sizes * rng.choice([-1, 1], 63)).reshape(7, 9), np.zeros((7, 9)))
    bins = sorted((pair.oracle.bin(c) for c in sizes.tolist()), reverse=True)
    assert select != 15 or bins[10] == bins[14] == bins[15] == bins[29]
    pair.update()
    pair.check()
    assert pair.oracle.count["WEIGHTS_TRANSPORTED"] == min(select, 63)
    assert pair.oracle.count["WEIGHTS_READ"] == 2 * 63 and pair.oracle.count["TRANSPORT_WORDS"] == 2 * 7 * 3


@pytest.mark.parametrize("values, select, expected", [
    (Values.RANDOM, 0, 0), (Values.RANDOM, 1 << 24, 117), (Values.RANDOM, 0xFFFFFFFF, 117), (Values.RANDOM, 1 << 23, None),
    (Values.CHANGE, 0, 117), (Values.CHANGE, 900, None), (Values.CHANGE, (1 << 18) - 1, None), (Values.CHANGE, 0xFFFC0000, 117)])
def test_limits_of_choice(values, select, expected):
    layers = (2, 13, 9)
    pair = Pair(build(layers, Precision.FULL), layers, 9, schemes=[LayerTransport(values=values, select=select)] * 2)
    pair.put(2, pair.rng.integers(1, 9000, (9, 13)), np.zeros((9, 13)))
    pair.update()
    pair.check()
    count = pair.oracle.count["WEIGHTS_TRANSPORTED"]
    assert 0 < count < 117 if expected is None else count == expected


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("state", [1, 0xFF, 0x100, 0x80000000, 0xFFFFFFFF], ids=hex)
def test_choice_compares_strictly(state, over):
    for values, select, weight in ((Values.RANDOM, (state >> 8) + over, 5),
                                   (Values.CHANGE, 1 << 10, negative_log2(state) + over)):
        pair = Pair(build((1, 4, 1), Precision.FULL), (1, 4, 1), 1, schemes=[LayerTransport(values=values, select=select)] * 2)
        pair.put(2, np.full((1, 4), weight), np.zeros((1, 4)))
        pair.exact.transport_random[:], pair.oracle.transport_random = state, [state] * 4
        pair.update()
        pair.check()
        assert pair.oracle.count["WEIGHTS_TRANSPORTED"] == 4 * over


def test_layers_with_schemes_of_their_own():
    layers = (3, 9, 13, 6, 11, 1, 5, 2)
    schemes = [LayerTransport(values=v, every_update=bool(e), signs=Signs(s), select=k, scale=n) for v, e, s, k, n in [
        (Values.NONE, 0, 0, 0, 1), (Values.CHANGE, 1, 0, 500, 70), (Values.RANDOM, 0, 1, 1 << 22, 900),
        (Values.TOP_K, 0, 2, 20, 50), (Values.CHANGE, 0, 1, 90, 333), (Values.NONE, 0, 2, 0, 40), (Values.ALL, 1, 0, 0, 600)]]
    for precision in Precision:
        pair = Pair(build(layers, precision), layers, 10, interval=2, schemes=allowed(precision, schemes))
        pair.run(batches=5, shake=True)


def test_start_again_keeps_memories_and_takes_position_and_schemes():
    layers = (7, 6, 5, 3)
    every = [LayerTransport(values=Values.RANDOM, select=1 << 23, signs=Signs.AT_INTERVAL)] * 3
    pair = Pair(build(layers, Precision.EIGHT), layers, 11, rates=[(200, 3)] * 3, interval=3, schemes=every)
    due = []
    for change in ({}, {"interval_start": 2}, {"interval_start": 0xFFFFFFFF, "interval": 1},
                   {"interval_start": 0, "schemes": [LayerTransport(values=Values.TOP_K, select=4)] * 3}):
        pair.batch(3)
        before = pair.exact.weights[2].clone()
        pair.start(**change)
        pair.check()
        due.append(pair.update())
        pair.check()
        assert before.equal(pair.exact.weights[2])  # START forgot the listed columns
        pair.batch(3)
        due.append(pair.update())
        pair.check()
    assert due == [False, False, True, False, False, True, True, True]


def test_generators_of_transport_begin_with_seeds_of_their_own():
    network = TtfsNetwork(build((2, 2), Precision.FULL, lanes=8), (2, 2))
    assert network.transport_random.tolist() == lane_seeds(1, 8) != network.random.tolist()


ANY_SCHEME = st.builds(
    LayerTransport, values=st.sampled_from(Values), every_update=st.booleans(), signs=st.sampled_from(Signs),
    select=st.sampled_from([0, 1, 7, 30, 400, 6000, 1 << 18, 1 << 22, 1 << 24, 0xFFFFFFFF]), scale=st.sampled_from([0, 1, 7]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layers=st.lists(st.integers(1, 12), min_size=3, max_size=5), lanes=st.sampled_from([2, 4, 8]),
       form=st.sampled_from([*FORMATS, *((p, 16, 12) for p in Precision)]), memory=st.booleans(), seed=st.integers(0, 1000),
       schemes=st.lists(ANY_SCHEME, min_size=4, max_size=4), interval=st.integers(0, 3), start=st.integers(0, 3))
def test_any_scheme_equals_the_oracle(layers, lanes, form, memory, seed, schemes, interval, start):
    layers, (precision, bits, fraction) = tuple(layers), form
    config = build(layers, precision, lanes, gradient_memory=memory, weight_bits=bits, weight_fraction=fraction)
    Pair(config, layers, seed, rates=[(129, 4)] * (len(layers) - 1), interval=interval, interval_start=start,
         schemes=allowed(precision, schemes[:len(layers) - 1])).run(samples=2, shake=True)
