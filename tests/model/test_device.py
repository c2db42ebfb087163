"""The golden device at its ports: commands, errors, packets, and samples equal to the network's own."""

import numpy as np
import pytest
import torch

from coldspike.model.device import GoldenDevice
from coldspike.model.exact import TtfsNetwork
from coldspike.model.packets import SampleStream, judge
from coldspike.spec.config import CoreConfig
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import FIRED_BIT, Kind, Space, header
from coldspike.spec.random import lane_seeds
from coldspike.spec.registers import VERSION, Control, Interrupt, core_digest, register_map
from coldspike.spec.transport import LayerTransport, Precision, Signs, Values

LAYERS = (9, 6, 4)
CONFIG = CoreConfig.for_network(LAYERS, lanes=4)
ADDRESS = {r.name: r.address for r in register_map(CONFIG)}
START, STOP = 1 << Control.START, 1 << Control.STOP


def stream(*packets):
    words = np.array([w for p in packets for w in p], np.uint32)
    last = np.zeros(len(words), bool)
    last[np.cumsum([len(p) for p in packets]) - 1] = True
    return words, last


def send(device, *packets):
    """Results of the packets as lists of words."""
    words, last = device.exchange(*stream(*packets), results=len(packets))
    results = np.split(words, np.flatnonzero(last) + 1)[:-1]
    assert len(results) == len(packets)
    return [r.tolist() for r in results]


def sample(events, label=None, count=None):
    words = [header(Kind.SAMPLE, label is not None, label or 0), len(events) if count is None else count]
    return words + [i | a << 16 for i, a in events]


def read(space, layer, column=0):
    return [header(Kind.READ, space, layer), column]


def write(space, layer, column, elements):
    return [header(Kind.WRITE, space, layer), column, *(int(e) & 0xFFFFFFFF for e in elements)]


def configured(config=CONFIG, layers=LAYERS, **registers):
    device = GoldenDevice(config)
    address = {r.name: r.address for r in register_map(config)}
    values = {"LAYERS": len(layers) - 1} | {f"SIZE_{l}": n for l, n in enumerate(layers)} | registers
    for name, value in values.items():
        device.write_register(address[name], value)
    return device


def started(config, layers, **registers):
    device = configured(config, layers, **registers)
    device.write_register(ADDRESS["CONTROL"], START)
    return device


@pytest.fixture
def device():
    device = configured(INTERVAL=1, RATE_1=200 | 3 << 8, RATE_2=200 | 3 << 8)
    device.write_register(ADDRESS["CONTROL"], START)
    rng = np.random.default_rng(0)
    for l, (n_in, n_out) in enumerate(zip(LAYERS, LAYERS[1:], strict=False), start=1):
        columns = rng.normal(0, 2500, (n_out, n_in)).astype(int)
        send(device, *(write(Space.WEIGHT, l, j, column) for j, column in enumerate(columns)))
    send(device, write(Space.FEEDBACK, 2, 1, rng.integers(-4000, 4000, 6)))
    return device


def register(device, name):
    return device.read_register(ADDRESS[name])


def sticky(device):
    return ErrorCode(register(device, "STATUS") >> 8)


def test_reset_values():
    device = GoldenDevice(CONFIG)
    for r in register_map(CONFIG):
        expected = {"DIGEST": core_digest(CONFIG), "STATUS": 2}.get(r.name, r.reset)
        assert device.read_register(r.address) == expected, r.name
    assert device.read_register(0x01C) == 0
    device.write_register(0x01C, 5)
    device.write_register(ADDRESS["VERSION"], 5)
    assert register(device, "VERSION") == VERSION


def test_start_stop_and_busy(device):
    assert register(device, "STATUS") == 3
    device.write_register(ADDRESS["SIZE_0"], 3)
    assert sticky(device) is ErrorCode.BUSY and register(device, "SIZE_0") == 9
    device.write_register(ADDRESS["CONTROL"], 1 << Control.CLEAR_ERROR)
    assert sticky(device) is ErrorCode.NONE
    device.write_register(ADDRESS["CONTROL"], START)
    assert sticky(device) is ErrorCode.BUSY
    weights = device.network.weights[0].clone()
    device.write_register(ADDRESS["CONTROL"], STOP)
    device.write_register(ADDRESS["INTERVAL_START"], 7)
    assert register(device, "STATUS") & 3 == 2
    assert send(device, read(Space.WEIGHT, 1)) == [[Kind.ERROR | ErrorCode.STOPPED << 8, 9 + 2]]
    device.write_register(ADDRESS["CONTROL"], START)
    assert register(device, "SEQUENCE") == 0 and register(device, "INTERVAL_POSITION") == 7
    assert torch.equal(device.network.weights[0], weights)


