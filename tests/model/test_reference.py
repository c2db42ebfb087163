"""The floating-point model against automatic differentiation, finite differences and the exact model."""

import math

import pytest
import torch

from coldspike.model import reference as floating
from coldspike.model.exact import TtfsNetwork
from coldspike.model.reference import SGD, SignMomentum, train_reference
from coldspike.model.reference.training import exponential_rate
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import Readout

LAYERS = (12, 9, 8, 4)
EXACT = dict(level_clip=math.inf, slope_clip=math.inf)


def batch(samples=7, inputs=LAYERS[0], outputs=LAYERS[-1], seed=0, ticks=None):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(samples, inputs, generator=generator, dtype=torch.float64)
    fired = torch.rand(samples, inputs, generator=generator) < 0.7
    a = x if ticks is None else (x * ticks).round() / ticks
    return a * fired, fired, torch.randint(0, outputs, (samples,), generator=generator)


def membrane_loss(weights, readout, a, fired, labels):
    """The network in spike times t, from the membrane V(t) = sum w (t - t_i), for automatic differentiation."""
    t, present = 1 - a, fired.double()
    for l, w in enumerate(weights):
        slope, current = present @ w.T, (present * t) @ w.T  # V(t) = slope t - current
        if l == len(weights) - 1 and readout is Readout.POTENTIAL:
            return torch.nn.functional.cross_entropy(2 * slope - current, labels, reduction="sum")
        early, late = slope - current >= 1, 2 * slope - current >= 0
        crossing = (2 + current) / torch.where(late & ~early, 1 + slope, 1) - 1
        t = torch.where(early, 0, torch.where(late, crossing, 1))
        present = (early | late).double()
    return torch.nn.functional.cross_entropy(-t, labels, reduction="sum")


@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
@pytest.mark.parametrize("layers", [LAYERS, (12, 4), (12, 20, 4)], ids=str)
def test_unclipped_gradients_equal_autograd(readout, layers):
    network = floating.TtfsNetwork.kaiming(layers, seed=1, readout=readout, **EXACT)
    data = batch()
    network.train(*data)
    weights = [w.clone().requires_grad_() for w in network.weights]
    loss = membrane_loss(weights, readout, *data)
    loss.backward()
    assert torch.allclose(loss, network.loss(*data), rtol=1e-12)
    for gradient, weight in zip(network.gradients, weights, strict=True):
        assert torch.allclose(gradient, weight.grad, rtol=1e-9, atol=1e-12)
        assert float(gradient.abs().max()) > 1e-3


@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
def test_unclipped_gradients_equal_finite_differences(readout):
    network = floating.TtfsNetwork.kaiming(LAYERS, seed=2, readout=readout, **EXACT)
    data, step = batch(), 1e-6
    network.train(*data)
    for weight, gradient in zip(network.weights, network.gradients, strict=True):
        for j, i in [(0, 0), (1, 3), (2, 5), (3, 7)]:
            value, losses = float(weight[j, i]), []
            for sign in (1, -1):
                weight[j, i] = value + sign * step
                losses.append(float(network.loss(*data)))
            weight[j, i] = value
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(float(gradient[j, i]), rel=1e-4, abs=1e-6)


def test_clips_bound_the_factors():
    network = floating.TtfsNetwork.kaiming(LAYERS, seed=1, level_clip=0.25, slope_clip=0.5)
    _, _, layers = network._forward(*batch()[:2])
    for layer in layers[:-1]:
        assert float(layer.level_factor.max()) == 0.25 and float(layer.slope_factor.max()) == 0.5
        assert not layer.level_factor[~layer.active].any()
    assert bool((layers[-1].slope_factor == 2).all())


def test_feedback_weights_carry_the_error_and_nothing_else():
    data = batch()
    straight, crossed = (floating.TtfsNetwork.kaiming(LAYERS, seed=1, interval=0) for _ in range(2))
    crossed.feedback[2][0] += 0.3
    for network in (straight, crossed):
        network.train(*data)
    assert torch.equal(straight.gradients[2], crossed.gradients[2])
    assert not torch.allclose(straight.gradients[1], crossed.gradients[1])
    assert torch.equal(straight.infer(*data[:2])[0], crossed.infer(*data[:2])[0])


def test_transport_interval():
    network = floating.TtfsNetwork.kaiming(LAYERS, seed=1, interval=3)
    due = []
    for _ in range(6):
        network.train(*batch())
        due.append(network.update([0.1] * 3))
        assert torch.equal(network.weights[1], network.feedback[1]) == due[-1]
    assert due == [False, False, True] * 2


