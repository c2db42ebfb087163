"""CoreConfig: what it refuses and says, derived formats, builds for networks, misfits, digest."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.spec.config import CoreConfig, Optimizer, Rule, bits_for
from coldspike.spec.transport import Precision

LANES = st.sampled_from([2, 4, 8, 16, 32, 64, 128])
LAYERS = st.lists(st.integers(1, 300), min_size=2, max_size=6).map(tuple)


@pytest.mark.parametrize("options, text", [
    ({"lanes": 1}, "lanes = 1: an integer from 2 to 128 is needed"),
    ({"lanes": 256}, "lanes = 256: an integer from 2 to 128 is needed"),
    ({"lanes": 12}, "lanes = 12: the lane count must be a power of two (2, 4, 8, ... 128)"),
    ({"max_layers": 16}, "max_layers = 16: an integer from 1 to 15 is needed"),
    ({"max_neurons": 0}, "max_neurons = 0: an integer from 1 to 65535 is needed"),
    ({"max_outputs": 4097}, "max_outputs = 4097: an integer from 1 to 4096 is needed"),
    ({"weight_tiles": 0}, "weight_tiles = 0: an integer from 1 to 1048576 is needed"),
    ({"time_bits": 3}, "time_bits = 3: an integer from 4 to 10 is needed"),
    ({"time_bits": 11}, "time_bits = 11: an integer from 4 to 10 is needed"),
    ({"weight_bits": 19}, "weight_bits = 19: an integer from 4 to 18 is needed"),
    ({"gradient_bits": 33}, "gradient_bits = 33: an integer from 8 to 32 is needed"),
    ({"error_bits": 7}, "error_bits = 7: an integer from 8 to 18 is needed"),
    ({"result_words": 3}, "result_words = 3: an integer from 4 to 65536 is needed"),
    ({"lanes": 4.0}, "lanes = 4.0: an integer from 2 to 128 is needed"),
    ({"lanes": "4"}, "lanes = '4': an integer from 2 to 128 is needed"),
    ({"max_layers": True}, "max_layers = True: an integer from 1 to 15 is needed"),
    ({"weight_bits": 8, "weight_fraction": 8}, "weight_fraction = 8 needs more than 8 weight bits"),
    ({"error_bits": 10, "error_fraction": 9}, "error_fraction = 9: at most error_bits - 2 = 8"),
    ({"optimizer": "adam"}, "'adam' is not a valid Optimizer"),
    ({"optimizer": "sign-momentum", "gradient_memory": False},
     "optimizer = 'sign-momentum' keeps its momentum in the gradient memory: gradient_memory = False allows 'sgd' only"),
    ({"rules": "bptt"}, "'bptt' is not a valid Rule"), ({"rules": ["ttfs", "bptt"]}, "'bptt' is not a valid Rule"),
    ({"rules": ()}, "rules = (): a build has one at least, of ttfs, sparse-bptt, rate"),
    ({"rate_loss": True}, "rate_loss = True counts the spikes of neurons over time: rule 'sparse-bptt' alone has it"),
    ({"rules": list(Rule), "gradient_memory": False},
     "rule 'sparse-bptt' adds up gradients over time steps: gradient_memory = False allows the others only"),
    ({"schedule": "layerwise"}, "'layerwise' is not a valid Schedule"),
    ({"max_steps": 0}, "max_steps = 0: an integer from 1 to 4096 is needed"),
    ({"rules": "sparse-bptt", "gradient_memory": False},
     "rule 'sparse-bptt' adds up gradients over time steps: gradient_memory = False allows the others only"),
])
def test_refusals(options, text):
    with pytest.raises(ValueError, match=rf"^{re.escape(text)}$"):
        CoreConfig(**options)


@pytest.mark.parametrize("options", [
    {"lanes": 2}, {"lanes": 128}, {"max_layers": 1}, {"max_layers": 15}, {"time_bits": 4}, {"time_bits": 10},
    {"weight_bits": 4, "weight_fraction": 3}, {"error_bits": 18, "error_fraction": 16}, {"optimizer": "sign-momentum"},
    {"rules": (Rule.RATE,), "gradient_memory": False, "schedule": "multi-step"},
])
def test_limits_are_allowed(options):
    config = CoreConfig(**options)
    assert all(getattr(config, name) == value for name, value in options.items())
    assert isinstance(config.optimizer, Optimizer)


def test_options_have_names():
    with pytest.raises(TypeError):
        CoreConfig(8)


@given(st.integers(1, 1 << 20))
def test_bits_for(count):
    bits = bits_for(count)
    assert count <= 1 << bits and (bits == 1 or count > 1 << (bits - 1))


@given(st.integers(1, 65535), st.integers(4, 10), st.integers(4, 18), st.integers(8, 18))
def test_sums_cannot_overflow(neurons, time_bits, weight_bits, error_bits):
    c = CoreConfig(max_neurons=neurons, time_bits=time_bits, weight_bits=weight_bits, weight_fraction=2,
                   error_bits=error_bits, error_fraction=4)
    for edge in (c.weight.min, c.weight.max):
        slope, level = edge * neurons, edge * neurons * c.window
        assert c.slope.clamp(slope) == slope and c.level.clamp(level) == level
        assert c.potential.clamp((slope << time_bits) + level) == (slope << time_bits) + level
    total = c.weight.min * c.error.min * neurons
    assert c.error_sum.clamp(total) == total
    assert c.time.max >= c.window
    assert c.slope.fraction == c.weight.fraction and c.level.fraction == c.potential.fraction == c.weight.fraction + time_bits
    assert c.gradient.fraction == c.error.fraction + time_bits


@pytest.mark.parametrize("time_bits, error_bits", [(4, 8), (10, 18), (8, 18)])
def test_without_a_gradient_memory_one_contribution_fits(time_bits, error_bits):
    c = CoreConfig(gradient_memory=False, time_bits=time_bits, error_bits=error_bits, error_fraction=4, gradient_bits=8)
    for g in (c.error.min, c.error.max):
        for h in (c.error.min, c.error.max):
            for t in (0, c.window):
                change = g * t - (h << time_bits)
                assert c.gradient.clamp(change) == change


@given(LAYERS, LANES)
def test_a_build_for_a_network_fits_it_exactly(layers, lanes):
    config = CoreConfig.for_network(layers, lanes=lanes)
    assert config.misfit(layers) is None
    for name in ("max_layers", "max_neurons", "max_outputs", "weight_tiles", "gradient_words", "feedback_words", "neuron_blocks"):
        value = getattr(config, name)
        if value > 1 and not (name == "feedback_words" and len(layers) == 2):
            assert dataclasses.replace(config, **{name: value - 1}).misfit(layers) is not None, name


@pytest.mark.parametrize("layers, text", [
    ((5, 3, 3, 2), "network 5-3-3-2 needs 3 weight layers, this build has 2"),
    ((6, 3, 2), "network 6-3-2 needs 6 neurons in the largest layer, this build has 5"),
    ((5, 3, 3), "network 5-3-3 needs 3 output neurons, this build has 2"),
    ((5, 5, 2), "network 5-5-2 needs 12 weight tiles, this build has 8"),
    ((1, 4, 1), None),
])
def test_misfits(layers, text):
    assert CoreConfig.for_network((5, 3, 2), lanes=2).misfit(layers) == text


@pytest.mark.parametrize("options, text", [
    ({"feedback_precision": "8-bit", "weight_fraction": 5}, r"feedback_precision = '8-bit' \(Q1.6\) is finer or wider than"),
    ({"feedback_precision": "8-bit", "weight_bits": 8, "weight_fraction": 7}, r"'8-bit' .* \(Q0.7\): use 'full'"),
    ({"feedback_precision": "4-bit", "weight_fraction": 3}, r"feedback_precision = '4-bit'"),
    ({"feedback_precision": "sign", "partial_transport": True}, r"partial_transport = True chooses among values, .* keeps none"),
])
def test_a_feedback_format_that_the_weights_do_not_have(options, text):
    with pytest.raises(ValueError, match=text):
        CoreConfig(**options)


@pytest.mark.parametrize("precision, w, stored", [
    ("full", -300, -300), ("8-bit", 8191, 127), ("8-bit", 32, 1), ("4-bit", -129, -1)])
def test_feedback_formats(precision, w, stored):
    config = CoreConfig(feedback_precision=precision)
    assert config.feedback.clamp((w + (1 << config.feedback_shift >> 1)) >> config.feedback_shift) == stored


def test_digest_depends_on_everything():
    base = CoreConfig()
    other = {"lanes": 8, "optimizer": Optimizer.SIGN_MOMENTUM, "gradient_memory": False, "feedback_precision": Precision.FOUR,
             "partial_transport": True, "rules": Rule.SPARSE_BPTT, "schedule": "multi-step"}
    others = [CoreConfig(**{f.name: other[f.name] if f.name in other else getattr(base, f.name) - 1})
              for f in dataclasses.fields(base) if f.name != "rate_loss"]
    others += [CoreConfig(rules=Rule.SPARSE_BPTT, rate_loss=True), CoreConfig(rules=list(Rule))]
    digests = {config.digest("facts") for config in [base, *others]} | {base.digest(), base.digest("other")}
    assert len(digests) == len(others) + 3 and all(0 <= digest < 1 << 32 for digest in digests)
    assert base.digest("facts") == CoreConfig(**base.as_dict()).digest("facts")
