"""The exact model of sparse BPTT against plain integers, and against the floating-point model on the same spikes."""

import math

import pytest
import torch

from coldspike.model.exact import lif, sparse_bptt
from coldspike.model.exact.readout import output_errors
from coldspike.model.reference.sparse_bptt import SparseBpttNetwork
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import GradientForm, LifSettings, OverTime, RateLoss

from .oracle_lif import Oracle

SAMPLES = 4


class Pass:
    """A batch through the exact model; every value that numerics.md names."""

    def __init__(self, config, settings, weights, feedback, gradients, spikes, labels):
        top, self.spikes, self.layers = len(weights), [spikes], []
        for weight in weights[:-1]:
            self.layers.append(lif.fire(config, settings, lif.currents(weight, self.spikes[-1])))
            self.spikes.append(self.layers[-1].fired)
        potential, lost = lif.integrate(config, settings, lif.currents(weights[-1], self.spikes[-1]))
        self.potential = potential[:, 1:]
        self.membrane_saturations = lost + sum(layer.saturations for layer in self.layers)
        self.logit = sparse_bptt.logits(config, settings, self.potential)
        self.jobs = {top: sparse_bptt.output_jobs(config, settings, self.potential, self.logit, labels)}
        self.gradients, self.gradient_saturations, clipped, self.by_spikes = [g.clone() for g in gradients], 0, 0, []
        for l in range(top, 0, -1):
            chosen = sparse_bptt.by_spikes(settings, self.jobs[l], self.spikes[l - 1])
            self.by_spikes += chosen.tolist()
            over = sparse_bptt.accumulate(config, settings, self.gradients[l - 1], self.jobs[l], self.spikes[l - 1], chosen)
            self.gradient_saturations, clipped = self.gradient_saturations + over[0], clipped + over[1]
            if l > 1:
                self.jobs[l - 1] = sparse_bptt.hidden_jobs(config, settings, l, self.jobs[l], feedback[l - 1], self.layers[l - 2])
        self.error_saturations = clipped + sum(jobs.saturations for jobs in self.jobs.values())


def case(layers, steps, scale, density, seed, **build):
    config = CoreConfig.for_network(layers, lanes=2, **build)
    generator = torch.Generator().manual_seed(seed)
    shapes = list(zip(layers[1:], layers, strict=False))
    weights, feedback = ([(torch.randn(s, generator=generator) * scale * config.weight.one / math.sqrt(s[1])).long().clamp(
        config.weight.min, config.weight.max) for s in shapes] for _ in range(2))
    limit = config.gradient.max // 2
    gradients = [torch.randint(-limit, limit, s, generator=generator) for s in shapes]
    spikes = torch.rand(SAMPLES, steps, layers[0], generator=generator) < density
    return config, weights, feedback, gradients, spikes, torch.randint(0, layers[-1], (SAMPLES,), generator=generator)


CASES = {  # layers, T, scale of the weights, density of the input, window, settings, build
    "usual": ((7, 6, 5, 3), 20, 1.5, 0.2, 0.4, {"scales": (4, 2, 0), "gain": 2}, {}),
    "everything active": ((5, 4, 3), 12, 1.5, 0.3, math.inf, {"scales": (0, 0)}, {}),
    "nothing active": ((5, 4, 3), 12, 1.5, 0.3, 0, {"scales": (0, 0)}, {}),
    "one step": ((5, 4, 3), 1, 2.0, 0.5, 2, {"scales": (0, 1)}, {}),
    "two steps": ((5, 4, 3), 2, 2.0, 0.5, 2, {"scales": (3, 1)}, {}),
    "sum over time": ((6, 7, 4), 15, 1.5, 0.2, 0.4, {"scales": (4, 0), "over_time": OverTime.SUM}, {}),
    "saturating": ((6, 5, 5, 4), 25, 60.0, 0.5, 30, {"scales": (12, 9, 4), "gain": 3}, {"gradient_bits": 22}),
    "no memory of the past": ((6, 5, 4), 9, 2.5, 0.5, 1, {"scales": (3, 0), "beta": 0.0}, {"weight_fraction": 2}),  # often V = 1
    "long": ((4, 3, 2), 300, 1.0, 0.02, 0.5, {"scales": (5, 2), "beta": 0.99}, {}),
    "saturating traces": ((3, 3, 2), 200, 0.003, 0.95, 40, {"scales": (10, 0), "beta": 0.999, "over_time": OverTime.SUM},
                          {"time_bits": 10}),
    "rates": ((7, 6, 5, 3), 20, 1.5, 0.2, 0.6, {"scales": (4, 2, 0), "rates": RateLoss(
        least=1, most=2, upper=(900, 50), lower=(70, 1100))}, {"rate_loss": True, "rules": "sparse-bptt"}),
    "saturating rates": ((7, 6, 5, 3), 60, 3.0, 0.5, 1.5, {"scales": (4, 2, 0), "rates": RateLoss(
        least=2, most=5, upper=(65535, 65535), lower=(65535, 0))}, {"rate_loss": True, "rules": "sparse-bptt"}),
    "other fractions": ((6, 5, 4), 18, 1.5, 0.3, 0.5, {"scales": (6, 3)}, {"weight_fraction": 9, "time_bits": 6}),
}


