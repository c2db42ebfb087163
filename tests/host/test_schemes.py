import math

import numpy as np
import pytest

from coldspike.host.devices import open_device
from coldspike.host.driver import Accelerator
from coldspike.host.initial import initial_memories, initial_weights
from coldspike.host.options import resolve
from coldspike.host.problems import OptionError
from coldspike.host.schemes import FEEDBACKS, Scheme, schemes
from coldspike.host.settings import NetworkSettings
from coldspike.spec.config import CoreConfig
from coldspike.spec.registers import register_map
from coldspike.spec.transport import Precision

LAYERS = (9, 7, 6, 5)
NAN, INF = float("nan"), float("inf")
TOP_K, RANDOM, CHANGE = ({"transport": "top-k", "fraction": 0.25}, {"transport": "random", "probability": 0.5},
                         {"transport": "change", "alpha": 1.0})
SIZED = ("bp", "fbp", "fbp-signs", "sfa")  # feedbacks that a build of signs only has not
FORMATS = {"full": (16, 0), "8-bit": (8, 6), "4-bit": (4, 8)}  # bits of a feedback weight, fractional bits that it lacks


def build(**given) -> CoreConfig:
    return CoreConfig.for_network(LAYERS, lanes=4, **given)


PARTIAL = build(partial_transport=True)


def refusal(make) -> str:
    """The one line of an OptionError."""
    with pytest.raises(OptionError) as problem:
        make()
    assert "\n" not in str(problem.value)
    return str(problem.value)


# -- refusals ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name, value, known", [
    ("feedback", "dfa", "bp, fbp, fbp-signs, sfa, ss, fss, fa"), ("feedback", "", "bp, fbp, fbp-signs, sfa, ss, fss, fa"),
    ("feedback", "FBP", "bp, fbp, fbp-signs, sfa, ss, fss, fa"), ("transport", "topk", "full, top-k, random, change"),
    ("transport", "all", "full, top-k, random, change")])
def test_unknown_names_are_refused(name, value, known):
    assert refusal(lambda: Scheme(**{name: value})) == f"--{name} {value!r} is unknown; choose one of: {known}"


@pytest.mark.parametrize("transport, number", [("top-k", "fraction"), ("random", "probability"), ("change", "alpha")])
@pytest.mark.parametrize("feedback", ["fbp", "fbp-signs"])
def test_a_choice_needs_its_number_and_no_other_does(feedback, transport, number):
    others = {"fraction": 0.5, "probability": 0.5, "alpha": 0.5}
    del others[number]
    for given in ({}, others):
        line = refusal(lambda given=given: Scheme(feedback=feedback, transport=transport, **given))
        assert line == f"--transport {transport} needs --{number}"
    assert getattr(Scheme(feedback=feedback, transport=transport, **{number: 0.5}), number) == 0.5


@pytest.mark.parametrize("transport, number, values, needed", [
    ("top-k", "fraction", (0.0, -0.1, 1.1, NAN, INF, -INF), "a share of the weights above 0 and up to 1 is needed"),
    ("random", "probability", (-0.1, 1.5, NAN, INF, -INF), "a number from 0 to 1 is needed"),
    ("change", "alpha", (0.0, -1.0, NAN, -INF), "a temperature above 0 is needed")])
def test_numbers_outside_their_range_are_refused(transport, number, values, needed):
    for value in values:
        line = refusal(lambda value=value: Scheme(feedback="fbp", transport=transport, **{number: value}))
        assert line == f"--{number} {value}: {needed}"


@pytest.mark.parametrize("given, line", [
    ({"transport": "top-k", "fraction": 0.011}, r"--fraction 0.011: no weight of the layer's 42; at least 0.024 is needed"),
    ({"transport": "change", "alpha": 4e-5}, r"--alpha 4e-05: the registers hold 8.8e-05 to 23.0"),
    ({"transport": "change", "alpha": 23.2}, r"--alpha 23.2: the registers hold 8.8e-05 to 23.0"),
    ({"transport": "change", "alpha": 1e9}, r"--alpha 1000000000.0: the registers hold 8.8e-05 to 23.0")])