@pytest.mark.parametrize("registers", [{"LAYERS": 0}, {"LAYERS": 3}, {"SIZE_1": 0}, {"SIZE_0": 10}, {"SIZE_2": 5}],
                         ids=str)
def test_network_that_does_not_fit(registers):
    device = configured(**registers)
    device.write_register(ADDRESS["CONTROL"], START)
    assert sticky(device) is ErrorCode.NETWORK and not register(device, "STATUS") & 1


def test_samples_equal_the_network(device):
    rng = np.random.default_rng(1)
    twin = TtfsNetwork(CONFIG, LAYERS, rates=[(200, 3)] * 2)
    twin.weights = [w.clone() for w in device.network.weights]
    twin.feedback[1] = device.network.feedback[1].clone()
    packets, expected = [], []
    for train in [1, 1, 1, 0, 0, 1, 1]:
        fired = rng.random(9) < 0.7
        a = rng.integers(0, 257, 9) * fired
        label = int(rng.integers(4))
        packets.append(sample([(int(i), int(a[i])) for i in np.flatnonzero(fired)], label if train else None))
        run = (torch.from_numpy(a)[None], torch.from_numpy(fired)[None])
        logits, predicted, _ = twin.train(*run, torch.tensor([label])) if train else twin.infer(*run)
        words = [Kind.SAMPLE, 11 + len(expected), int(predicted) | (label if train else 0) << 16]
        expected.append(words + [x & 0xFFFFFFFF for x in logits[0].tolist()])
    assert send(device, *packets) == expected
    twin.update()
    assert send(device, [Kind.UPDATE, 0]) == [[Kind.UPDATE, 18, 0b111]]
    assert send(device, [Kind.UPDATE, 0]) == [[Kind.UPDATE, 19, 1]]  # nobody was active since
    twin.update()
    assert register(device, "INTERRUPT_STATUS") == 1 << Interrupt.BATCH and not device.interrupt
    device.write_register(ADDRESS["INTERRUPT_ENABLE"], 3)
    assert device.interrupt
    device.write_register(ADDRESS["INTERRUPT_STATUS"], 1)
    assert not device.interrupt
    for name, count in twin.counters.items():
        assert register(device, name) == count, name
    for l in (1, 2):
        column = [x & 0xFFFFFFFF for x in twin.weights[l - 1][2].tolist()]
        assert send(device, read(Space.WEIGHT, l, 2))[0][2:] == column
    spikes = (twin.spike_a[1] | twin.spike_fired[1].long() << FIRED_BIT).tolist()
    level = [x & (1 << 64) - 1 for x in twin.level[1].tolist()]
    words = [half for x in level for half in (x & 0xFFFFFFFF, x >> 32)]
    sums = [half for x in twin.error_sum[0].tolist() for half in (x & 0xFFFFFFFF, x >> 32 & 0xFFFFFFFF)]
    answers = send(device, read(Space.SPIKES, 1), read(Space.LEVEL, 2), read(Space.ERROR_SUM, 1),
                   read(Space.OUTPUT_ERROR, 0), read(Space.SLOPE, 1), read(Space.RANDOM, 0))
    assert [a[2:] for a in answers] == [
        spikes, words, sums, [x & 0xFFFFFFFF for x in twin.output_error.tolist()],
        [x & 0xFFFFFFFF for x in twin.slope[0].tolist()], twin.random.tolist()]


