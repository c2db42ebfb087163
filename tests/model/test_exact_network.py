"""The exact model against the literal transcription of docs/numerics.md, in every state."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldspike.model.exact import ExactNetwork
from coldspike.spec.config import CoreConfig, Optimizer
from coldspike.spec.network import Readout
from coldspike.spec.random import lane_seeds

from .oracle import Oracle


class Pair:
    """An exact network and an oracle in the same random state."""

    def __init__(self, config, layers, seed, spread=1.0, **settings):
        self.rng = np.random.default_rng(seed)
        depth = len(layers) - 1
        settings = {"readout": Readout.POTENTIAL, "level_clip": 4096, "slope_clip": 4096, "rates": [(200, 8)] * depth,
                    "decays": [0] * depth, "interval": 1, "interval_start": 0} | settings
        seeds = lane_seeds(seed, config.lanes)
        self.exact = ExactNetwork(config, layers, **settings)
        self.exact.random = np.array(seeds, np.uint32)
        self.oracle = Oracle(config, layers, random=seeds, **settings)
        for l in range(1, depth + 1):
            shape = (layers[l], layers[l - 1])
            for theirs, ours in ((self.exact.weights, self.oracle.w), (self.exact.feedback, self.oracle.b)):
                if theirs[l - 1] is None:
                    continue
                scale = spread * (2 / layers[l - 1]) ** 0.5 * config.weight.one
                values = self.rng.normal(0, scale, shape).round().clip(config.weight.min, config.weight.max)
                theirs[l - 1][:] = torch.from_numpy(values.astype(np.int64))
                ours[l] = values.astype(int).tolist()

    def batch(self, samples, train=True, density=0.7):
        """Run random samples on both and compare every result and record."""
        exact, oracle = self.exact, self.oracle
        shape = (samples, exact.layers[0])
        fired = self.rng.random(shape) < density
        a = self.rng.integers(0, exact.config.window + 1, shape)
        labels = self.rng.integers(0, exact.layers[-1], samples)
        tensors = torch.from_numpy(a), torch.from_numpy(fired)
        logits, predicted, record = exact.train(*tensors, torch.from_numpy(labels)) if train else exact.infer(*tensors)
        for n in range(samples):
            events = {int(i): int(a[n, i]) for i in np.flatnonzero(fired[n])}
            expected = oracle.sample(events, int(labels[n]) if train else None)
            listed = [int(layer[n]) for layer in record.listed]
            spikes = [int(record.events[n]), *(int(layer[n].sum()) for layer in record.fired)]
            assert (logits[n].tolist(), int(predicted[n]), spikes, listed, int(record.lowest[n])) == expected
        assert record.train is train

    def update(self):
        assert self.exact.update().due == self.oracle.update()

    def check(self):
        """Compare the whole state."""
        exact, oracle = self.exact, self.oracle
        assert exact.random.tolist() == oracle.random
        assert exact.counters == oracle.count
        assert exact.transport.position == oracle.position
        assert exact.output_error.tolist() == oracle.eps
        for l in range(1, exact.depth + 1):
            assert exact.weights[l - 1].tolist() == oracle.w[l]
            assert exact.slope[l - 1].tolist() == oracle.slope[l]
            assert exact.level[l - 1].tolist() == oracle.level[l]
            if l > 1:
                assert exact.feedback[l - 1].tolist() == oracle.b[l]
            if exact.config.gradient_memory:
                assert exact.gradients[l - 1].tolist() == oracle.g[l]
            if l < exact.depth:
                assert exact.error_sum[l - 1].tolist() == oracle.err[l]
        for l in range(exact.depth + 1):
            spikes = zip(exact.spike_a[l].tolist(), exact.spike_fired[l].tolist(), strict=True)
            assert list(spikes) == oracle.spikes[l]

    def run(self, batches=3, samples=5):
        for _ in range(batches):
            self.batch(samples)
            self.check()
            self.update()
            self.check()
        self.batch(2, train=False)
        self.check()


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


TINY = {
    "gradient": dict(gradient_bits=8, error_fraction=4, error_bits=18),
    "gradient_some": dict(gradient_bits=20, error_fraction=12, error_bits=16, time_bits=10),
    "error": dict(error_bits=8, error_fraction=6),
    "weight": dict(weight_bits=4, weight_fraction=2, time_bits=4),
    "logit": dict(weight_bits=18, weight_fraction=2, time_bits=4),
    "wide": dict(weight_bits=18, weight_fraction=17, time_bits=10, gradient_bits=32, error_bits=18, error_fraction=16),
}


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
    monkeypatch.setattr("coldspike.model.exact.network._CHUNK", 3)
    Pair(config, layers, 5).run(batches=2, samples=10)


def test_misfit_is_refused():
    with pytest.raises(ValueError, match="^network 9-9 needs 9 neurons in the largest layer, this build has 4$"):
        ExactNetwork(CoreConfig(max_neurons=4), (9, 9))
