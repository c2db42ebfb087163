import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldspike.host import packets
from coldspike.host.problems import DriverError
from coldspike.spec.packets import TWO_WORD_SPACES, Kind, Space


def split(words, last) -> list[list[int]]:
    """Packets of a stream, one word at a time."""
    out, packet = [], []
    for word, end in zip(words.tolist(), last.tolist(), strict=True):
        packet.append(word)
        if end:
            out.append(packet)
            packet = []
    assert not packet, "the stream ends within a packet"
    return out


@st.composite
def batches(draw):
    samples, inputs = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    fired = random.random((samples, inputs)) < draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    return (random.integers(0, 257, (samples, inputs)), fired, random.integers(0, 10, samples),
            random.random(samples) < 0.5)


@given(batches())
def test_samples_are_encoded_as_the_packet_table_says(batch):
    times, fired, labels, train = batch
    found = split(*packets.encode_samples(times, labels, train=train, fired=fired))
    expected = []
    for n in range(len(labels)):
        events = [int(i) | int(times[n, i]) << 16 for i in range(times.shape[1]) if fired[n, i]]
        expected.append([Kind.SAMPLE | int(train[n]) << 8 | int(labels[n]) << 16, len(events), *events])
    assert found == expected


@given(batches())
def test_an_input_fires_where_its_time_is_above_zero_unless_told(batch):
    times, _, labels, _ = batch
    found = packets.encode_samples(times, labels, train=True)
    expected = packets.encode_samples(times, labels, train=True, fired=times > 0)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_a_write_is_a_packet_for_each_column(elements, columns, seed):
    values = np.random.default_rng(seed).integers(-(1 << 31), 1 << 31, (elements, columns))
    found = split(*packets.encode_writes(Space.FEEDBACK, 3, values))
    expected = [[Kind.WRITE | Space.FEEDBACK << 8 | 3 << 16, j, *(int(v) & 0xFFFFFFFF for v in values[:, j])]
                for j in range(columns)]
    assert found == expected


def test_reads_and_the_update_are_two_words_each():
    assert split(*packets.encode_reads(Space.LEVEL, 2, 3)) == [[Kind.READ | 5 << 8 | 2 << 16, j] for j in range(3)]
    assert split(*packets.encode_update()) == [[Kind.UPDATE, 0]]


@given(st.sampled_from(list(Space)), st.integers(1, 5), st.integers(1, 4), st.integers(0, 1000))
def test_elements_come_back_with_their_sign(space, elements, columns, seed):
    random = np.random.default_rng(seed)
    signed, wide = packets.is_signed(space), space in TWO_WORD_SPACES
    low, high = (-(1 << 50), 1 << 50) if wide else (-(1 << 31), 1 << 31) if signed else (0, 1 << 32)
    values = random.integers(low, high, (elements, columns))
    words = []
    for j in range(columns):
        words += [Kind.READ, j]
        for value in values[:, j].tolist():
            words += [value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF] if wide else [value & 0xFFFFFFFF]
    assert np.array_equal(packets.decode_elements(np.array(words, np.uint32), space, columns), values)


def test_potentials_have_a_sign_and_eligibilities_do_not():
    assert packets.is_signed(Space.MEMBRANE) and not packets.is_signed(Space.ELIGIBILITY)
    words = np.array([Kind.READ, 0, 0xFFFFFFFF, 31], np.uint32)
    assert packets.decode_elements(words, Space.MEMBRANE, 1)[:, 0].tolist() == [-1, 31]
    assert packets.decode_elements(words, Space.ELIGIBILITY, 1)[:, 0].tolist() == [(1 << 37) - 1]


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000))
def test_sample_results_are_decoded(samples, outputs, seed):
    random = np.random.default_rng(seed)
    logits, labels = random.integers(-(1 << 31), 1 << 31, (samples, outputs)), random.integers(0, 9, samples)
    predictions = random.integers(0, 9, samples)
    words = [word for n in range(samples) for word in (
        Kind.SAMPLE, n, int(predictions[n]) | int(labels[n]) << 16, *(int(z) & 0xFFFFFFFF for z in logits[n]))]
    found = packets.decode_samples(np.array(words, np.uint32), np.arange(samples) * (3 + outputs), outputs)
    assert np.array_equal(found.logits, logits)
    assert np.array_equal(found.labels, labels) and np.array_equal(found.predictions, predictions)


KINDS = np.array([Kind.SAMPLE, Kind.UPDATE])
GOOD = np.array([Kind.SAMPLE, 7, 0, 5, Kind.UPDATE, 8, 1], np.uint32), np.array([0, 0, 0, 1, 0, 0, 1], bool)


def test_active_layers_of_each_batch_are_decoded():
    words = np.array([Kind.UPDATE, 7, 0b101, Kind.UPDATE, 8, 0b11010], np.uint32)
    found = packets.decode_active(words, np.array([0, 3]), 4)
    assert found.tolist() == [[False, True, False, False], [True, False, True, True]] and found.dtype == bool


def test_good_results_give_their_start_positions():
    assert packets.check_results(*GOOD, KINDS, 7).tolist() == [0, 4]


@pytest.mark.parametrize("change, message", [
    ((0, Kind.ERROR | 6 << 8), r"^packet 7 was dropped: LABEL: the label is not an output neuron; .*outputs - 1$"),
    ((0, Kind.ERROR | 99 << 8), r"^packet 7 was dropped: unknown error code 99$"),
    ((0, Kind.READ), r"^result 7 of kind 4 came where packet 7 of kind 1 was expected; "),
    ((5, 9), r"^result 9 of kind 2 came where packet 8 of kind 2 was expected; "),
])
def test_wrong_results_are_named(change, message):
    words = GOOD[0].copy()
    words[change[0]] = change[1]
    with pytest.raises(DriverError, match=message):
        packets.check_results(words, GOOD[1], KINDS, 7)


@pytest.mark.parametrize("length", [0, 1, 4, 6])
def test_missing_results_are_counted(length):
    with pytest.raises(DriverError, match=r"^the accelerator returned [01] complete result packets instead of 2; "):
        packets.check_results(GOOD[0][:length], GOOD[1][:length], KINDS, 7)


def test_events_over_time_are_packets_of_their_own_length():
    events = [np.array([3, 1 << 16], np.uint32), np.zeros(0, np.uint32), np.array([5], np.uint32)]
    words, last = packets.encode_events(events, np.array([2, 0, 7]), train=np.array([True, False, True]))
    assert words.tolist() == [1 | 1 << 8 | 2 << 16, 2, 3, 1 << 16, 1, 0, 1 | 1 << 8 | 7 << 16, 1, 5]
    assert np.flatnonzero(last).tolist() == [3, 5, 8]