BAD = [
    ([7, 0], ErrorCode.KIND),
    ([Kind.ERROR, 0], ErrorCode.KIND),
    ([0], ErrorCode.KIND),
    (sample([(0, 5)], label=4), ErrorCode.LABEL),
    (sample([(0, 5)])[:1], ErrorCode.SHORT),
    (sample([(0, 5), (1, 5)])[:3], ErrorCode.SHORT),
    (sample([(0, 5), (1, 300)])[:4], ErrorCode.TIME),
    (sample([(0, 5), (1, 5)], count=1), ErrorCode.LONG),
    (sample([], count=10), ErrorCode.LONG),
    (sample([(0, 5)], count=0), ErrorCode.LONG),
    (sample([(0, 5)], count=0xFFFFFFFF), ErrorCode.LONG),
    (sample([(9, 5)]), ErrorCode.INDEX),
    (sample([(9, 300)]), ErrorCode.INDEX),
    (sample([(3, 5), (3, 300)]), ErrorCode.ORDER),
    (sample([(3, 5), (2, 5)]), ErrorCode.ORDER),
    (sample([(3, 257)]), ErrorCode.TIME),
    (sample([(3, 300), (12, 5)]), ErrorCode.TIME),
    ([Kind.UPDATE], ErrorCode.SHORT),
    ([Kind.UPDATE, 0, 0], ErrorCode.LONG),
    (read(9, 1), ErrorCode.ADDRESS),
    (read(Space.WEIGHT, 0), ErrorCode.ADDRESS),
    (read(Space.WEIGHT, 3), ErrorCode.ADDRESS),
    (read(Space.FEEDBACK, 1), ErrorCode.ADDRESS),
    (read(Space.WEIGHT, 1, 6), ErrorCode.ADDRESS),
    (read(Space.ERROR_SUM, 2), ErrorCode.ADDRESS),
    (read(Space.RANDOM, 1), ErrorCode.ADDRESS),
    (read(Space.SPIKES, 0, 1), ErrorCode.ADDRESS),
    (read(Space.WEIGHT, 1)[:1], ErrorCode.SHORT),
    (read(Space.WEIGHT, 1) + [0], ErrorCode.LONG),
    (write(Space.SLOPE, 1, 0, [0] * 6), ErrorCode.ADDRESS),
    (write(Space.WEIGHT, 1, 0, [0] * 8), ErrorCode.SHORT),
    (write(Space.WEIGHT, 1, 0, [0] * 10), ErrorCode.LONG),
    (write(Space.RANDOM, 0, 0, [1] * 3), ErrorCode.SHORT),
]


@pytest.mark.parametrize("packet, error", BAD, ids=str)
def test_bad_packets_change_nothing(device, packet, error):
    before = [w.clone() for w in device.network.weights]
    assert send(device, packet) == [[Kind.ERROR | error << 8, 11]]
    assert sticky(device) is error and register(device, "PACKETS_DROPPED") == 1
    assert register(device, "INTERRUPT_STATUS") >> Interrupt.ERROR & 1
    assert all(torch.equal(a, b) for a, b in zip(before, device.network.weights, strict=True))
    assert register(device, "SAMPLES_TRAINED") == register(device, "UPDATES") == 0
    assert send(device, [7]) == [[Kind.ERROR | ErrorCode.KIND << 8, 12]]
    assert sticky(device) is error


def test_bad_packets_between_good_ones(device):
    good, bad = sample([(0, 5), (4, 256)], label=3), sample([(4, 5), (0, 5)], label=3)
    answers = send(device, good, bad, good, good, [Kind.UPDATE, 0], good)
    assert [a[0] & 0xFF for a in answers] == [Kind.SAMPLE, Kind.ERROR, Kind.SAMPLE, Kind.SAMPLE, Kind.UPDATE,
                                              Kind.SAMPLE]
    assert [a[1] for a in answers] == list(range(11, 17))
    assert answers[0][2:] == answers[2][2:] == answers[3][2:] != answers[5][2:]


def test_whole_stream_judgement_equals_word_by_word(device):
    rng = np.random.default_rng(3)
    packets = [p for p, _ in BAD] + [sample([(0, 0), (8, 256)], 3), sample([], 0), sample([(2, 9)], None)]
    for _ in range(300):
        words = sample([(int(i), int(rng.integers(250, 258))) for i in sorted(rng.choice(10, 3))], int(rng.integers(5)))
        packets.append(words[:rng.integers(1, 6)] + [1] * int(rng.random() < 0.1))
    found = SampleStream(device.network, *stream(*packets)).good
    expected = [p[0] & 0xFF == Kind.SAMPLE and judge(device.network, p) is ErrorCode.NONE for p in packets]
    assert found.tolist() == expected and 5 < sum(expected) < 250