def test_numbers_that_no_register_expresses_are_refused(given, line):
    assert refusal(lambda: Scheme(feedback="fbp", **given).registers(PARTIAL, 7, 6)) == line


@pytest.mark.parametrize("alpha", [INF, 1e308])
def test_an_endless_temperature_is_refused(alpha):
    line = refusal(lambda: Scheme(feedback="fbp", transport="change", alpha=alpha).registers(PARTIAL, 7, 6))
    assert line.startswith(f"--alpha {alpha}: ")


@pytest.mark.parametrize("name", ["fraction", "probability", "alpha"])
def test_nan_is_refused_where_nothing_uses_the_number_either(name):
    assert refusal(lambda: Scheme(feedback="fbp", **{name: NAN})).startswith(f"--{name} nan")


@pytest.mark.parametrize("feedback", sorted(FEEDBACKS.keys() - {"fbp", "fbp-signs"}))
@pytest.mark.parametrize("choice", [TOP_K, RANDOM, CHANGE])
def test_choice_needs_a_feedback_that_copies_values_at_the_interval(feedback, choice):
    assert refusal(lambda: Scheme(feedback=feedback, **choice)) == (
        f"--transport {choice['transport']} chooses weights that --feedback {feedback} does not copy; "
        "use --feedback fbp or fbp-signs")


@pytest.mark.parametrize("feedback", ["fbp", "fbp-signs"])
@pytest.mark.parametrize("choice", [TOP_K, RANDOM, CHANGE])
def test_choice_needs_a_build_with_it(feedback, choice):
    assert refusal(lambda: Scheme(feedback=feedback, **choice).registers(build(), 7, 6)) == (
        f"--transport {choice['transport']}: this build cannot choose single weights; generate it with --partial-transport")


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_a_build_of_signs_only_refuses_values_and_sizes(feedback):
    config = build(feedback_precision="sign")
    if feedback not in SIZED:
        assert Scheme(feedback=feedback).registers(config, 7, 6).scale > 0
    else:
        assert refusal(lambda: Scheme(feedback=feedback).registers(config, 7, 6)) == (
            f"--feedback {feedback}: this build keeps signs only (--feedback-precision sign); use ss, fss, fa, "
            "or a build with wider feedback weights")


@pytest.mark.parametrize("given, line", [
    ({"feedback": "bp,fa,ss"}, "--feedback: 3 values for 2 layers"),
    ({"transport": "full,full,full"}, "--transport: 3 values for 2 layers"),
    ({**TOP_K, "fraction": (0.1, 0.2, 0.3)}, "--fraction: 3 values for 2 layers"),
    ({**RANDOM, "probability": (0.1, 0.2, 0.3)}, "--probability: 3 values for 2 layers"),
    ({**CHANGE, "alpha": (1.0,) * 4}, "--alpha: 4 values for 2 layers")])
def test_lists_of_another_length_are_refused(given, line):
    line += " with feedback weights: give one, or one for each"
    assert refusal(lambda: schemes(3, **{"feedback": "fbp", **given})) == line


@pytest.mark.parametrize("given, line", [
    ({"feedback": "fbp,dfa"}, "--feedback 'dfa' is unknown"), ({"feedback": "fbp, fa"}, "--feedback ' fa' is unknown"),
    ({"feedback": "fbp,"}, "--feedback '' is unknown"), ({"transport": "full,top-k"}, "--transport top-k needs --fraction"),
    ({"transport": "top-k", "fraction": (0.5, 0.0)}, "--fraction 0.0: "),
    ({"transport": "top-k", "fraction": (0.5, NAN)}, "--fraction nan: "),
    ({"feedback": "fbp,bp", **RANDOM, "probability": (0.5,)}, "--transport random chooses weights that --feedback bp does not ")])
def test_every_element_of_a_list_is_checked(given, line):
    assert refusal(lambda: schemes(3, **{"feedback": "fbp", **given})).startswith(line)


