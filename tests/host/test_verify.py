import numpy as np
import pytest

from coldspike.host import states
from coldspike.host.builds import joined
from coldspike.host.devices import open_device
from coldspike.host.over_time import OverTimeOptions
from coldspike.host.rate_based import CODINGS, RateOptions
from coldspike.host.stimuli import KINDS, random_coded, random_settings
from coldspike.host.verify import Verification
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.network import Readout
from coldspike.spec.packets import TWO_WORD_SPACES, Kind, Space, header, layer_ranges

LAYERS = (7, 6, 5, 3)


class Fault:
    """A golden device, one word of whose answers to reads of one space is wrong once."""

    def __init__(self, config, space: Space):
        self._device, self._space, self.armed = open_device("golden", config), space, True

    def __getattr__(self, name):
        return getattr(self._device, name)

    def exchange(self, words, last, results):
        received, ends = self._device.exchange(words, last, results)
        # An empty list has nothing to be wrong.
        if self.armed and int(words[0]) & 0xFFFF == header(Kind.READ, self._space) and len(received) > 2:
            self.armed = False
            received = received.copy()
            received[-1 if self._space not in TWO_WORD_SPACES else -2] ^= 1
        return received, ends


def verification(second=None, *, gradient_memory=True, partial=False, readout=Readout.POTENTIAL, **details) -> Verification:
    config = CoreConfig.for_network(LAYERS, lanes=2, gradient_memory=gradient_memory, partial_transport=partial)
    settings = random_settings(np.random.default_rng(1), config, LAYERS, interval=2, batch_size=4, readout=readout)
    check = Verification(open_device("golden", config), second(config) if second else open_device("golden", config),
                         [settings], seed=5, **details)
    check.run(3, 4)
    return check


@pytest.mark.parametrize("gradient_memory", [True, False])
@pytest.mark.parametrize("readout", Readout)
def test_equal_devices_are_equal_in_every_state(gradient_memory, readout):
    check = verification(gradient_memory=gradient_memory, readout=readout)
    assert check.mismatches == 0
    assert all(tally.nonzero for kind, tally in check.tallies.items() if kind != states.CYCLES)
    weights = sum(a * b for a, b in zip(LAYERS, LAYERS[1:], strict=False))
    each = {"weights W": weights, "feedback weights B": weights - 42, "gradients G": weights, "slopes W_j": 14,
            "levels A_j": 14, "spikes a_j": 21, "error sums": 11, "output errors": 3, "random states": 2,
            "cycle counters": 7}
    expected = {kind: 5 * count for kind, count in each.items()}  # three batches, two of them before the update, too
    if not gradient_memory:
        del expected["gradients G"]
    found = {kind: tally.values for kind, tally in check.tallies.items()}
    assert expected.items() <= found.items()
    assert found.keys() - expected.keys() == {states.COUNTS, states.REGISTERS, states.RESULTS}


def over_time(**more) -> Verification:
    """Two golden devices of rule sparse-bptt; ``more`` may hold ``second`` as for ``verification``."""
    options = OverTimeOptions(steps=9, tau=8.0, window=0.4, over_time="max")
    config = CoreConfig.for_network(LAYERS, lanes=2, **options.build(LAYERS))
    settings = random_settings(np.random.default_rng(1), config, LAYERS, interval=2, batch_size=4, readout=Readout.POTENTIAL,
                               over_time=options.random_settings(config, np.random.default_rng(2), LAYERS))
    second = more.pop("second", lambda config: open_device("golden", config))
    check = Verification(open_device("golden", config), second(config), [settings], seed=5, **more)
    check.run(3, 4)
    return check


def test_equal_devices_over_time_are_equal_in_every_state():
    check = over_time()
    assert check.mismatches == 0 and all(tally.nonzero for kind, tally in check.tallies.items() if kind != states.CYCLES)
    assert {"membrane sums", "spikes on the tape", "active neurons and jobs", "output errors"} < check.tallies.keys()


@pytest.mark.parametrize("space, name", [(Space.JOBS, "active neurons and jobs"), (Space.SPIKES, "spikes on the tape"),
                                         (Space.SLOPE, "membrane sums")])
def test_a_fault_in_a_memory_over_time_is_found_and_located(space, name):
    check = over_time(second=lambda config: Fault(config, space))
    assert check.mismatches == check.tallies[name].mismatches == 1
    assert ": layer " in check.tallies[name].first and "golden" in check.tallies[name].first


