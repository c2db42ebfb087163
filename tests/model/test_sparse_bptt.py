"""The floating-point model of sparse BPTT against automatic differentiation through the whole unrolled network."""

import math

import pytest
import torch

from coldspike.model.reference import sparse_bptt
from coldspike.model.reference.lif import SLOPE, active, filtered, fire, surrogate
from coldspike.model.reference.sparse_bptt import SparseBpttNetwork, by_active, by_spikes

LAYERS, STEPS, SAMPLES, BETA = (11, 9, 8, 4), 13, 6, 0.9


class Surrogate(torch.autograd.Function):
    """A step whose derivative is the surrogate, written from its definition."""

    @staticmethod
    def forward(ctx, potential, window):
        ctx.save_for_backward(potential)
        ctx.window = window
        return (potential > 1).to(potential.dtype)

    @staticmethod
    def backward(ctx, grad):
        distance = (ctx.saved_tensors[0] - 1).abs()
        return grad * (distance < ctx.window) / (1 + SLOPE * distance) ** 2, None


def unrolled_loss(weights, spikes, labels, window, over_time, gain, rates=None):
    """Step by step, all layers in each, nothing shared with the model but the equations."""
    n, steps = len(spikes), spikes.shape[1]
    potentials = [torch.zeros(n, len(w), dtype=torch.float64) for w in weights]
    seen, counts = [], [0] * (len(weights) - 1)
    for t in range(steps):
        fired = [spikes[:, t].double(), *(Surrogate.apply(v, window) for v in potentials[:-1])]
        for l, w in enumerate(weights):
            reset = fired[l + 1].detach() if l + 1 < len(fired) else 0  # no gradient through the reset
            potentials[l] = BETA * potentials[l] + fired[l] @ w.T - reset
        seen.append(potentials[-1])
        counts = [count + spike for count, spike in zip(counts, fired[1:], strict=True)]
    logits = torch.stack(seen)
    logits = gain * (logits.max(0).values if over_time == "max" else logits.sum(0))
    least, most, lower, upper = rates or (0, 0, 0, 0)
    cost = sum(upper * ((count - most).relu() ** 2).sum() + lower * ((least - count).relu() ** 2).sum() for count in counts)
    return torch.nn.functional.cross_entropy(logits, labels, reduction="sum") + cost / 2


def network(window=0.2, layers=LAYERS, scale=1.6, **options) -> SparseBpttNetwork:
    generator = torch.Generator().manual_seed(4)
    weights = [torch.randn(n_out, n_in, generator=generator, dtype=torch.float64) * scale / math.sqrt(n_in)
               for n_in, n_out in zip(layers, layers[1:], strict=False)]
    return SparseBpttNetwork(weights, BETA, window, **options)


def batch(layers=LAYERS, steps=STEPS):
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(SAMPLES, steps, layers[0], generator=generator) < 0.3,
            torch.randint(0, layers[-1], (SAMPLES,), generator=generator))


@pytest.mark.parametrize("over_time, gain", [("max", 1.0), ("max", 4.0), ("sum", 0.25)])
@pytest.mark.parametrize("window", [math.inf, 0.5, 0.2, 0.05])
@pytest.mark.parametrize("layers, steps", [(LAYERS, STEPS), ((11, 4), STEPS), ((11, 20, 4), 40), (LAYERS, 3)], ids=str)
def test_gradients_equal_those_of_the_unrolled_network(layers, steps, window, over_time, gain):
    net, (spikes, labels) = network(window, layers, over_time=over_time, gain=gain), batch(layers, steps)
    weights = [w.clone().requires_grad_() for w in net.weights]
    loss = unrolled_loss(weights, spikes, labels, window, over_time, gain)
    loss.backward()
    logits, predicted = net.train(spikes, labels)
    assert torch.allclose(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"), loss, rtol=1e-12)
    assert torch.equal(predicted, net.infer(spikes)[1])
    for gradient, weight in zip(net.gradients, weights, strict=True):
        assert torch.allclose(gradient, weight.grad, rtol=1e-9, atol=1e-13)
    assert float(net.gradients[-1].abs().max()) > 1e-3 or steps < len(layers), "a spike needs a step for each layer"
    assert window < math.inf or all(share == 1 for share in net.active)


@pytest.mark.parametrize("rates", [(0, 2, 0, 0.03), (3, 100, 0.05, 0), (2, 3, 0.04, 0.2)])
def test_losses_of_firing_rates(rates):
    """Their gradients add up with the others, through all layers."""
    net, (spikes, labels) = network(0.5, rates=rates), batch()
    weights = [w.clone().requires_grad_() for w in net.weights]
    unrolled_loss(weights, spikes, labels, 0.5, "max", 1.0, rates).backward()
    net.train(spikes, labels)
    plain = network(0.5)
    plain.train(spikes, labels)
    for gradient, weight, without in zip(net.gradients[:-1], weights, plain.gradients, strict=False):
        assert torch.allclose(gradient, weight.grad, rtol=1e-9, atol=1e-13)
        assert float((gradient - without).norm() / without.norm()) > 0.01


def test_a_narrow_window_makes_gradients_sparse():
    spikes, labels = batch()
    shares = []
    for window in (math.inf, 0.5, 0.1, 0.01):
        net = network(window)
        net.train(spikes, labels)
        shares.append(sum(net.active))
        assert (net.gradients[0] != 0).any() or window < 0.1
    assert shares == sorted(shares, reverse=True) and shares[0] == 2 and shares[-1] < 0.1


def test_traces_and_input_spikes_give_the_same_gradient(monkeypatch):
    """Each layer's error before its filter, caught where the model filters it."""
    errors = []

    def catching(values, beta):
        errors.append(values.flip(1))
        return filtered(values, beta)

    net, (spikes, labels) = network(0.5), batch()
    inputs = net._forward(spikes)[0]
    monkeypatch.setattr(sparse_bptt, "filtered", catching)
    net.train(spikes, labels)
    for error, gradient, before in zip(errors[-net.depth:], net.gradients[::-1], inputs[::-1], strict=True):
        assert torch.allclose(by_active(error, before, BETA), gradient, rtol=1e-10, atol=1e-14)
        assert gradient.any()


def test_errors_travel_through_the_feedback_weights():
    spikes, labels = batch()
    plain, other = network(math.inf), network(math.inf, feedback=[torch.zeros(n, m).double() for n, m in ((8, 9), (4, 8))])
    plain.train(spikes, labels)
    other.train(spikes, labels)
    assert torch.equal(plain.gradients[2], other.gradients[2]) and not other.gradients[0].any() and not other.gradients[1].any()


def test_a_neuron_by_hand():
    """Weight 0.6, spikes in steps 0, 1 and 4: V = 0, 0.6, 1.14, 0.026, ..."""
    spikes = torch.tensor([1, 1, 0, 0, 1], dtype=torch.float64).reshape(1, 5, 1)
    potential, fired = fire(torch.tensor([[0.6]], dtype=torch.float64), spikes, 0.9)
    assert potential[0, :, 0].tolist() == pytest.approx([0, 0.6, 1.14, 0.026, 0.0234])
    assert fired[0, :, 0].tolist() == [0, 0, 1, 0, 0]
    assert active(potential, 0.2)[0, :, 0].tolist() == [False, False, True, False, False]
    assert surrogate(potential, 0.2)[0, 2, 0] == pytest.approx(1 / 15**2) and surrogate(potential, 0.2).count_nonzero() == 1
    assert by_spikes(torch.ones(1, 5, 1, dtype=torch.float64), spikes) == 3