@pytest.mark.parametrize("given, line", [
    ({"feedback": "dfa"}, "--feedback 'dfa' is unknown"), ({"transport": "top-k"}, "--transport top-k needs --fraction"),
    ({"transport": "random", "probability": "nan"}, "--probability nan: "),
    ({"feedback": "bp,fa", "interval": None}, "--feedback: 2 values for 1 layer"),
    ({"transport": "change", "alpha": "1e6", "interval": None}, "--alpha 1000000.0: "),
    ({"feedback": "sfa", "feedback_precision": "sign", "interval": None}, "--feedback sfa: this build keeps signs only"),
    ({"transport": "top-k", "fraction": "1e-9"}, "--fraction 1e-09: no weight of the layer's 120")])
def test_options_of_a_run_refuse_the_same(small_options, given, line):
    assert refusal(lambda: small_options(**given).core_config()).startswith(line)


# -- registers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("feedback, choice, transport, select", [
    ("bp", {}, 0b001_1_00, 0), ("fbp", {}, 0b001_0_00, 0), ("fbp-signs", {}, 0b001_0_01, 0), ("sfa", {}, 0b000_0_01, 0),
    ("ss", {}, 0b000_0_01, 0), ("fss", {}, 0b000_0_10, 0), ("fa", {}, 0, 0),
    ("fbp", TOP_K, 0b010_0_00, 10), ("fbp-signs", TOP_K, 0b010_0_01, 10), ("fbp", TOP_K | {"fraction": 1.0}, 0b010_0_00, 42),
    ("fbp", TOP_K | {"fraction": 0.0125}, 0b010_0_00, 1),
    ("fbp", RANDOM, 0b011_0_00, 1 << 23), ("fbp-signs", RANDOM, 0b011_0_01, 1 << 23),
    ("fbp", RANDOM | {"probability": 1.0}, 0b011_0_00, 1 << 24), ("fbp", RANDOM | {"probability": 0.0}, 0b011_0_00, 0),
    ("fbp", CHANGE, 0b100_1_00, 11357), ("fbp-signs", CHANGE, 0b100_1_01, 11357),
    ("fbp", CHANGE | {"alpha": 5e-5}, 0b100_1_00, 1), ("fbp", CHANGE | {"alpha": 23.083}, 0b100_1_00, (1 << 18) - 1)])
def test_registers_of_every_scheme(feedback, choice, transport, select):
    held = Scheme(feedback=feedback, **choice).registers(PARTIAL, 7, 6)
    assert (held.register, held.select) == (transport, select)


def settings(*given: Scheme, layers=LAYERS) -> NetworkSettings:
    return NetworkSettings(layers=layers, learning_rates=(0.1,), schemes=given)


def transport_registers(config: CoreConfig, *given: Scheme) -> dict[str, int]:
    values = settings(*given).registers(config)
    return {name: value for name, value in values.items() if name.startswith(("TRANSPORT", "SELECT", "SCALE"))}


@pytest.mark.parametrize("options, given, expected", [
    ({}, ("bp", "fss"), {"TRANSPORT_2": 12, "TRANSPORT_3": 2}), ({}, ("fa", "fbp"), {"TRANSPORT_2": 0, "TRANSPORT_3": 8}),
    ({}, (), {"TRANSPORT_2": 8, "TRANSPORT_3": 8}),
    ({"partial_transport": True}, ("fbp", "sfa"), {"TRANSPORT_2": 8, "TRANSPORT_3": 1, "SELECT_2": 0, "SELECT_3": 0}),
    ({"feedback_precision": "sign"}, ("ss", "fss"), {"TRANSPORT_2": 1, "TRANSPORT_3": 2, "SCALE_2": 2189, "SCALE_3": 2365})])
def test_each_build_has_the_registers_that_it_needs(options, given, expected):
    config = build(**options)
    assert transport_registers(config, *(Scheme(feedback=name) for name in given)) == expected
    limits = {r.name: 1 << r.bits for r in register_map(config)}
    assert all(value < limits[name] for name, value in expected.items())