def rate(coding="current", rules=None, batches=3, **more) -> Verification:
    """Two golden devices of rule rate, or of several rules in turn; ``more`` may hold ``second`` as for ``verification``."""
    sparse = OverTimeOptions(steps=5, tau=8.0, window=0.4, over_time="max")
    options = RateOptions(steps=5, leak=0.3, coding=coding, schedule="multi-step")
    build = joined([sparse.build(LAYERS), options.build(LAYERS)]) | {"rules": rules or ["rate"]}
    config = CoreConfig.for_network(LAYERS, lanes=2, **build)
    over_time = sparse.random_settings(config, np.random.default_rng(2), LAYERS) if "sparse-bptt" in build["rules"] else None
    settings = random_settings(np.random.default_rng(1), config, LAYERS, interval=2, batch_size=4, readout=Readout.POTENTIAL,
                               over_time=over_time, rate=options.settings())
    second = more.pop("second", lambda config: open_device("golden", config))
    turns = [settings.of(rule) for rule in config.rules]
    check = Verification(open_device("golden", config), second(config), turns, seed=5, **more)
    check.run(batches, 4)
    return check


@pytest.mark.parametrize("coding", CODINGS)
def test_equal_devices_of_rule_rate_are_equal_in_every_state(coding):
    check = rate(coding)
    assert check.mismatches == 0 and all(tally.nonzero for kind, tally in check.tallies.items() if kind != states.CYCLES)
    each = {"potentials u": 11, "eligibilities F": 11, "rates r_j": 21, "levels A_j": 14, "slopes W_j": 14, "error sums": 11}
    assert {kind: 5 * count for kind, count in each.items()}.items() <= {k: t.values for k, t in check.tallies.items()}.items()
    assert not {"active neurons and jobs", "spikes a_j"} & check.tallies.keys()


def test_a_build_of_all_rules_takes_turns_with_them():
    check = rate("spikes", list(Rule), batches=8)
    assert check.mismatches == 0
    assert {"spikes a_j", "rates r_j", "spikes on the tape", "membrane sums", "potentials u"} <= check.tallies.keys()


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("space", [s for s in layer_ranges(CoreConfig(rules="rate"), Rule.RATE, 3) if s is not Space.DECAY])
def test_a_fault_in_any_memory_of_rule_rate_is_found_and_located(space, coding):
    check = rate(coding, second=lambda config: Fault(config, space))
    tally = check.tallies[(states.KIND_NAMES | states.RULE_NAMES[Rule.RATE])[space]]
    assert tally.mismatches == 1 == check.mismatches
    place = "lane 1" if space is Space.RANDOM else "neuron"
    assert tally.first.startswith("batch 1, before its update: ") and place in tally.first and "golden" in tally.first


@pytest.mark.parametrize("coding", CODINGS)
def test_one_flipped_bit_of_rule_rate_is_found(coding):
    check = rate(coding, corrupt=True)
    assert check.mismatches == 1 and check.corrupted


@pytest.mark.parametrize("coding", CODINGS)
def test_random_data_of_rule_rate_reach_every_kind_of_neuron(coding):
    """Silent, firing in some and in all steps; without an eligibility, with a small and a large one; potentials that saturate."""
    layers = (60, 30, 20, 10)
    options = RateOptions(steps=5, leak=0.9, coding=coding)
    config = CoreConfig.for_network(layers, lanes=4, **options.build(layers))
    settings = random_settings(np.random.default_rng(3), config, layers, interval=2, batch_size=6, readout=Readout.POTENTIAL,
                               rate=options.settings())
    check = Verification(open_device("golden", config), open_device("golden", config), [settings], seed=3)
    kinds = dict.fromkeys(("silent", "some", "all", "passive", "weak", "strong", "level 0", "level 1"), 0)
    for _ in range(6):
        check.run(1, 6)
        unit = check.sides[0]
        rates, factor = (unit.read_space(space, 1)[:, 0] for space in (Space.SPIKES, Space.ELIGIBILITY))
        fired, a = rates >> 15 == 1, rates & 0x7FFF
        kinds["silent"] += (~fired).sum()
        kinds["some"] += (fired & (a < 256)).sum()
        kinds["all"] += (a == 256).sum()
        kinds["passive"] += (factor == 0).sum()
        kinds["weak"] += ((factor > 0) & (factor < 1 << 22)).sum()
        kinds["strong"] += (factor > 1 << 23).sum()
        inputs = unit.read_space(Space.SPIKES, 0)[:, 0]
        kinds["level 0"] += (inputs == 1 << 15).sum()
        kinds["level 1"] += (inputs == 256 | 1 << 15).sum()
    assert min(kinds.values()) > 0, kinds
    counters = unit.counters()
    assert min(counters[name] for name in ("MEMBRANE_SATURATIONS", "TRANSPORTS", "WEIGHT_SATURATIONS", "EVENTS_0", "EVENTS_2")) > 0


