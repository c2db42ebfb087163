import copy

import numpy as np
import pytest
import torch

from coldspike.host.devices import open_device
from coldspike.host.driver import Accelerator
from coldspike.host.events import with_levels
from coldspike.host.initial import initial_memories
from coldspike.host.memories import read_memories, write_memories
from coldspike.host.problems import DriverError, OptionError
from coldspike.host.schemes import Scheme
from coldspike.host.settings import NetworkSettings
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Space
from coldspike.spec.rate import RateSettings
from coldspike.spec.registers import core_digest

SETTINGS = NetworkSettings(layers=(5, 4, 3), learning_rates=(0.25,))
OVERLAP = ("TOTAL_CYCLES", "EXPOSED_CYCLES")
RANDOM = Scheme(feedback="fbp", transport="random", probability=0.5)


@pytest.fixture
def golden(config):
    accelerator = Accelerator(open_device("golden", config))
    accelerator.configure(SETTINGS)
    return accelerator


def test_another_build_is_refused(scripted):
    scripted.registers[scripted.addresses["DIGEST"]] ^= 1
    with pytest.raises(DriverError, match=r"^the device's digest is \w{8}, this configuration's \w{8}: .*generate the core"):
        Accelerator(scripted)


def test_another_register_map_is_refused(scripted):
    scripted.registers[scripted.addresses["VERSION"]] = 99
    with pytest.raises(DriverError, match=r"^the device has register map version 99, this driver speaks 2; "):
        Accelerator(scripted)


def test_a_network_that_does_not_fit_is_refused_before_anything_is_written(scripted):
    accelerator = Accelerator(scripted)
    before = dict(scripted.registers)
    with pytest.raises(OptionError, match=r"^network 5-9-3 needs 9 neurons in the largest layer"):
        accelerator.configure(NetworkSettings(layers=(5, 9, 3), learning_rates=(0.25,)))
    assert scripted.registers == before


def test_a_refusal_by_the_core_gives_the_remedy(scripted):
    accelerator = Accelerator(scripted)
    scripted.write_register = lambda address, value: None
    scripted.registers[scripted.addresses["STATUS"]] = 2 | ErrorCode.NETWORK << 8
    with pytest.raises(DriverError, match=r"^the accelerator refused network 5-4-3: the network does not fit this build"):
        accelerator.configure(SETTINGS)


def test_packets_need_a_network(scripted):
    with pytest.raises(DriverError, match=r"^the accelerator is stopped: configure a network first$"):
        Accelerator(scripted).read_random()


def test_a_dropped_packet_is_named_with_its_remedy(scripted, dropped):
    accelerator = Accelerator(scripted)
    accelerator.configure(SETTINGS)
    scripted.results = [[3, 0], dropped(1, ErrorCode.ADDRESS), [3, 2]]
    with pytest.raises(DriverError, match=r"^packet 1 was dropped: ADDRESS: no such memory, layer or column; "):
        accelerator.write_space(Space.WEIGHT, 2, np.zeros((4, 3), int))


def test_a_device_that_does_not_answer_is_one_line(scripted):
    def silent(*arguments):
        raise RuntimeError("m_axis_tvalid never came")
    accelerator = Accelerator(scripted)
    accelerator.configure(SETTINGS)
    scripted.exchange = silent
    with pytest.raises(DriverError, match=r"^the device failed: m_axis_tvalid never came$"):
        accelerator.read_random()


@pytest.mark.parametrize("space, layer, shape", [
    (Space.WEIGHT, 1, (5, 4)), (Space.WEIGHT, 2, (4, 3)), (Space.FEEDBACK, 2, (4, 3)), (Space.GRADIENT, 1, (5, 4))])
def test_what_is_written_is_read(golden, space, layer, shape):
    values = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, shape)
    golden.write_space(space, layer, values)
    assert np.array_equal(golden.read_matrix(space, layer), values)


def test_generator_states_are_unsigned(golden):
    states = np.array([1, 0xFFFFFFFF])
    golden.write_random(states)
    assert np.array_equal(golden.read_random(), states)


@pytest.mark.parametrize("space, value, message", [
    (Space.WEIGHT, 1 << 15, r"^weight of layer 2: values from 0 to 32768; this build holds -32768 to 32767$"),
    (Space.RANDOM, 0, r"^random of layer 2: values from 0 to 0; this build holds 1 to 4294967295$")])
def test_elements_that_no_memory_holds_are_refused(golden, space, value, message):
    values = np.zeros((4, 3), int)
    values[1, 2] = value
    with pytest.raises(DriverError, match=message):
        golden.write_space(space, 2, values)


@pytest.mark.parametrize("times, labels, message", [
    (np.zeros((2, 4), int), [0, 1], r"^samples of shape \(2, 4\): this network needs \(2, 5\)$"),
    (np.full((2, 5), 257), [0, 1], r"^time 257 of sample 0: 0 to 256 is allowed$"),
    (np.zeros((2, 5), int), [0, 3], r"^label 3 of sample 1: 0 to 2 is allowed$")])