@pytest.mark.parametrize("given, expected", [
    ({"feedback": "fa,bp"}, ({"feedback": "fa"}, {"feedback": "bp"})), ({"feedback": "ss"}, ({"feedback": "ss"},) * 2),
    ({"feedback": "fbp", "transport": "top-k,full", "fraction": (0.5,)}, ({**TOP_K, "fraction": 0.5}, {"fraction": 0.5})),
    ({"feedback": "fbp", "transport": "top-k", "fraction": (0.5, 0.1)}, ({**TOP_K, "fraction": 0.5}, {**TOP_K, "fraction": 0.1})),
    ({"feedback": "fbp-signs,fbp", "transport": "random,change", "probability": (0.2, 0.3), "alpha": (4.0, 5.0)},
     ({"feedback": "fbp-signs", "transport": "random", "probability": 0.2, "alpha": 4.0},
      {"transport": "change", "probability": 0.3, "alpha": 5.0}))])
def test_lists_give_each_layer_its_own(given, expected):
    assert schemes(3, **given) == tuple(Scheme(**{"feedback": "fbp", **each}) for each in expected)


def test_a_list_reaches_the_registers_of_its_layers():
    options = resolve({"layers": "9-7-6-5", "feedback": "fbp,fbp-signs", "transport": "top-k,random", "fraction": "0.25",
                       "probability": "1,0.25", "lanes": 4, "lr": "0.001"})
    config = options.core_config()
    assert config.partial_transport
    values = options.settings(0).registers(config)
    assert {name: values[name] for name in ("TRANSPORT_2", "TRANSPORT_3", "SELECT_2", "SELECT_3")} == {
        "TRANSPORT_2": 16, "TRANSPORT_3": 25, "SELECT_2": 10, "SELECT_3": 1 << 22}
    accelerator = Accelerator(open_device("golden", config))
    accelerator.configure(options.settings(0))
    assert all(accelerator.read(name) == value for name, value in values.items())


@pytest.mark.parametrize("feedback", ["fa", "bp"])
def test_one_weight_layer_has_no_feedback_and_takes_one_value(feedback):
    assert schemes(1, feedback) == ()
    assert refusal(lambda: schemes(1, f"{feedback},fbp")).startswith("--feedback: 2 values for 1 layer")


# -- initial feedback weights ------------------------------------------------------------------------
WIDE = (9, 40, 30, 5)


def initial(feedback: str, seed: int = 1, **options) -> dict[str, np.ndarray]:
    """Memories before training."""
    accelerator = Accelerator(open_device("golden", CoreConfig.for_network(WIDE, lanes=4, **options)))
    accelerator.configure(settings(*schemes(3, feedback), layers=WIDE))
    return initial_memories(accelerator, seed)


def code(weight: np.ndarray, precision: str) -> np.ndarray:
    """code(w) of docs/numerics.md."""
    if precision == "sign":
        return (weight < 0).astype(int)
    bits, lacks = FORMATS[precision]
    return np.clip(np.floor(weight / 2**lacks + 0.5), -1 << bits - 1, (1 << bits - 1) - 1).astype(int)


def negative(stored: np.ndarray, precision: str) -> np.ndarray:
    return stored == 1 if precision == "sign" else stored < 0


