"""An exact network beside the oracle, step by step the same."""

import numpy as np
import torch

from coldspike.model.exact import TtfsNetwork
from coldspike.spec.network import Readout
from coldspike.spec.random import lane_seeds

from .oracle import Oracle

TINY = {
    "gradient": dict(gradient_bits=8, error_fraction=4, error_bits=18),
    "gradient_some": dict(gradient_bits=20, error_fraction=12, error_bits=16, time_bits=10),
    "error": dict(error_bits=8, error_fraction=6),
    "weight": dict(weight_bits=4, weight_fraction=2, time_bits=4),
    "logit": dict(weight_bits=18, weight_fraction=2, time_bits=4),
    "wide": dict(weight_bits=18, weight_fraction=17, time_bits=10, gradient_bits=32, error_bits=18, error_fraction=16),
}
"""Options of builds, by the format that they make small or wide."""


class Pair:
    """An exact network and an oracle in the same random state."""

    def __init__(self, config, layers, seed, spread=1.0, **settings):
        self.rng = np.random.default_rng(seed)
        depth = len(layers) - 1
        self.settings = {"readout": Readout.POTENTIAL, "level_clip": 4096, "slope_clip": 4096, "rates": [(200, 8)] * depth,
                         "decays": [0] * depth, "interval": 1, "interval_start": 0} | settings
        seeds = lane_seeds(seed, config.lanes)
        self.exact = TtfsNetwork(config, layers, **self.settings)
        self.exact.random = np.array(seeds, np.uint32)
        self.oracle = Oracle(config, layers, random=seeds, **self.settings)
        for l in range(1, depth + 1):
            scale = spread * (2 / layers[l - 1]) ** 0.5 * config.weight.one
            shape, unit = (layers[l], layers[l - 1]), 1 << max(0, config.feedback_shift)
            self.put(l, self.rng.normal(0, scale, shape).round(), self.rng.normal(0, scale, shape).round() // unit)

    def start(self, **settings):
        """START again with some settings changed."""
        self.settings |= settings
        self.exact.configure(**self.settings)
        self.oracle.start(**self.settings)

    def put(self, l, weights, feedback):
        """Store weights and stored feedback weights of layer l, cut to what their formats hold."""
        for theirs, ours, values, form in ((self.exact.weights, self.oracle.w, weights, self.exact.config.weight),
                                           (self.exact.feedback, self.oracle.b, feedback, self.exact.config.feedback)):
            if theirs[l - 1] is not None:
                values = values.clip(form.min, form.max).astype(np.int64)
                theirs[l - 1][:] = torch.from_numpy(values)
                ours[l] = values.tolist()

    def shake(self):
        """Move weights and feedback weights of layers 2 to L: changes of all sizes, many equal ones, the ends of the formats."""
        config, rng = self.exact.config, self.rng
        for l in range(2, self.exact.depth + 1):
            w, b = self.exact.weights[l - 1].numpy().copy(), self.exact.feedback[l - 1].numpy().copy()
            for values, form in ((w, config.weight), (b, config.feedback)):
                ends = rng.choice([form.min, form.min + 1, -1, 0, 1, form.max], w.shape)
                far = rng.integers(form.min, form.max + 1, w.shape)
                case = rng.random(w.shape)
                values[:] = np.select([case < 0.15, case < 0.3], [ends, far], values)
            size = np.round(2 ** rng.uniform(0, config.weight.bits, w.shape)) * rng.choice([-1, 1], w.shape)
            near = (b << max(0, config.feedback_shift)) + np.where(rng.random(w.shape) < 0.3, 5, size)
            self.put(l, np.where(rng.random(w.shape) < 0.5, near, w), b)

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
        """UPDATE on both; returns whether anything was transported."""
        active = [bool(listed) for listed in self.oracle.touched.values()]
        due, record = self.oracle.update(), self.exact.update()
        assert (record.due, record.active) == (due, active)
        return due

    def check(self):
        """Compare the whole state."""
        exact, oracle = self.exact, self.oracle
        assert exact.random.tolist() == oracle.random
        assert exact.transport_random.tolist() == oracle.transport_random
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

    def run(self, batches=3, samples=5, shake=False):
        for _ in range(batches):
            self.batch(samples)
            if shake:
                self.shake()
            self.check()
            self.update()
            self.check()
        self.batch(2, train=False)
        self.check()