def test_packets_may_come_in_pieces(device):
    words, last = stream(sample([(0, 5)], 1), sample([(1, 5)], 1))
    assert device.exchange(words[:2], last[:2], 0)[0].size == 0
    assert not register(device, "STATUS") & 2
    assert device.exchange(words[2:], last[2:], 2)[1].sum() == 2
    assert register(device, "STATUS") & 2
    with pytest.raises(RuntimeError, match="^1 results wanted, the packets sent so far make 0$"):
        device.exchange(words[:0], last[:0], 1)


def test_written_elements_are_cut_to_their_width():
    config = CoreConfig.for_network((2, 2, 2), lanes=2, weight_bits=8, weight_fraction=4, gradient_bits=20)
    device = configured(config, (2, 2, 2))
    device.write_register(ADDRESS["CONTROL"], START)
    send(device, write(Space.WEIGHT, 1, 1, [0x17F, 0x280]), write(Space.GRADIENT, 2, 0, [0xFFF80000, 7]),
         write(Space.RANDOM, 0, 0, [0xFFFFFFFF, 5]))
    assert device.network.weights[0].tolist() == [[0, 0], [127, -128]]
    assert device.network.gradients[1].tolist() == [[-(1 << 19), 7], [0, 0]]
    assert send(device, read(Space.RANDOM, 0), read(Space.WEIGHT, 1, 1)) == [
        [Kind.READ, 3, 0xFFFFFFFF, 5], [Kind.READ, 4, 127, 0xFFFFFF80]]


def test_no_gradient_space_without_gradient_memory():
    config = CoreConfig.for_network((2, 2), lanes=2, gradient_memory=False)
    device = configured(config, (2, 2))
    device.write_register(ADDRESS["CONTROL"], START)
    assert send(device, read(Space.GRADIENT, 1)) == [[Kind.ERROR | ErrorCode.ADDRESS << 8, 0]]


CHOOSING = CoreConfig.for_network((3, 7, 6, 4, 2), lanes=4, feedback_precision="8-bit", partial_transport=True)


def test_transport_registers_reach_the_network():
    device = started(CHOOSING, (3, 7, 6, 4, 2), TRANSPORT_2=2 << 3 | 1, SELECT_2=0xFFFFFFFF, TRANSPORT_3=0b11100110)
    device.write_register(ADDRESS["TRANSPORT_2"], 0)
    assert sticky(device) is ErrorCode.BUSY
    assert device.network.transport.schemes[1:] == [
        LayerTransport(values=Values.TOP_K, signs=Signs.EVERY_UPDATE, select=0xFFFFFFFF),
        LayerTransport(values=Values.CHANGE, every_update=True, signs=Signs.AT_INTERVAL),
        LayerTransport(values=Values.ALL)]  # as after reset
    assert register(device, "TRANSPORT_2") == 2 << 3 | 1
    device = started(CoreConfig.for_network(LAYERS, lanes=4, feedback_precision="sign", weight_bits=10, weight_fraction=7),
                     LAYERS, TRANSPORT_2=0b110110, SCALE_2=0x7FF)
    assert device.network.transport.schemes[1] == LayerTransport(every_update=True, signs=Signs.AT_INTERVAL, values=Values.NONE,
                                                                 scale=0x1FF)
    assert "SELECT_2" not in {r.name for r in register_map(device.config)}


@pytest.mark.parametrize("precision", list(Precision))
def test_transport_equals_the_network(precision):
    partial = precision is not Precision.SIGN
    config = CoreConfig.for_network(LAYERS, lanes=4, feedback_precision=precision, partial_transport=partial)
    scheme = (LayerTransport(values=Values.RANDOM, signs=Signs.AT_INTERVAL, every_update=True, select=1 << 22) if partial
              else LayerTransport(signs=Signs.AT_INTERVAL, scale=99))
    number = {"SELECT_2": 1 << 22} if partial else {"SCALE_2": 99}
    device = started(config, LAYERS, INTERVAL=2, INTERVAL_START=1, TRANSPORT_2=scheme.register, **number)
    twin = TtfsNetwork(config, LAYERS, interval=2, interval_start=1, schemes=[LayerTransport(), scheme])
    column = np.arange(-1200, 1200, 400)
    for j in range(4):
        send(device, write(Space.WEIGHT, 2, j, column + j))
        twin.weights[1][j] = torch.from_numpy(column + j)
    for update in range(3):
        due = twin.update().due
        assert due == (partial or update != 1)
        assert send(device, [Kind.UPDATE, 0])[0][2] == due
        for name, count in twin.counters.items():
            assert register(device, name) == count, name
        for j in range(4):
            words = [x & 0xFFFFFFFF for x in twin.feedback[1][j].tolist()]
            assert send(device, read(Space.FEEDBACK, 2, j))[0][2:] == words
    assert device.network.transport_random.tolist() == twin.transport_random.tolist()