def test_coded_samples_keep_to_the_build():
    """Levels without spikes, spikes without levels; no more of both than the build holds."""
    config = CoreConfig.for_network((9, 4, 3), lanes=2, rules="rate", max_steps=5, spike_entries=20)
    random = np.random.default_rng(1)
    found = [random_coded(random, config, 9, 5, kind) for kind in KINDS for _ in range(20)]
    assert max(map(len, found)) == 20 and min(map(len, found)) == 0
    levels, spikes = ([set((words[words >> 31 == n] & 0xFFFF).tolist()) for words in found] for n in (0, 1))
    assert any(a - b for a, b in zip(levels, spikes, strict=True)) and any(b - a for a, b in zip(levels, spikes, strict=True))


def test_random_data_reach_every_kind_of_neuron():
    config = CoreConfig.for_network((40, 30, 20, 10), lanes=4)
    settings = random_settings(np.random.default_rng(3), config, (40, 30, 20, 10), interval=2, batch_size=6,
                               readout=Readout.POTENTIAL)
    check = Verification(open_device("golden", config), open_device("golden", config), [settings], seed=3)
    kinds = {"silent": 0, "saturated": 0, "active": 0, "late": 0}
    before = check.sides[0].read_matrix(Space.WEIGHT, 2)
    for _ in range(6):
        check.run(1, 6)
        spikes = check.sides[0].read_space(Space.SPIKES, 1)[:, 0]
        fired, a = spikes >> 15 == 1, spikes & 0x7FFF
        kinds["silent"] += (~fired).sum()
        kinds["saturated"] += (fired & (a == 256)).sum()
        kinds["active"] += (fired & (a > 0) & (a < 256)).sum()
        kinds["late"] += (fired & (a < 128)).sum()
    counters = check.sides[0].counters()
    assert min(kinds.values()) > 0, kinds
    assert min(counters[name] for name in ("LEVEL_CLIPS", "SLOPE_CLIPS", "TRANSPORTS", "WEIGHT_SATURATIONS")) > 0
    moved = np.abs(check.sides[0].read_matrix(Space.WEIGHT, 2) - before)
    assert np.mean(moved > 40) > 0.3, "updates move many weights by 1 % of 1.0 or more"


def test_one_flipped_bit_is_found():
    check = verification(corrupt=True)
    assert check.mismatches == 1 and check.corrupted
    (tally,) = [tally for tally in check.tallies.values() if tally.mismatches]
    assert tally.first.startswith("batch ")


@pytest.mark.parametrize("space", layer_ranges(CoreConfig(), Rule.TTFS, 3))
def test_a_fault_in_any_memory_is_found_and_located(space):
    check = verification(lambda config: Fault(config, space))
    tally = check.tallies[states.KIND_NAMES[space]]
    assert tally.mismatches == 1 == check.mismatches
    place = "lane 1" if space is Space.RANDOM else "neuron"
    assert tally.first.startswith("batch 1, before its update: ") and place in tally.first and "golden" in tally.first


def test_a_fault_in_the_generators_of_transport_is_found_and_located():
    check = verification(lambda config: Fault(config, Space.RANDOM), partial=True)
    tally = check.tallies[states.KIND_NAMES[Space.RANDOM]]
    assert check.mismatches == 1 and tally.first.startswith("batch 1, before its update: of transport, lane 1: simulated ")
    assert tally.values == 2 * verification().tallies[states.KIND_NAMES[Space.RANDOM]].values


def test_total_cycles_can_be_left_out():
    config = CoreConfig.for_network((3, 2), lanes=2)
    settings = random_settings(np.random.default_rng(1), config, (3, 2), interval=1, batch_size=1, readout=Readout.POTENTIAL)
    for total, count in ((True, 14), (False, 10)):
        check = Verification(open_device("golden", config), open_device("golden", config), [settings], seed=1, total_cycles=total)
        check.run(1, 1)
        assert check.tallies[states.CYCLES].values == count