def test_bad_samples_are_refused_before_anything_is_sent(golden, times, labels, message):
    sent = golden.read("SEQUENCE")
    for use in (golden.train, lambda *given: list(golden.infer(*given))):
        with pytest.raises(DriverError, match=message):
            use(times, np.array(labels))
    assert golden.read("SEQUENCE") == sent


def test_lists_of_spikes_are_not_taken_for_times(golden):
    with pytest.raises(DriverError, match=r"^2 samples are a list: this network needs an array \(2, 5\)$"):
        golden.train([np.zeros(3, np.uint32), np.zeros(1, np.uint32)], np.array([0, 1]))


def rate(rules="rate", **more) -> Accelerator:
    """A network of rule rate on the golden device, T = 3, whose build holds 12 levels and spikes, with weights."""
    unit = Accelerator(open_device("golden", CoreConfig.for_network((5, 4, 3), lanes=2, rules=rules, max_steps=3,
                                                                    spike_entries=12)))
    settings = RateSettings(steps=3, leak=0.25, **more)
    unit.configure(NetworkSettings(layers=(5, 4, 3), learning_rates=(0.25,), rate=settings))
    random = np.random.default_rng(4)
    for l, shape in ((1, (5, 4)), (2, (4, 3))):
        unit.write_space(Space.WEIGHT, l, random.integers(-1500, 4500, shape))
    unit.write_random(np.array([7, 8]))
    return unit


SPIKES = [np.array(words, np.uint32) for words in ([0, 4, 1 << 16, 2 << 16], [], [3 | 1 << 16])]


@pytest.mark.parametrize("rules", ["rate", ["ttfs", "rate"], list(Rule)])
@pytest.mark.parametrize("coded", [False, True])
def test_samples_of_rule_rate_do_what_the_model_does(rules, coded):
    """Currents as a table of levels, and spikes with their rates, 256 / 3 ticks each."""
    unit, labels = rate(rules, coded=coded), np.array([2, 0, 1])
    network = unit.device.network
    assert network.profile.tolist() == RateSettings(steps=3, leak=0.25).profile
    levels = np.array([[256, 0, 0, 0, 85], [0, 0, 0, 0, 0], [0, 0, 0, 85, 0]])
    spikes = torch.zeros(3, 3, 5, dtype=torch.bool)
    for sample, words in enumerate(SPIKES):
        spikes[sample, words >> 16, words & 0xFFFF] = True
    samples = [with_levels(words, 3, 256) for words in SPIKES] if coded else levels
    twin = copy.deepcopy(network)
    expected = twin.train(*map(torch.from_numpy, (levels, levels > 0, labels)), *([spikes] if coded else []))[0]
    results = unit.train(samples, labels)
    assert results.logits.tolist() == expected.tolist() and results.labels.tolist() == labels.tolist()
    twin.update()
    assert np.array_equal(unit.read_matrix(Space.WEIGHT, 1).T, twin.weights[0].numpy())
    assert unit.read_space(Space.MEMBRANE, 1)[:, 0].tolist() == twin.membrane[0].tolist()
    assert unit.read_space(Space.ELIGIBILITY, 1)[:, 0].tolist() == twin.eligibility[0].tolist()
    assert unit.read_space(Space.SPIKES, 0)[:, 0].tolist() == [0, 0, 0, 85 | 1 << 15, 0]
    inferred = np.concatenate([part.logits for part in unit.infer(samples, labels)])
    assert inferred.tolist() == unit.train(samples, labels).logits.tolist(), "the same before the next update"
    assert unit.counters()["EVENTS_0"] == 3 * (5 if coded else 3)


@pytest.mark.parametrize("samples, labels, message", [
    (np.zeros((2, 5), int), [0, 1], r"^2 samples with 2 labels: rule rate needs a list of each sample's spikes$"),
    ([SPIKES[0]], [0, 1], r"^1 samples with 2 labels: rule rate needs a list"),
    ([SPIKES[1]] * 2, [0, 3], r"^labels from 0 to 3: 0 to 2 is allowed$"),
    ([SPIKES[0], np.arange(13, dtype=np.uint32)], [0, 1],
     r"^sample 1 has 13 levels and spikes, this build holds 12: use --spike-entries$"),
])
def test_bad_lists_of_spikes_are_refused_before_anything_is_sent(samples, labels, message):
    unit = rate(coded=True)
    sent = unit.read("SEQUENCE")
    for use in (unit.train, lambda *given: list(unit.infer(*given))):
        with pytest.raises(DriverError, match=message):
            use(samples, np.array(labels))
    assert unit.read("SEQUENCE") == sent


def test_spikes_without_their_order_are_dropped_by_the_device():
    unit = rate(coded=True)
    with pytest.raises(DriverError, match=r"was dropped: ORDER: .*rate: levels first, then spikes by step and index"):
        unit.train([with_levels(SPIKES[0], 3, 256)[::-1]], np.array([0]))