@pytest.mark.parametrize("code", [5, 6, 7])
def test_codes_without_a_meaning_copy_nothing(code):
    device = started(CHOOSING, (3, 7, 6, 4, 2), INTERVAL=1, TRANSPORT_2=code << 3 | 3, SELECT_2=0xFFFFFFFF)
    send(device, write(Space.WEIGHT, 2, 0, [-700] * 7), write(Space.FEEDBACK, 2, 0, [3] * 7), [Kind.UPDATE, 0])
    assert send(device, read(Space.FEEDBACK, 2, 0))[0][2:] == [3] * 7


def test_transport_generators_are_a_column_of_partial_transport():
    bad = [Kind.ERROR | ErrorCode.ADDRESS << 8, 0]
    for column in (1, 2):
        assert send(started(CONFIG, LAYERS), read(Space.RANDOM, 0, column)) == [bad]
        assert send(started(CONFIG, LAYERS), write(Space.RANDOM, 0, column, [1] * 4)) == [bad]
    device = started(CHOOSING, (3, 7, 6, 4, 2))
    assert send(device, read(Space.RANDOM, 0, 2))[0][0] == send(device, write(Space.RANDOM, 0, 2, [1] * 4))[0][0] == bad[0]
    assert send(device, read(Space.RANDOM, 0, 1))[0][2:] == lane_seeds(1, 4)
    send(device, write(Space.RANDOM, 0, 1, [1, 2, 3, 0xFFFFFFFF]))
    for name, value in (("CONTROL", STOP), ("SIZE_1", 2), ("CONTROL", START)):  # another network, the same generators
        device.write_register(ADDRESS[name], value)
    assert [a[2:] for a in send(device, read(Space.RANDOM, 0, 0), read(Space.RANDOM, 0, 1))] == [
        lane_seeds(0, 4), [1, 2, 3, 0xFFFFFFFF]]


@pytest.mark.parametrize("precision, written, stored", [
    ("full", [0x17FFF, 0x28000], [32767, -32768]), ("8-bit", [0x17F, 0x280], [127, -128]), ("4-bit", [0x17, 0xFFFFFFF8], [7, -8]),
    ("sign", [2, 0xFFFFFFFF], [0, 1])])
def test_written_feedback_is_cut_to_what_is_stored(precision, written, stored):
    device = started(CoreConfig.for_network((2, 2, 2), lanes=2, feedback_precision=precision), (2, 2, 2))
    answers = send(device, write(Space.FEEDBACK, 2, 1, written), read(Space.FEEDBACK, 2, 1))
    assert device.network.feedback[1].tolist() == [[0, 0], stored]
    assert answers[1][2:] == [x & 0xFFFFFFFF for x in stored]


def test_timing_hook_fills_the_cycle_counters():
    seen = []

    class Timing:
        def begin(self):
            pass

        def __call__(self, network, record):
            seen.append(type(record).__name__)
            return {"TOTAL_CYCLES": 1 << 33}

    device = configured()
    device.timing = Timing()
    device.write_register(ADDRESS["CONTROL"], START)
    send(device, sample([(0, 5)], 1), sample([(0, 5)], 1), sample([(0, 5)]), [Kind.UPDATE, 0], read(Space.SLOPE, 1))
    assert seen == ["SampleRecord", "SampleRecord", "UpdateRecord", "AccessRecord"]
    assert (register(device, "TOTAL_CYCLES"), register(device, "TOTAL_CYCLES_HI")) == (0, 8)
    device.write_register(ADDRESS["CONTROL"], 1 << Control.CLEAR_COUNTERS)
    assert register(device, "TOTAL_CYCLES_HI") == register(device, "SAMPLES_TRAINED") == 0
