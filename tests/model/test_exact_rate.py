"""The exact model of rule rate against the literal transcription of docs/numerics.md, in every state, and against the
floating-point model."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldspike.model.exact import RateNetwork
from coldspike.model.reference.rate import RateNetwork as Reference
from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.random import lane_seeds
from coldspike.spec.rate import RateFormats, RateSettings
from coldspike.spec.transport import LayerTransport, Precision, Signs, Values

from .oracle_rate import RateOracle
from .pair import TINY, Pair

INPUTS = {"some": (0.7, 0.4), "zero": (1.0, 0.0), "full": (1.0, 1.0), "not sent": (0.0, 0.5)}
"""Of levels, who is sent; of steps and inputs, who spikes. Levels are random but for "zero" and "full"."""


class RatePair(Pair):
    """A network of rule rate and its oracle in the same random state."""

    def __init__(self, layers, steps, coded=False, seed=1, spread=1.0, leak=0.2, max_steps=None, build=None, **more):
        config = CoreConfig.for_network(layers, rules=("rate",), **{"lanes": 4, "max_steps": max_steps or steps} | (build or {}))
        self.rng, depth = np.random.default_rng(seed), len(layers) - 1
        run = {"rates": [(200, 8)] * depth, "decays": [0] * depth, "interval": 1} | more
        seeds = lane_seeds(seed, config.lanes)
        self.exact = RateNetwork(config, layers, RateSettings(steps=steps, leak=leak, coded=coded), **run)
        self.exact.random = np.array(seeds, np.uint32)
        self.oracle = RateOracle(config, layers, steps, leak, coded, random=seeds, interval_start=0, **run)
        for l in range(1, depth + 1):
            scale = spread * (2 / layers[l - 1]) ** 0.5 * config.weight.one
            shape, unit = (layers[l], layers[l - 1]), 1 << max(0, config.feedback_shift)
            self.put(l, self.rng.normal(0.3 * scale, scale, shape).round(), self.rng.normal(0, scale, shape).round() // unit)

    def set_rule(self, rule: RateSettings):
        """Other registers and another profile; elements of the old one stay behind the new."""
        self.exact.set_rule(rule, rule.ticks(self.exact.config))
        self.exact.profile[:rule.steps + 1] = torch.tensor(rule.profile)
        self.oracle.set_rule(rule.steps, rule.leak, rule.coded)

    def batch(self, samples, train=True, inputs="some"):
        exact, oracle, rng = self.exact, self.oracle, self.rng
        (sent, spiking), shape = INPUTS[inputs], (samples, exact.layers[0])
        ends = {"zero": (0, 1), "full": (exact.config.window, exact.config.window + 1)}
        levels = rng.integers(*ends.get(inputs, (0, exact.config.window + 1)), shape)
        sent, labels = rng.random(shape) < sent, rng.integers(0, exact.layers[-1], samples)
        spikes = rng.random((samples, oracle.T, exact.layers[0])) < spiking if oracle.coded else None
        tensors = [torch.from_numpy(levels), torch.from_numpy(sent)]
        trains = None if spikes is None else torch.from_numpy(spikes)
        logits, predicted, record = (exact.train(*tensors, torch.from_numpy(labels), spikes=trains) if train
                                     else exact.infer(*tensors, spikes=trains))
        for n in range(samples):
            given = {int(i): int(levels[n, i]) for i in np.flatnonzero(sent[n])}
            events = [] if spikes is None else [(int(t) + 1, int(i)) for t, i in zip(*spikes[n].nonzero(), strict=True)]
            logit, prediction, fired, listed, lowest = oracle.sample(given, events, int(labels[n]) if train else None)
            assert (logits[n].tolist(), int(predicted[n])) == (logit, prediction)
            assert ([int(each[n]) for each in record.listed], int(record.lowest[n])) == (listed, lowest)
            self.check_record(record, n, given, fired, train)
        assert record.train is train and len(logits) == len(predicted) == record.samples == samples

    def check_record(self, record, n, given, fired, train):
        oracle, lanes = self.oracle, self.exact.config.lanes
        assert (int(record.events[n]), int(record.words[n])) == (len(given), len(given) + len(fired[0]))
        assert record.inputs[n].tolist() == [sum(step == t for step, _ in fired[0]) for t in range(1, oracle.T + 1)]
        for l in range(1, oracle.L + 1):
            seen = {j for _, j in fired.get(l, ())}
            blocks = [sum(j // lanes == block for j in seen) for block in range(-(-oracle.n[l] // lanes))]
            assert record.fired[l - 1][n].tolist() == blocks
            if l < oracle.L:
                assert {(t + 1, j) for t, j in record.spikes[l - 1][n].nonzero().tolist()} == fired[l]
                assert set(record.shown[l - 1][n].nonzero()[:, 0].tolist()) == seen | set(oracle.active[l] if train else ())

    def check(self):
        super().check()
        exact, oracle = self.exact, self.oracle
        assert (exact.profile[:oracle.T + 1].tolist(), exact.ticks) == ([oracle.leak, *oracle.p.values()], oracle.K)
        for l in range(1, exact.depth):
            assert exact.membrane[l - 1].tolist() == oracle.u[l]
            assert exact.eligibility[l - 1].tolist() == oracle.f[l]
        for l, touched in enumerate(exact.touched, start=1):
            assert not exact.config.gradient_memory or set(touched.nonzero()[:, 0].tolist()) == oracle.touched[l]


# -- against the oracle ---------------------------------------------------------------------------
NETWORKS = [(9, 4), (7, 5, 3), (13, 7, 5, 3), (6, 9, 4, 8, 5), (1, 1, 1)]


@pytest.mark.parametrize("layers", NETWORKS, ids=lambda layers: "-".join(map(str, layers)))
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 16, 100])
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
def test_every_state_equals_the_oracle(layers, steps, coded):
    spread = 2.5 if coded and len(layers) == 2 else 1.5
    RatePair(layers, steps, coded, spread=spread, max_steps=steps + steps % 3).run(samples=2 if steps == 100 else 4)


@pytest.mark.parametrize("layers", [(4, 4, 4), (5, 8, 3), (8, 3, 5, 4), (3, 9, 4, 12, 7)], ids=str)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
@pytest.mark.parametrize("leak", [0, 0.9])
def test_lane_boundaries_and_leaks(layers, coded, leak):
    RatePair(layers, 7, coded, seed=2, leak=leak).run()


@pytest.mark.parametrize("optimizer", Optimizer, ids=str)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
def test_optimizers_decay_and_transport(optimizer, coded):
    rates = [(200, 5)] * 3 if optimizer is Optimizer.SIGN_MOMENTUM else [(180, 3)] * 3
    pair = RatePair((13, 7, 5, 3), 5, coded, seed=3, build={"optimizer": optimizer}, rates=rates, decays=[300, 0, 900], interval=2)
    before = [w.clone() for w in pair.exact.weights]
    pair.run(batches=5)
    assert not any(w.equal(old) for w, old in zip(pair.exact.weights, before, strict=True))
    assert pair.exact.counters["TRANSPORTS"] == 2


@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
@pytest.mark.parametrize("layers", [(9, 4), (13, 7, 5, 3)], ids=str)
def test_update_every_sample_equals_the_oracle(layers, coded):
    depth = len(layers) - 1
    pair = RatePair(layers, 4, coded, seed=4, build={"gradient_memory": False, "optimizer": Optimizer.SGD},
                    rates=[(150, 2)] * depth, decays=[40] * depth, interval=2)
    before = [w.clone() for w in pair.exact.weights]
    pair.run()
    assert not any(w.equal(old) for w, old in zip(pair.exact.weights, before, strict=True))


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
def test_extreme_inputs(inputs, coded):
    pair = RatePair((13, 7, 5, 3), 6, coded, seed=5)
    for train in (True, True, False):
        pair.batch(3, train, inputs)
        pair.check()
        pair.update()
        pair.check()
    silent = inputs == "zero" or inputs == "not sent" and not coded
    assert silent == (not pair.exact.counters["EVENTS_1"])
    if silent:  # neurons at rest are active all the same
        assert pair.exact.counters["ACTIVE_1"] == 6 * 7 and all(not g.any() for g in pair.exact.gradients)


@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
@pytest.mark.parametrize("leak", [0.2, 0.9])
def test_saturating_potentials(coded, leak):
    pair = RatePair((13, 9, 5, 3), 12, coded, seed=6, spread=40.0, leak=leak)
    pair.run()
    assert pair.exact.counters["MEMBRANE_SATURATIONS"] > 50
    assert pair.exact.counters["ACTIVE_1"] < 9 * 15  # far from the threshold no gradient passes


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
def test_tiny_and_wide_formats(name, coded):
    pair = RatePair((23, 9, 8, 5), 5, coded, seed=7, spread=3.0, build=TINY[name], rates=[(255, 0), (255, 2), (255, 1)], interval=2)
    pair.run(batches=3, samples=6)
    wanted = {"gradient": "GRADIENT_SATURATIONS", "gradient_some": "GRADIENT_SATURATIONS", "error": "ERROR_SATURATIONS",
              "weight": "WEIGHT_SATURATIONS"}.get(name)
    assert wanted is None or pair.oracle.count[wanted] > 0


def test_rates_and_eligibilities_at_their_limits():
    """K is rounded: 365 spikes of 180 / 2^8 ticks each are more than the window. A long memory gives eligibilities beyond 16."""
    pair = RatePair((2, 3, 2), 365, seed=8, leak=0.99)
    one = pair.exact.config.weight.one
    pair.put(1, np.array([[3 * one, 3 * one], [one // 100, one // 120], [-one, -one]]), np.zeros((3, 2)))
    pair.put(2, np.zeros((2, 3)), np.array([[40, 70, -80], [-90, -50, 100]]))
    pair.batch(2, inputs="full")
    pair.check()
    assert pair.exact.ticks * 365 + 128 >> 8 == 257 and pair.exact.spike_a[1][0] == 256 and not pair.exact.spike_fired[1][2]
    assert (pair.exact.eligibility[0] >> 12).tolist()[1] > 65535 and pair.exact.counters["ERROR_SATURATIONS"] == 0


@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
def test_whatever_the_host_writes(coded):
    """A leak beyond 1, any weights of the steps, any ticks of a spike: what fits the registers and DECAY."""
    pair = RatePair((6, 5, 4, 3), 9, coded, seed=13, spread=4.0)
    wide, form = pair.rng.integers(0, 2**17, (6, 10)), RateFormats(pair.exact.config)
    wide[:2] |= 3 << 15
    written = zip([2**19 - 1, *pair.rng.integers(0, 2**19, 6).tolist()], [[2**17 - 1] * 10, *wide.tolist()], strict=True)
    for ticks, (leak, *p) in written:
        pair.exact.set_rule(pair.exact.settings, ticks)
        pair.exact.profile[:] = torch.tensor([leak, *p])
        pair.oracle.leak, pair.oracle.p, pair.oracle.K = leak, dict(enumerate(p, start=1)), ticks
        pair.batch(3)
        pair.check()
        assert all(int(total.max()) <= form.eligibility.max for total in pair.exact.eligibility)
    assert pair.exact.counters["MEMBRANE_SATURATIONS"]


def test_a_spike_of_many_steps_rounds_to_no_rate():
    """A neuron fires once in 4096 steps of a window of 16 ticks: it is an event of rate 0."""
    pair = RatePair((2, 2, 2), 4096, coded=True, seed=9, build={"time_bits": 4})
    one = pair.exact.config.weight.one
    pair.put(1, np.array([[2 * one, 0], [0, 0]]), np.zeros((2, 2)))
    spikes = torch.zeros(1, 4096, 2, dtype=torch.bool)
    spikes[0, 4000, 0] = spikes[0, :, 1] = True
    pair.exact.train(torch.tensor([[1, 16]]), torch.ones(1, 2, dtype=torch.bool), torch.tensor([1]), spikes=spikes)
    pair.oracle.sample({0: 1, 1: 16}, [(t + 1, i) for _, t, i in spikes.nonzero().tolist()], 1)
    pair.check()
    assert pair.exact.spike_fired[1].tolist() == [True, False] and pair.exact.spike_a[1].tolist() == [0, 0]
    assert pair.exact.slope[1].tolist() == pair.exact.weights[1][:, 0].tolist()


@pytest.mark.parametrize("layers, coded", [((5, 4, 3), True), ((5, 4, 3), False), ((5, 3), False)], ids=str)
def test_hundreds_of_samples_in_one_call(layers, coded):
    """More than two chunks, and gradients that saturate on the way."""
    pair = RatePair(layers, 2, coded, seed=10, spread=2.0, build={"gradient_bits": 18})
    pair.batch(600)
    pair.check()
    assert pair.oracle.count["GRADIENT_SATURATIONS"]
    pair.batch(300, train=False)
    pair.check()


def test_hundreds_of_samples_that_learn_one_by_one():
    pair = RatePair((5, 4, 3), 2, seed=10, spread=2.0, build={"gradient_memory": False}, rates=[(2, 9)] * 2)
    pair.batch(270)
    pair.check()


def test_chunks_leave_no_trace(monkeypatch):
    monkeypatch.setattr("coldspike.model.exact.one_shot.CHUNK", 3)
    for coded in (False, True):
        RatePair((9, 7, 4), 3, coded, seed=11, build={"gradient_bits": 20}).run(batches=2, samples=10)


def test_other_steps_from_sample_to_sample():
    """Longer and shorter, inputs of both kinds; what was written behind the new profile stays and says nothing."""
    pair = RatePair((7, 6, 5, 3), 9, seed=12, max_steps=12)
    for rule in (RateSettings(steps=4, leak=0.5), RateSettings(steps=12, leak=0, coded=True), RateSettings(steps=1),
                 RateSettings(steps=3, leak=0.9, coded=True)):
        pair.set_rule(rule)
        pair.batch(3)
        pair.check()
        pair.update()
        pair.check()


def test_threshold_and_reset_on_the_last_bit():
    """Potentials of exactly 1 neither fire nor are reset, one above does both; half a bit goes up."""
    pair = RatePair((1, 5, 1), 2, leak=0.5)
    one = pair.exact.config.weight.one
    pair.put(1, np.array([[one], [one + 1], [one - 1], [2 * one], [-one - 1]]), np.zeros((5, 1)))
    for level, rates, potentials in (
        (256, [128, 256, 128, 256, 0], [6144, 4098, 6143, 10240, -6145]),  # 2048 + 4096, 1 + 4097, 2048 + 4095, 2048 + 8192, ...
        (128, [0, 0, 0, 128, 0], [3072, 3074, 3072, 6144, -3072]),
    ):
        pair.exact.infer(torch.tensor([[level]]), torch.tensor([[True]]))
        pair.oracle.sample({0: level})
        pair.check()
        assert (pair.exact.spike_a[1].tolist(), pair.exact.membrane[0].tolist()) == (rates, potentials)


ANY_SCHEME = st.builds(LayerTransport, values=st.sampled_from([Values.NONE, Values.ALL]), every_update=st.booleans(),
                       signs=st.sampled_from(Signs), scale=st.sampled_from([0, 1, 7, 3000]))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layers=st.lists(st.integers(1, 12), min_size=2, max_size=5).map(tuple), lanes=st.sampled_from([2, 4, 8]),
       steps=st.integers(1, 9), coded=st.booleans(), leak=st.sampled_from([0, 0.2, 0.55, 0.999]), memory=st.booleans(),
       precision=st.sampled_from(Precision), seed=st.integers(0, 1000), spread=st.sampled_from([0.5, 1.5, 8.0]),
       schemes=st.lists(ANY_SCHEME, min_size=4, max_size=4), inputs=st.sampled_from(list(INPUTS)))
def test_any_network_equals_the_oracle(layers, lanes, steps, coded, leak, memory, precision, seed, spread, schemes, inputs):
    depth = len(layers) - 1
    build = {"lanes": lanes, "gradient_memory": memory, "gradient_bits": 24, "feedback_precision": precision}
    pair = RatePair(layers, steps, coded, seed, spread, leak, build=build, rates=[(129, 4)] * depth, interval=2,
                    schemes=schemes[:depth])
    pair.batch(2, inputs=inputs)
    pair.check()
    pair.run(batches=2, samples=2)


def test_inputs_that_do_not_belong_to_the_coding_are_refused():
    levels, sent, spikes = torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 2, 3, dtype=torch.bool)
    config = CoreConfig.for_network((3, 2, 2), lanes=2, rules=("rate",), max_steps=2)
    for coded, wrong in ((True, None), (False, spikes)):
        with pytest.raises(ValueError, match="inputs that are spikes come with them, currents without"):
            RateNetwork(config, (3, 2, 2), RateSettings(steps=2, coded=coded)).infer(levels, sent, wrong)
    with pytest.raises(ValueError, match="no samples"):
        RateNetwork(config, (3, 2, 2), RateSettings(steps=2)).infer(levels[:0], sent[:0])


# -- against the floating-point model -------------------------------------------------------------
LAYERS, SAMPLES = (40, 30, 30, 10), 40


class Near:
    """An exact network and the floating-point one with the same weights, leak and inputs."""

    def __init__(self, steps, coded, leak, scale):
        config = CoreConfig.for_network(LAYERS, rules=("rate",), max_steps=steps)
        generator = torch.Generator().manual_seed(steps)
        self.exact = RateNetwork(config, LAYERS, RateSettings(steps=steps, leak=leak, coded=coded))
        for l, (n_in, n_out) in enumerate(zip(LAYERS, LAYERS[1:], strict=False)):
            weight = torch.randn(n_out, n_in, generator=generator) * scale / n_in**0.5
            self.exact.weights[l][:] = (weight * config.weight.one).round().long()
            if l:
                self.exact.feedback[l][:] = self.exact.weights[l]
        self.reference = Reference([w.double() / config.weight.one for w in self.exact.weights], int(self.exact.profile[0]) / 2**16)
        shape = (SAMPLES, steps, LAYERS[0])
        levels = torch.randint(0, config.window + 1, (SAMPLES, LAYERS[0]), generator=generator)
        self.spikes = torch.rand(shape, generator=generator) < levels[:, None] / config.window if coded else None
        self.inputs = self.spikes.double() if coded else (levels / config.window).double()[:, None].expand(shape)
        self.levels = (self.inputs.mean(1) * config.window).round().long()
        self.labels = torch.arange(SAMPLES) % LAYERS[-1]
        self.config, self.steps = config, steps

    def tipped(self):
        """Samples in which a hidden neuron's spikes are not as many as in floating point. K and r are rounded: of up to T spikes
        each misses by half of 2^-8 ticks at most, and their sum by half a tick. Returns [n] bool and that bound as a rate."""
        rates, bound = self.reference._forward(self.inputs)[1], (0.5 + self.steps * 2**-9) / self.config.window
        assert bound < 1 / self.steps / 2
        tipped = []
        for n in range(SAMPLES):
            one = slice(n, n + 1)
            self.exact.infer(self.levels[one], torch.ones(1, LAYERS[0]).bool(), None if self.spikes is None else self.spikes[one])
            pairs = zip(self.exact.spike_a[1:3], rates[1:], strict=True)
            tipped.append(any(bool(((a / self.config.window - rate[n]).abs() > bound).any()) for a, rate in pairs))
        return torch.tensor(tipped), bound


@pytest.mark.parametrize("leak, scale", [(0, 2.5), (0.2, 2.5), (0.9, 1.0)])
@pytest.mark.parametrize("steps", [1, 2, 5, 16])
@pytest.mark.parametrize("coded", [False, True], ids=["currents", "spikes"])
def test_integers_are_near_the_floating_point_model(coded, steps, leak, scale):
    near = Near(steps, coded, leak, scale)
    tipped, bound = near.tipped()
    assert int(tipped.sum()) <= 2 + SAMPLES * steps / 100  # each step has 60 potentials, of which some lie 2^-12 from the threshold
    logits, _, _ = near.exact.train(near.levels, torch.ones(SAMPLES, LAYERS[0]).bool(), near.labels, spikes=near.spikes)
    expected, _ = near.reference.train(near.inputs, near.labels)
    assert near.exact.counters["MEMBRANE_SATURATIONS"] == near.exact.counters["ERROR_SATURATIONS"] == 0
    # Weights are the same, and spikes are but in samples that tipped: the rates are rounded, and the logit's last bit is cut.
    most = near.reference.weights[-1].abs().sum(1) * bound + 2**-10
    assert bool(((logits / 2**10 - expected).abs() <= most)[~tipped].all())
    for found, reference in zip(near.exact.gradients, near.reference.gradients, strict=True):
        found = found.double() / 2.0**near.config.gradient.fraction
        assert float(torch.nn.functional.cosine_similarity(found.flatten(), reference.flatten(), dim=0)) > 0.99
        assert 0.98 < float(found.norm() / reference.norm()) < 1.02