def test_optimizers():
    weight = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    SGD().step(0, weight, torch.tensor([[2.0, 4.0]]), 0.5, 0.1)
    assert weight[0].tolist() == pytest.approx([1 - 1 - 0.1, -2 - 2 + 0.2])
    lion, weight = SignMomentum(), torch.zeros(1, 2)
    for gradient in ([[1.0, -1.0]], [[-0.5, 1.0]], [[-9.0, 0.0]]):
        lion.step(0, weight, torch.tensor(gradient), 1.0, 0.0)
    # momenta 0.1, 0.04, -0.864 and -0.1, 0.01, 0.009
    assert weight.tolist() == [[-1 - 1 + 1, 1 - 1 - 1]]


def test_gradient_of_the_mean():
    one, two = (floating.TtfsNetwork.kaiming(LAYERS, seed=1) for _ in range(2))
    a, fired, labels = batch()
    one.train(a, fired, labels)
    two.train(a[:3], fired[:3], labels[:3])
    two.train(torch.cat([a[3:], a]), torch.cat([fired[3:], fired]), torch.cat([labels[3:], labels]))
    for network in (one, two):
        network.update([0.1] * 3)
    for w, v in zip(one.weights, two.weights, strict=True):
        assert torch.allclose(w, v, rtol=1e-12)


def exact_twin(layers, reference, config, **options):
    network = TtfsNetwork(config, layers, **options)
    for mine, w in zip(network.weights, reference.weights, strict=True):
        mine[:] = (w * config.weight.one).round().long()
        w[:] = mine / config.weight.one
    for mine, w, back in zip(network.feedback[1:], network.weights[1:], reference.feedback[1:], strict=True):
        mine[:] = w
        back[:] = w / config.weight.one
    return network


@pytest.mark.parametrize("readout", list(Readout), ids=lambda r: r.name)
def test_exact_model_is_close(readout):
    """From the same weights and inputs, default formats, two hidden layers:

    layer 1 decides alike and its times differ by 1 tick; logits by 0.06 (0.01 typically); gradients by 4 % of their
    layer's norm.
    """
    layers = (60, 40, 30, 10)
    reference = floating.TtfsNetwork.kaiming(layers, seed=4, readout=readout)
    exact = exact_twin(layers, reference, CoreConfig.for_network(layers), readout=readout)
    a, fired, labels = batch(64, 60, 10, ticks=256)
    _, _, spikes = reference._forward(a, fired)
    logits, _, _ = exact.train((a * 256).round().long(), fired, labels)
    real, _ = reference.train(a, fired, labels)
    difference = (logits / 1024 - real).abs()
    assert float(difference.max()) < 0.06 and float(difference.mean()) < 0.01
    assert torch.equal(exact.spike_fired[1], spikes[0].fired[-1])
    assert float((exact.spike_a[1] - spikes[0].a[-1] * 256).abs().max()) <= 1
    scale = exact.config.gradient.one
    for mine, w in zip(exact.gradients, reference.gradients, strict=True):
        assert float((mine / scale - w).norm() / w.norm()) < 0.04


def test_training_learns_and_follows_its_schedule():
    a, fired, _ = batch(200, seed=1)
    labels = a[:, :4].argmax(1)
    network = floating.TtfsNetwork.kaiming((12, 30, 4), seed=0, dtype=torch.float32, optimizer=SignMomentum(), interval=5)
    epochs = [torch.arange(200).split(20)] * 30
    results = train_reference(network, (a, fired, labels), (a[:50], fired[:50], labels[:50]), epochs,
                              exponential_rate(0.01, 0.9), decay=0.01)
    assert len(results) == 30 and results[0].train < 0.7 < 0.85 < results[-1].train and results[-1].test > 0.85
    before = [w.clone() for w in network.weights]
    train_reference(network, (a, fired, labels), (a, fired, labels), epochs[:1], lambda epoch: 0.5 if epoch else 0.0)
    assert all(torch.equal(w, v) for w, v in zip(before, network.weights, strict=True))


def test_window_sets_the_unit_of_times():
    a, fired, _ = batch()
    one = floating.TtfsNetwork.kaiming(LAYERS, seed=1)
    ticks = floating.TtfsNetwork.kaiming(LAYERS, seed=1, window=256)
    assert torch.allclose(one.infer(a, fired)[0], ticks.infer(a * 256, fired)[0])