def test_training_counts_and_moves_weights_and_inference_does_not(golden):
    random = np.random.default_rng(2)
    golden.write_space(Space.WEIGHT, 1, random.integers(-1000, 3000, (5, 4)))
    golden.write_space(Space.WEIGHT, 2, random.integers(-1000, 3000, (4, 3)))
    golden.write_random(np.array([5, 6]))
    before = golden.read_matrix(Space.WEIGHT, 2)
    times, labels = random.integers(1, 257, (700, 5)), random.integers(0, 3, 700)
    chunks = list(golden.infer(times, labels))
    assert sum(len(chunk.labels) for chunk in chunks) == 700 and len(chunks) > 1
    assert np.array_equal(np.concatenate([chunk.labels for chunk in chunks]), labels)
    assert np.array_equal(golden.read_matrix(Space.WEIGHT, 2), before)
    results = golden.train(times[:8], labels[:8])
    assert np.array_equal(results.predictions, results.logits.argmax(axis=1))
    assert not np.array_equal(golden.read_matrix(Space.WEIGHT, 2), before)
    counters = golden.counters()
    assert (counters["SAMPLES_INFERRED"], counters["SAMPLES_TRAINED"], counters["UPDATES"]) == (700, 8, 1)
    golden.clear_counters()
    assert not any(golden.counters().values())


def after_training(samples: int, exchanges: list[slice], scheme: Scheme, *, batch_size: int | None = 4, silence=0.0, **build):
    """Results and memories, counters, and transport position after batches in these exchanges."""
    layers, random = (9, 7, 6, 5), np.random.default_rng(3)
    unit = Accelerator(open_device("golden", CoreConfig.for_network(layers, lanes=4, **build)))
    unit.configure(NetworkSettings(layers=layers, learning_rates=(0.25,), batch_size=4, interval=2, schemes=(scheme,) * 2))
    write_memories(unit, initial_memories(unit, 1))
    unit.clear_counters()
    times, labels = random.integers(0, 257, (samples, 9)), random.integers(0, 5, samples)
    fired = random.random(times.shape) >= silence
    parts = [unit.train(times[part], labels[part], fired[part] if silence else None, batch_size) for part in exchanges]
    results = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("predictions", "labels", "logits")}
    assert np.array_equal(results["labels"], labels)
    return results | read_memories(unit), unit.counters(), unit.read("INTERVAL_POSITION")


def fours(samples: int) -> list[slice]:
    """Batches of four; the last may be smaller."""
    return [slice(begin, begin + 4) for begin in range(0, samples, 4)]


@pytest.mark.parametrize("scheme, build", [
    (Scheme(feedback="bp"), {}), (Scheme(feedback="fbp"), {}), (RANDOM, {"partial_transport": True}),
    (Scheme(feedback="ss"), {"feedback_precision": "sign"}), (Scheme(feedback="bp"), {"gradient_memory": False})])
@pytest.mark.parametrize("samples", [3, 4, 12, 14])
def test_batches_of_one_exchange_do_what_they_do_alone(scheme, build, samples):
    alone = fours(samples)
    (values, counts, position), (expected, counts_alone, position_alone) = (
        after_training(samples, *how, **build) for how in (([slice(None)], scheme), (alone, scheme)))
    assert values.keys() == expected.keys() and all(np.array_equal(values[name], expected[name]) for name in values)
    assert position == position_alone and (counts["UPDATES"], counts["SAMPLES_TRAINED"]) == (len(alone), samples)
    assert counts.keys() == counts_alone.keys()
    assert [name for name in counts if counts[name] != counts_alone[name] and name not in OVERLAP] == []
    for name in OVERLAP:  # a transport under a forward pass costs less, and one with nothing behind it as much
        assert counts[name] < counts_alone[name] if len(alone) > 2 else counts[name] == counts_alone[name]


def test_batches_of_one_exchange_keep_which_inputs_fire():
    one, expected, other = (after_training(10, parts, Scheme(feedback="fbp"), silence=silence)[0]
                            for parts, silence in (([slice(None)], 0.2), (fours(10), 0.2), (fours(10), 0.0)))
    assert all(np.array_equal(one[name], expected[name]) for name in one)
    assert not np.array_equal(one["weight_1"], other["weight_1"])


def test_memories_and_transport_position_survive_a_new_configuration(golden):
    values = np.arange(20).reshape(5, 4)
    golden.write_space(Space.WEIGHT, 1, values)
    golden.configure(NetworkSettings(layers=(5, 4, 3), learning_rates=(0.125,), interval=9, interval_start=4))
    assert np.array_equal(golden.read_matrix(Space.WEIGHT, 1), values)
    assert golden.read("INTERVAL_POSITION") == 4


@pytest.mark.parametrize("name, stall, message", [
    ("board", 0.0, r"^device 'board' is unknown; choose one of: simulated, golden, serial:PORT$"),
    ("golden", 0.5, r"^stall = 0\.5: the golden device has no streams"),
    ("simulated", 1.0, r"^stall = 1\.0: a probability from 0 to 0\.99 is needed$")])
def test_unknown_devices_are_refused(config, name, stall, message):
    with pytest.raises(OptionError, match=message):
        open_device(name, config, stall=stall)


def test_the_golden_device_identifies_its_build(config):
    assert Accelerator(open_device("golden", config)).read("DIGEST") == core_digest(config)