def pairs(memories: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and feedback weights of layers 2 and 3."""
    return [(memories[f"weight_{l}"], memories[f"feedback_{l}"]) for l in (2, 3)]


@pytest.mark.parametrize("feedback, precision", [(name, str(precision)) for name in FEEDBACKS for precision in Precision
                                                 if name not in SIZED or precision is not Precision.SIGN])
def test_initial_feedback_weights_of_every_scheme(feedback, precision):
    memories, again = (initial(feedback, feedback_precision=precision) for _ in range(2))
    assert all(np.array_equal(memories[name], again[name]) for name in memories), "the same for the same seed"
    for l, weight in enumerate(initial_weights(CoreConfig.for_network(WIDE), WIDE, 1), start=1):
        assert np.array_equal(memories[f"weight_{l}"], weight)
    for weight, stored in pairs(memories):
        sign, size = negative(stored, precision), np.abs(stored)
        if feedback in ("bp", "fbp", "fbp-signs"):
            assert np.array_equal(stored, code(weight, precision))
        elif feedback == "fa":
            assert 0.3 < np.mean(sign == (weight < 0)) < 0.7 and not np.array_equal(stored, code(weight, precision))
        else:
            held = (size > 0) | (precision == "sign")  # 0 has no sign
            assert np.array_equal(sign[held], (weight < 0)[held]) and held.mean() > 0.85
        if feedback in ("sfa", "fa") and precision != "sign":  # as large as weights are, and not they
            lacks = FORMATS[precision][1]
            assert 0.8 < np.sqrt(np.mean((stored * 2.0**lacks) ** 2) / (2 / len(weight))) / 4096 < 1.2
            assert np.mean(size == np.abs(code(weight, precision))) < 0.3 and len(np.unique(size)) > 6
        if feedback in ("ss", "fss") and precision != "sign":
            assert np.array_equal(np.unique(size), code(np.array([np.rint(np.sqrt(2 / len(weight)) * 4096)]), precision))


@pytest.mark.parametrize("feedback", ["fa", "sfa"])
def test_random_feedback_weights_differ_by_seed_and_layer_and_from_each_others_scheme(feedback):
    one, other = pairs(initial(feedback)), pairs(initial(feedback, seed=2))
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert np.mean(np.abs(a) == np.abs(b)) < 0.1
    assert np.mean(np.abs(one[0][1])[:30, :5] == np.abs(one[1][1])) < 0.1


def test_a_layers_initial_feedback_weights_do_not_depend_on_other_layers_schemes():
    alone, mixed = initial("fa"), initial("bp,fa")
    assert np.array_equal(mixed["feedback_3"], alone["feedback_3"]) and np.array_equal(mixed["feedback_2"], mixed["weight_2"])


@pytest.mark.parametrize("precision, n_in", [("8-bit", 39), ("8-bit", 666), ("4-bit", 8), ("4-bit", 82), ("4-bit", 4000)])
@pytest.mark.parametrize("feedback", ["ss", "fss"])
def test_one_size_is_the_same_for_both_signs_and_not_nothing(feedback, precision, n_in):
    config = CoreConfig.for_network((5, n_in, 2), lanes=2, feedback_precision=precision)
    weight = np.tile([1, -1], (n_in, 1))
    stored = Scheme(feedback=feedback).initial(config, weight, np.random.RandomState(1))
    assert np.array_equal(stored, weight * stored[0, 0]) and stored[0, 0] > 0


def test_generators_of_transport_are_there_where_the_build_chooses_and_all_differ():
    plain, partial = initial("fbp"), initial("fbp", partial_transport=True)
    assert partial.keys() - plain.keys() == {"transport_random"} and np.array_equal(partial["random"], plain["random"])
    states = np.concatenate([partial["random"], partial["transport_random"]])
    assert len(np.unique(states)) == 8 and states.min() > 0


def test_initial_weights_have_the_deviation_that_was_asked_for(accelerator):
    options = resolve({"rule": "sparse-bptt", "layers": "64-90-10", "lanes": 4, "device": "golden", "weight_fraction": 14})
    unit = accelerator(options)
    unit.configure(options.settings(0))
    usual, given = (initial_memories(unit, 3, deviations) for deviations in ((), (0.5, 2.0)))
    for l, (size, deviation) in enumerate(((64, 0.5), (90, 2.0)), start=1):
        assert given[f"weight_{l}"].std() / 2**14 * size**0.5 == pytest.approx(deviation, rel=0.1)
        assert usual[f"weight_{l}"].std() / 2**14 * size**0.5 == pytest.approx(20 * (1 - math.exp(-1 / 10)), rel=0.1)
    one, shifted = initial_memories(unit, 3, (0.5,)), initial_memories(unit, 3, (0.5,), 0.25)
    assert np.array_equal(shifted["weight_1"], one["weight_1"])
    assert np.array_equal(shifted["weight_2"], one["weight_2"] + unit.config.weight.one // 4)
    assert np.array_equal(one["weight_1"], given["weight_1"]) and not np.array_equal(one["weight_2"], given["weight_2"])
    assert np.array_equal(given["feedback_2"], given["weight_2"])
