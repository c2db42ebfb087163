"""The floating-point model of rate-based backpropagation against automatic differentiation through the unrolled network: equal
where the paper's theorem says so, near it elsewhere."""

import math

import pytest
import torch

from coldspike.model.reference.bptt import BpttNetwork
from coldspike.model.reference.rate import RateNetwork, surrogate, traces

LEAK, SAMPLES = 0.2, 7


class Surrogate(torch.autograd.Function):
    """A spike whose derivative is 4 sigma (1 - sigma), sigma the sigmoid of 4 (u - 1)."""

    @staticmethod
    def forward(ctx, potential):
        ctx.save_for_backward(potential)
        return (potential > 1).to(potential.dtype)

    @staticmethod
    def backward(ctx, grad):
        e = torch.exp(-4 * (ctx.saved_tensors[0] - 1))
        return grad * 4 * e / (1 + e) ** 2


def unrolled_loss(weights, inputs, labels):
    """Step by step, all layers in each; the reset is detached."""
    potentials = [torch.zeros(len(inputs), len(w), dtype=torch.float64) for w in weights[:-1]]
    fired, outputs = [torch.zeros_like(u) for u in potentials], []
    for now in inputs.unbind(1):
        for l, w in enumerate(weights[:-1]):
            potentials[l] = LEAK * (potentials[l] - fired[l].detach()) + now @ w.T
            now = fired[l] = Surrogate.apply(potentials[l])
        outputs.append(now @ weights[-1].T)
    return torch.nn.functional.cross_entropy(torch.stack(outputs).mean(0), labels, reduction="sum")


def network(layers, scale=2.5, kind=RateNetwork, **options):
    generator = torch.Generator().manual_seed(2)
    return kind([torch.randn(n_out, n_in, generator=generator, dtype=torch.float64) * scale / math.sqrt(n_in)
                        for n_in, n_out in zip(layers, layers[1:], strict=False)], LEAK, **options)


def images(steps, inputs, constant=True):
    generator = torch.Generator().manual_seed(3)
    pixels = torch.rand(SAMPLES, inputs, generator=generator, dtype=torch.float64)
    if constant:
        return pixels[:, None].expand(-1, steps, -1)
    return (torch.rand(SAMPLES, steps, inputs, generator=generator, dtype=torch.float64) < pixels[:, None]).double()


def labels(outputs):
    return torch.arange(SAMPLES) % outputs


def both(layers, inputs, kind=RateNetwork, first=None, **options):
    """Gradients of the network and of the unrolled loss; ``first`` : weights of layer 1."""
    unit = network(layers, kind=kind, **options)
    if first is not None:
        unit.weights[0][:] = first
    weights = [w.clone().requires_grad_() for w in unit.weights]
    unrolled_loss(weights, inputs, labels(layers[-1])).backward()
    unit.train(inputs, labels(layers[-1]))
    return unit.gradients, [w.grad for w in weights]


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("layers", [(9, 4), (9, 8, 4), (9, 8, 7, 6, 4)])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_backpropagation_through_time_is_the_gradient(steps, layers, constant):
    inputs = images(steps, 9, constant)
    found, exact = both(layers, inputs, kind=BpttNetwork)
    assert all(torch.allclose(*pair, rtol=1e-12, atol=1e-13) for pair in zip(found, exact, strict=True))
    unit = network(layers, kind=BpttNetwork)
    assert torch.allclose(unit.train(inputs, labels(4))[0], network(layers).infer(inputs)[0], rtol=1e-12)


def test_the_surrogate_is_the_derivative_of_a_sigmoid():
    u = torch.linspace(-2, 4, 50, dtype=torch.float64, requires_grad=True)
    torch.sigmoid(4 * (u - 1)).sum().backward()
    assert torch.allclose(surrogate(u.detach()), u.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize("layers", [(9, 8, 4), (9, 20, 20, 20, 4)])
@pytest.mark.parametrize("constant", [True, False])
def test_one_step_is_plain_backpropagation(layers, constant):
    found, exact = both(layers, images(1, 9, constant))
    assert all(torch.allclose(*pair, rtol=1e-12, atol=1e-13) for pair in zip(found, exact, strict=True))
    assert all(gradient.abs().max() > 1e-3 for gradient in exact)


@pytest.mark.parametrize("steps", [2, 5, 16])
def test_constant_inputs_and_errors_give_the_exact_gradient(steps):
    """Of one hidden layer driven by currents: its input is the same in each step, and so is the error, of a loss of the mean."""
    found, exact = both((9, 8, 4), images(steps, 9))
    assert all(torch.allclose(*pair, rtol=1e-12, atol=1e-13) for pair in zip(found, exact, strict=True))
    with pytest.raises(AssertionError):  # spikes are not the same in each step
        found, exact = both((9, 8, 4), images(steps, 9, constant=False))
        assert torch.allclose(found[0], exact[0], rtol=1e-3)


@pytest.mark.parametrize("steps", [2, 6])
def test_constant_activity_gives_the_exact_gradient_of_a_deeper_network(steps):
    """Neurons of layer 1, each driven by a pixel, fire in every step or in none: layer 2 hears the same in each step and has the
    same error, of a loss of the mean, whenever it fires itself."""
    layers, first, scale = (9, 8, 7, 4), 3 * torch.eye(8, 9, dtype=torch.float64), 4
    inputs = (images(steps, 9) > 0.5).double()
    found, exact = both(layers, inputs, first=first, scale=scale)
    for l in (2, 3):
        assert torch.allclose(found[l - 1], exact[l - 1], rtol=1e-12, atol=1e-13)
        assert (found[l - 1].abs() > 1e-2).double().mean() > 0.5 and found[l - 1].abs().max() > 1
    heard = traces(inputs @ first.T, LEAK)[0]
    told = traces(heard @ network(layers, scale).weights[1].T, LEAK)[0]
    assert [bool((each == each[:, :1]).all()) for each in (heard, told)] == [True, False]
    assert 0.2 < heard.mean() < 0.8
    found, exact = both(layers, images(steps, 9), scale=scale)  # neurons of layer 1 that fire now and then
    assert not torch.allclose(found[1], exact[1], rtol=1e-3)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("steps", [2, 4, 8, 16])
def test_gradients_point_the_same_way_in_every_layer(steps, constant):
    """Where the theorem asks for more than there is, the approximation is good: unrelated gradients of this size have |cos| of
    about 0.03."""
    for found, exact in zip(*both((40, 30, 30, 10), images(steps, 40, constant)), strict=True):
        assert torch.nn.functional.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.85


def test_the_output_layer_sees_the_mean_of_its_inputs():
    unit, inputs = network((9, 8, 4)), images(6, 9, constant=False)
    weights = [w.clone() for w in unit.weights]
    logits, predicted = unit.infer(inputs)
    expected = unrolled_loss(weights, inputs, labels(4))
    assert torch.allclose(torch.nn.functional.cross_entropy(logits, labels(4), reduction="sum"), expected, rtol=1e-12)
    assert torch.equal(predicted, logits.argmax(1)) and all(gradient.abs().max() == 0 for gradient in unit.gradients)


def test_errors_go_back_through_the_feedback_weights():
    layers, inputs = (9, 8, 7, 4), images(5, 9)
    plain = both(layers, inputs)[0]
    for l in (1, 2):  # B of layer l + 1 decides the gradients of layers 1 to l
        unit = network(layers)
        unit.feedback[l] *= 2
        unit.train(inputs, labels(4))
        for n, (gradient, other) in enumerate(zip(unit.gradients, plain, strict=True)):
            assert torch.allclose(gradient, other * (2 if n < l else 1), rtol=1e-12)