@pytest.mark.parametrize("form", GradientForm)
@pytest.mark.parametrize("name", CASES)
def test_every_value_equals_plain_integers(name, form):
    layers, steps, scale, density, window, options, build = CASES[name]
    config, weights, feedback, gradients, spikes, labels = case(layers, steps, scale, density, len(name), **build)
    settings = LifSettings(steps=steps, window=int(min(window * config.weight.one, 1 << 40)), gradients=form,
                           **{"beta": math.exp(-0.1), **options})
    seen = Pass(config, settings, weights, feedback, gradients, spikes, labels)
    oracle = Oracle(config, settings, *([m.tolist() for m in matrices] for matrices in (weights, feedback, gradients)))
    jobs = 0
    for n in range(SAMPLES):
        oracle.forward([tuple(event) for event in spikes[n].nonzero().tolist()])
        for l, layer in enumerate(seen.layers, start=1):
            assert {tuple(e) for e in layer.fired[n].nonzero().tolist()} == oracle.spikes[l]
            assert {(t, j): int(layer.surrogate[n, t, j]) for t, j in layer.active[n].nonzero().tolist()} == oracle.active[l - 1]
        assert seen.potential[n].tolist() == oracle.potentials and seen.logit[n].tolist() == oracle.logits()
        oracle.backward(output_errors(config, seen.logit[n:n + 1], labels[n:n + 1])[0].tolist())
        for l, found in seen.jobs.items():
            assert {(m, j): int(found.error[n, m, j]) for m, j in found.present[n].nonzero().tolist()} == oracle.jobs[l]
            jobs += len(oracle.jobs[l]) if l <= len(seen.layers) else 0
    assert [g.tolist() for g in seen.gradients] == oracle.g
    counts = ("membrane_saturations", "error_saturations", "gradient_saturations")
    assert [getattr(seen, count) for count in counts] == [getattr(oracle, count) for count in counts]
    assert name != "saturating" or all(getattr(seen, count) for count in counts)
    assert (jobs > 0) == (name not in ("nothing active", "one step"))
    assert form is GradientForm.CHEAPER or set(seen.by_spikes) == {form is GradientForm.SPIKES}
    assert form is not GradientForm.CHEAPER or name != "usual" or set(seen.by_spikes) == {False, True}


@pytest.mark.parametrize("form", GradientForm)
@pytest.mark.parametrize("over_time", OverTime)
@pytest.mark.parametrize("window", [0.1, 0.5, 40])
def test_gradients_are_close_to_those_in_floating_point_on_the_same_spikes(window, over_time, form):
    """Rounding alone lies between them: a c has 14 + scale fractional bits, and E, r and delta some more."""
    config, weights, _, gradients, spikes, labels = case((30, 20, 15, 5), 40, 1.2, 0.1, 3)
    settings = LifSettings(steps=40, beta=math.exp(-0.1), window=int(window * config.weight.one), scales=(3, 2, 0),
                           over_time=over_time, gradients=form)
    seen = Pass(config, settings, weights, weights, [torch.zeros_like(g) for g in gradients], spikes, labels)
    assert seen.error_saturations == seen.gradient_saturations == 0
    reference = SparseBpttNetwork([w.double() / config.weight.one for w in weights], settings.decays[1] / 2**16, window)
    errors = -output_errors(config, seen.logit, labels).double() / config.error.one
    present = seen.jobs[3].present.double()
    reference._backward(errors[:, None] * present, [s.double() for s in seen.spikes],
                        [layer.potential.double() / config.weight.one for layer in seen.layers])
    for gradient, expected, scale in zip(seen.gradients, reference.gradients, settings.scales, strict=True):
        found = gradient.double() / 2.0 ** (config.gradient.fraction + scale)
        assert float((found - expected).norm() / expected.norm()) < 0.01


def test_surrogate_is_the_formula():
    config = CoreConfig.for_network((4, 3), lanes=2)
    potential = torch.arange(-(1 << 17), 1 << 17)
    exact = (1 + 100 * (potential.double() / 4096 - 1).abs()) ** -2
    assert float((lif.surrogate(config, potential).double() / 2**16 - exact).abs().max()) < 2**-14


@pytest.mark.parametrize("options, word", [
    ({"steps": 0}, "steps = 0"), ({"beta": 1.0}, "beta = 1.0"), ({"window": -1}, "window = -1"), ({"gain": -1}, "gain = -1"),
    ({"powers": (1, 2, 3)}, "powers = (1, 2, 3): 4 of them"),
])
def test_settings_out_of_range_are_refused_by_name(options, word):
    with pytest.raises(ValueError, match=word.replace("(", r"\(").replace(")", r"\)")):
        LifSettings(**{"steps": 3, "beta": 0.9, "window": 5, "scales": (0, 0), **options})


def test_scales_too_far_apart_are_refused():
    config = CoreConfig.for_network((4, 3, 2), lanes=2)
    assert LifSettings(steps=3, beta=0.9, window=5, scales=(17, 0)).error_shift(config, 2) == 1
    with pytest.raises(ValueError, match="scale 18 of layer 1 beside 0 of layer 2: at most 17"):
        LifSettings(steps=3, beta=0.9, window=5, scales=(18, 0)).error_shift(config, 2)


def test_nothing_to_add_leaves_gradients_at_the_limit():
    """-2^31, whose magnitude is beyond the largest gradient."""
    config, settings = CoreConfig.for_network((3, 2), lanes=2, rules="sparse-bptt"), LifSettings(steps=4, window=0, scales=(0,))
    none, gradient = torch.zeros(2, 4, 2, dtype=torch.int64), torch.full((2, 3), config.gradient.min)
    for chosen in (torch.zeros(2, dtype=torch.bool), torch.ones(2, dtype=torch.bool)):
        jobs, spikes = sparse_bptt.Jobs(none, none.bool(), 0), torch.zeros(2, 4, 3, dtype=torch.bool)
        assert sparse_bptt.accumulate(config, settings, gradient, jobs, spikes, chosen) == (0, 0)
    assert bool((gradient == config.gradient.min).all())
