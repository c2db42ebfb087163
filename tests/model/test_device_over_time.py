"""The golden device of rule sparse-bptt at its ports: registers, packets, spaces, and samples equal to the network's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coldspike.model.device import GoldenDevice
from coldspike.model.exact import SparseBpttNetwork
from coldspike.model.packets import SampleStream, judge
from coldspike.spec.config import CoreConfig
from coldspike.spec.errors import ErrorCode
from coldspike.spec.lif import LifSettings, OverTime
from coldspike.spec.packets import Kind, Space
from coldspike.spec.registers import Control, core_digest, register_map

from .test_device import configured, read, sample, send, stream, write

LAYERS, STEPS = (6, 5, 4, 3), 9
CONFIG = CoreConfig.for_network(LAYERS, lanes=2, rules="sparse-bptt", max_steps=12, spike_entries=60, job_entries=40)
ADDRESS = {r.name: r.address for r in register_map(CONFIG)}
SETTINGS = LifSettings(steps=STEPS, beta=0.9, window=2000, scales=(5, 2, 1), gain=3)
REGISTERS = {"STEPS": STEPS, "WINDOW": 2000, "LOGIT": 0 | 3 << 1 | 1 << 5, "ERROR_SHIFT_2": 15, "ERROR_SHIFT_3": 17,
             "RATE_1": 150 | 10 << 8, "RATE_2": 150 | 10 << 8, "RATE_3": 150 | 10 << 8, "INTERVAL": 2}


def start(config=CONFIG, layers=LAYERS, **registers):
    device = configured(config, layers, **REGISTERS | registers)
    device.write_register(ADDRESS["CONTROL"], 1 << Control.START)
    return device


def register(device, name):
    return device.read_register({r.name: r.address for r in register_map(device.config)}[name])


def sticky(device):
    return ErrorCode(register(device, "STATUS") >> 8)


def fill(device, settings=SETTINGS):
    """Random memories through packets; a network of its own with the same ones. Returns it and the packets sent."""
    rng, layers = np.random.default_rng(0), device.network.layers
    twin = SparseBpttNetwork(device.config, layers, settings, rates=[(150, 10)] * (len(layers) - 1), interval=2)
    packets = [write(Space.DECAY, 0, 0, settings.decays)]
    for l, (n_in, n_out) in enumerate(zip(layers, layers[1:], strict=False), start=1):
        for space, matrices in ((Space.WEIGHT, twin.weights), (Space.FEEDBACK, twin.feedback)):
            for j in range(n_out if matrices[l - 1] is not None else 0):
                matrices[l - 1][j] = torch.from_numpy(rng.normal(0, 3300, n_in).astype(int))
                packets.append(write(space, l, j, matrices[l - 1][j].tolist()))
    assert all(answer[0] == Kind.WRITE for answer in send(device, *packets))
    return twin, len(packets)


def events(rng, count, steps=STEPS, inputs=LAYERS[0]):
    """``count`` random (index, step), ascending by step, then index."""
    chosen = sorted(rng.choice(steps * inputs, count, replace=False).tolist())
    return [(place % inputs, place // inputs) for place in chosen]


def spikes_of(chosen, steps=STEPS, inputs=LAYERS[0]):
    spikes = torch.zeros(1, steps, inputs, dtype=torch.bool)
    for index, step in chosen:
        spikes[0, step, index] = True
    return spikes


def low(values):
    return [int(x) & 0xFFFFFFFF for x in values]


# -- registers ------------------------------------------------------------------------------------
def test_reset_values():
    device = GoldenDevice(CONFIG)
    for r in register_map(CONFIG):
        assert device.read_register(r.address) == {"DIGEST": core_digest(CONFIG), "STATUS": 2}.get(r.name, r.reset), r.name
    assert register(device, "STEPS") == 1 and not {"READOUT", "LEVEL_CLIP", "SLOPE_CLIP", "LEVEL_CLIPS"} & set(ADDRESS)


@pytest.mark.parametrize("settings, registers", [
    (SETTINGS, {}),
    (LifSettings(steps=12, beta=0.9, window=(1 << 19) - 1, scales=(31, 31, 31), over_time=OverTime.SUM, gain=15),
     {"STEPS": 12, "WINDOW": (1 << 19) - 1, "LOGIT": 1023, "ERROR_SHIFT_2": 18, "ERROR_SHIFT_3": 18}),
    (LifSettings(steps=1, window=0, scales=(17 - 45, -45, 0)),
     {"STEPS": 1, "WINDOW": 0, "LOGIT": 0, "ERROR_SHIFT_2": 1, "ERROR_SHIFT_3": 63}),
], ids=["usual", "largest", "smallest"])
def test_registers_reach_the_network(settings, registers):
    device = start(**registers)
    found = device.network.settings
    assert isinstance(device.network, SparseBpttNetwork) and sticky(device) is ErrorCode.NONE
    for name in ("steps", "window", "scales", "over_time", "gain"):
        assert getattr(found, name) == getattr(settings, name), name
    assert [found.error_shift(CONFIG, l) for l in (2, 3)] == [register(device, f"ERROR_SHIFT_{l}") for l in (2, 3)]


@pytest.mark.parametrize("name", ["STEPS", "WINDOW", "LOGIT", "ERROR_SHIFT_2"])
def test_settings_may_change_only_while_stopped(name):
    device = start()
    device.write_register(ADDRESS[name], 1)
    assert sticky(device) is ErrorCode.BUSY and register(device, name) == REGISTERS[name]
    for register_name, value in (("CONTROL", 1 << Control.STOP), (name, 1), ("CONTROL", 1 << Control.START)):
        device.write_register(ADDRESS[register_name], value)
    assert register(device, name) == 1 and register(device, "STATUS") & 1


def test_start_with_other_steps_keeps_the_memories():
    device = start()
    twin, _ = fill(device)
    for name, value in (("CONTROL", 1 << Control.STOP), ("STEPS", 4), ("CONTROL", 1 << Control.START)):
        device.write_register(ADDRESS[name], value)
    assert device.network.powers[:STEPS + 1].tolist() == SETTINGS.decays and device.network.settings.steps == 4
    assert all(torch.equal(a, b) for a, b in zip(device.network.weights, twin.weights, strict=True))
    assert send(device, sample([(0, 3)]), sample([(0, 4)]))[1] == [Kind.ERROR | ErrorCode.TIME << 8, 1]


@pytest.mark.parametrize("registers", [
    {"STEPS": 0}, {"STEPS": 13}, {"STEPS": (1 << 13) - 1}, {"ERROR_SHIFT_2": 0}, {"ERROR_SHIFT_3": 0}, {"ERROR_SHIFT_3": 64},
    {"LAYERS": 0}, {"SIZE_1": 7}], ids=str)
def test_start_refuses(registers):
    device = start(**registers)
    assert sticky(device) is ErrorCode.NETWORK and not register(device, "STATUS") & 1
    assert send(device, sample([])) == [[Kind.ERROR | ErrorCode.STOPPED << 8, 0]]


@pytest.mark.parametrize("layers, registers", [
    (LAYERS, {"STEPS": 1}), (LAYERS, {"STEPS": 12}), (LAYERS, {"ERROR_SHIFT_2": 1}), ((6, 5, 3), {"ERROR_SHIFT_3": 0}),
    ((6, 3), {"ERROR_SHIFT_2": 0, "ERROR_SHIFT_3": 0})], ids=str)
def test_start_accepts(layers, registers):
    """Shifts of layers that the network has not are not looked at."""
    device = start(layers=layers, **registers)
    assert sticky(device) is ErrorCode.NONE and register(device, "STATUS") & 1


# -- packets --------------------------------------------------------------------------------------
FULL = [(index, step) for step in range(STEPS) for index in range(LAYERS[0])]  # all 54 places
BAD = {
    "index": (sample([(0, 0), (6, 0)]), ErrorCode.INDEX),
    "index before order and time": (sample([(5, 3), (6, 2), (0, 9)]), ErrorCode.INDEX),
    "index and time of one event": (sample([(6, 9)]), ErrorCode.INDEX),
    "the same event twice": (sample([(2, 4), (2, 4)]), ErrorCode.ORDER),
    "index descends in a step": (sample([(2, 4), (1, 4)]), ErrorCode.ORDER),
    "step descends": (sample([(2, 4), (3, 3)]), ErrorCode.ORDER),
    "order before a late step": (sample([(2, 4), (1, 4), (0, 9)]), ErrorCode.ORDER),
    "order before an index": (sample([(2, 4), (1, 4), (6, 5)]), ErrorCode.ORDER),
    "step T": (sample([(0, 0), (0, 9)]), ErrorCode.TIME),
    "step T before a wrong index": (sample([(0, 9), (6, 10)]), ErrorCode.TIME),
    "last step of 16 bits": (sample([(0, 0xFFFF)]), ErrorCode.TIME),
    "time before order": (sample([(3, 10), (3, 9)]), ErrorCode.TIME),
    "late twice, in no order": (sample([(3, 8), (3, 10), (3, 9)]), ErrorCode.TIME),
    "one more event than the tape holds": (sample([], count=61), ErrorCode.LONG),
    "its events do not matter": (sample([(9, 9)] * 61), ErrorCode.LONG),
    "huge count": (sample([(0, 0)], count=0xFFFFFFFF), ErrorCode.LONG),
    "goes on": (sample([(0, 0), (1, 0)], count=1), ErrorCode.LONG),
    "goes on after nothing": (sample([(0, 0)], count=0), ErrorCode.LONG),
    "goes on, but a bad event comes first": (sample([(6, 0), (1, 0)], count=1), ErrorCode.INDEX),
    "header alone": (sample([])[:1], ErrorCode.SHORT),
    "events missing": (sample(FULL)[:-1], ErrorCode.SHORT),
    "all events missing": (sample([], count=3), ErrorCode.SHORT),
    "room for more than there are places": (sample(FULL, count=60), ErrorCode.SHORT),
    "short, but a bad event comes first": (sample([(2, 4), (1, 4)], count=3), ErrorCode.ORDER),
    "label": (sample([(6, 0)], label=3), ErrorCode.LABEL),
    "read DECAY": (read(Space.DECAY, 0), ErrorCode.ADDRESS),
    "write DECAY of a layer": (write(Space.DECAY, 1, 0, SETTINGS.decays), ErrorCode.ADDRESS),
    "write DECAY, another column": (write(Space.DECAY, 0, 1, SETTINGS.decays), ErrorCode.ADDRESS),
    "T decays": (write(Space.DECAY, 0, 0, SETTINGS.decays[:-1]), ErrorCode.SHORT),
    "T + 2 decays": (write(Space.DECAY, 0, 0, [*SETTINGS.decays, 0]), ErrorCode.LONG),
    "LEVEL": (read(Space.LEVEL, 1), ErrorCode.ADDRESS),
    "ERROR_SUM": (read(Space.ERROR_SUM, 1), ErrorCode.ADDRESS),
    "SPIKES of the output layer": (read(Space.SPIKES, 3), ErrorCode.ADDRESS),
    "JOBS of the input layer": (read(Space.JOBS, 0), ErrorCode.ADDRESS),
    "JOBS beyond the last layer": (read(Space.JOBS, 4), ErrorCode.ADDRESS),
    "JOBS, another column": (read(Space.JOBS, 1, 1), ErrorCode.ADDRESS),
    "write JOBS": (write(Space.JOBS, 1, 0, []), ErrorCode.ADDRESS),
    "write SPIKES": (write(Space.SPIKES, 0, 0, []), ErrorCode.ADDRESS),
    "SLOPE of the input layer": (read(Space.SLOPE, 0), ErrorCode.ADDRESS),
    "no space": (read(11, 1), ErrorCode.ADDRESS),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_packets_change_nothing(name):
    packet, error = BAD[name]
    device, good = start(), sample(FULL[:20], label=2)
    twin, sent = fill(device)
    results = send(device, good, packet, good)
    assert judge(device.network, packet) is error is sticky(device)
    assert results[1] == [Kind.ERROR | error << 8, sent + 1] and results[0][2:] == results[2][2:]
    twin.train(spikes_of(FULL[:20]).repeat(2, 1, 1), torch.tensor([2, 2]))
    assert {name: register(device, name) for name in twin.counters} == twin.counters | {"PACKETS_DROPPED": 1}
    assert all(torch.equal(a, b) for a, b in zip(device.network.gradients, twin.gradients, strict=True))
    assert device.network.powers.tolist() == twin.powers.tolist()


GOOD = [sample([]), sample(FULL), sample([(0, 0)], 0), sample([(5, 8)], 2), sample([(5, 0), (0, 1)], 1),
        sample([(5, 7), (0, 8), (1, 8)])]


def test_good_packets():
    device = start()
    assert [judge(device.network, packet) for packet in GOOD] == [ErrorCode.NONE] * len(GOOD)
    assert [answer[0] for answer in send(device, *GOOD)] == [Kind.SAMPLE] * len(GOOD)


def test_whole_stream_judgement_equals_word_by_word():
    device, rng = start(STEPS=4), np.random.default_rng(3)
    packets = [packet for packet, _ in BAD.values()] + GOOD + [[Kind.UPDATE, 0], [Kind.UPDATE, 0, 0]]
    for _ in range(400):
        chosen = [(int(i), int(t)) for t, i in sorted(rng.integers(0, (5, 7), (rng.integers(1, 5), 2)).tolist())]
        words = sample(chosen, int(rng.integers(4)))
        packets.append(words[:rng.integers(1, 9)] + [4 << 16] * int(rng.random() < 0.1))
    packets = [packets[n] for n in rng.permutation(len(packets))]
    found = SampleStream(device.network, *stream(*packets)).good
    expected = [p[0] & 0xFF == Kind.SAMPLE and judge(device.network, p) is ErrorCode.NONE for p in packets]
    assert found.tolist() == expected and 50 < sum(expected) < 350
    assert {judge(device.network, p) for p in packets} >= {ErrorCode.NONE, ErrorCode.INDEX, ErrorCode.ORDER, ErrorCode.TIME,
                                                           ErrorCode.LONG, ErrorCode.SHORT, ErrorCode.LABEL, ErrorCode.ADDRESS}


@pytest.mark.parametrize("over_time", OverTime)
def test_samples_equal_the_network(over_time):
    settings = replace(SETTINGS, over_time=over_time)
    device, rng = start(LOGIT=REGISTERS["LOGIT"] | over_time), np.random.default_rng(1)
    twin, sent = fill(device, settings)
    packets, expected = [], []
    for n, train in enumerate([1, 1, 1, 0, 0, 1, 0, 1, 1]):
        chosen, label = events(rng, int(rng.integers(0, 55))), int(rng.integers(3))
        packets.append(sample(chosen, label if train else None))
        logits, predicted, over, _ = (twin.train(spikes_of(chosen), torch.tensor([label])) if train
                                      else twin.infer(spikes_of(chosen)))
        said = label if train else 0
        expected.append([Kind.SAMPLE | int(over) * ErrorCode.OVERFLOW << 8, sent + n, int(predicted) | said << 16, *low(logits[0])])
    assert send(device, *packets) == expected
    compare(device, twin)
    record = twin.update()
    assert send(device, [Kind.UPDATE, 0])[0][2] == record.due | 0b1110 and all(record.active)
    compare(device, twin)
    send(device, *packets), send(device, [Kind.UPDATE, 0])
    assert register(device, "TRANSPORTS") == 1 and register(device, "UPDATES") == 2


def compare(device, twin):
    """Counters, and everything that packets can read."""
    for name, count in twin.counters.items():
        assert register(device, name) == count, name
    for l in range(1, len(LAYERS)):
        for space, matrices in ((Space.WEIGHT, twin.weights), (Space.GRADIENT, twin.gradients), (Space.FEEDBACK, twin.feedback)):
            if matrices[l - 1] is not None:
                answers = send(device, *(read(space, l, j) for j in range(LAYERS[l])))
                assert [answer[2:] for answer in answers] == [low(column) for column in matrices[l - 1]]
        answers = send(device, read(Space.SPIKES, l - 1), read(Space.JOBS, l), read(Space.SLOPE, l))
        spikes, jobs, sums = (answer[2:] for answer in answers)
        assert spikes == [index | step << 16 for step, index in twin.spike_list[l - 1].tolist()]
        assert jobs == [word for t, j, value in twin.job_list[l - 1].tolist() for word in (j | t << 16, *low([value]))]
        assert sums == low(twin.sums[l - 1])
    assert send(device, read(Space.OUTPUT_ERROR, 0))[0][2:] == low(twin.output_error)


def test_lists_may_be_empty():
    device = start()
    fill(device)
    lists = [read(Space.SPIKES, l) for l in range(3)] + [read(Space.JOBS, l) for l in range(1, 4)]
    assert all(answer[::2] == [Kind.READ] for answer in send(device, *lists))
    send(device, sample(FULL[:20], 1))
    spikes, jobs = send(device, read(Space.SPIKES, 0), read(Space.JOBS, 3))
    assert spikes[2:] == [index | step << 16 for index, step in FULL[:20]] and len(jobs) == 2 + 2 * LAYERS[-1]
    assert any(word >> 31 for word in jobs[3::2])  # an error below 0
    send(device, sample([]))
    assert [len(answer) for answer in send(device, read(Space.SPIKES, 0), read(Space.JOBS, 1), read(Space.JOBS, 3))] == [2, 2, 2]


def test_decays_are_cut_to_their_width():
    device = start()
    send(device, write(Space.DECAY, 0, 0, [0xFFFFFFFF, 1 << 16, 1 << 17, *[7] * 7]))
    assert device.network.powers.tolist() == [(1 << 17) - 1, 1 << 16, 0, *[7] * 7, 0, 0, 0]


# -- overflow -------------------------------------------------------------------------------------
@pytest.mark.parametrize("room", [{"spike_entries": 60}, {"job_entries": 8}], ids=str)
def test_overflow_is_in_the_status_of_the_result(room):
    """Neighbouring samples run as one batch; each has its own status, and the label and logits of a good one."""
    config = CoreConfig.for_network(LAYERS, lanes=2, rules="sparse-bptt", max_steps=12, **{"job_entries": 200, **room})
    device, rng = start(config), np.random.default_rng(2)
    twin, sent = fill(device)
    chosen = [events(rng, count) for count in (0, 54, 5, 50, 3, 54)]
    expected = []
    for n, each in enumerate(chosen):
        logits, predicted, over, _ = twin.train(spikes_of(each), torch.tensor([n % 3]))
        expected.append([Kind.SAMPLE | bool(over) * 12 << 8, sent + n, int(predicted) | n % 3 << 16, *low(logits[0])])
    logits, predicted, over, _ = twin.infer(spikes_of(FULL))
    expected.append([Kind.SAMPLE | bool(over) * 12 << 8, sent + 6, int(predicted), *low(logits[0])])
    assert send(device, *(sample(each, n % 3) for n, each in enumerate(chosen)), sample(FULL)) == expected
    statuses = [words[0] >> 8 for words in expected]
    assert set(statuses) == {0, 12} and statuses.count(12) == register(device, "OVERFLOWS")
    assert sticky(device) is ErrorCode.NONE and register(device, "PACKETS_DROPPED") == 0
    assert register(device, "INTERRUPT_STATUS") == 0
