"""Experiment rate at a small size: what is measured, against counts made here; its table and figure."""

import copy
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from coldspike.host.data import Split
from coldspike.host.events import CodedSplit, EventSplit
from coldspike.host.experiments.figures import draw
from coldspike.host.experiments.plan import EXPERIMENTS, Study
from coldspike.host.experiments.rate import COLUMNS, RateRow
from coldspike.host.experiments.runs import Results, carry_out
from coldspike.host.experiments.tables import markdown, rich_table, rows
from coldspike.host.experiments.traces import Probe, cosines, cost, learning_bits
from coldspike.model.exact import RateNetwork
from coldspike.model.timing import backward
from coldspike.model.timing_rate import forward
from coldspike.spec.config import CoreConfig
from coldspike.spec.rate import RateSettings

LAYERS, STEPS = (9, 11, 6, 4), 5
SMALL = {"rule": "rate", "data": "digits", "layers": (64, 12, 9, 10), "lanes": 4, "batch_size": 16, "epochs": 2,
         "samples": 160, "test_samples": 30, "lr": (0.01,), "timesteps": 3, "max_steps": 4, "feedback": "bp"}


def network(coded=False, **build) -> RateNetwork:
    config = CoreConfig.for_network(LAYERS, lanes=2, rules="rate", max_steps=8, spike_entries=200, **build)
    net, generator = RateNetwork(config, LAYERS, RateSettings(steps=STEPS, coded=coded)), torch.Generator().manual_seed(3)
    for matrices in (net.weights, net.feedback[1:]):
        for values in matrices:
            values[:] = (torch.randn(values.shape, generator=generator) * 3000).long()
    net.feedback[1:] = [weight.clone() for weight in net.weights[1:]]
    return net


def samples(coded=False, count=7) -> Split | CodedSplit:
    random, labels = np.random.default_rng(4), np.arange(7) % LAYERS[-1]
    if not coded:
        return Split(times=random.integers(0, 257, (count, LAYERS[0])), labels=labels)
    spikes = random.random((count, STEPS, LAYERS[0])) < 0.4
    sample, step, index = np.nonzero(spikes)
    starts = np.concatenate([[0], np.bincount(sample, minlength=count).cumsum()])
    events = EventSplit(events=(index | step << 16).astype(np.uint32), starts=starts, labels=labels)
    return CodedSplit(spikes=events, steps=STEPS, window=256)


@pytest.mark.parametrize("coded", [False, True])
def test_a_probe_is_the_first_samples(coded):
    split = samples(coded)
    probe = Probe.of(split, 3, LAYERS[0])
    assert probe.labels.tolist() == [0, 1, 2] and (probe.spikes is not None) == coded
    if coded:
        expected = [[word & 0xFFFF | (word >> 16) << 16 for word in words if word >> 31 == 0] for words in split.take(np.arange(3))]
        found = [[int(i | probe.levels[n, i] << 16) for i in probe.levels[n].nonzero()[:, 0]] for n in range(3)]
        assert found == expected
    else:
        assert np.array_equal(probe.levels, split.times[:3])


@pytest.mark.parametrize("coded", [False, True])
def test_gradients_are_near_those_through_time(coded):
    net, probe = network(coded), Probe.of(samples(coded), 7, LAYERS[0])
    before = copy.deepcopy(net.gradients)
    values = cosines(net, probe)
    assert len(values) == 3 and all(0.7 < value <= 1.0001 for value in values) and values[-1] > 0.999
    assert all(torch.equal(a, b) for a, b in zip(before, net.gradients, strict=True)), "the network is left as it is"
    net.feedback[2] = -net.feedback[2]
    assert cosines(net, probe)[0] < 0, "what is measured goes through the feedback weights"


def test_the_cost_of_a_sample():
    net, probe = network(), Probe.of(samples(), 7, LAYERS[0])
    found = cost(net, probe)
    trained, shown = probe.train(copy.deepcopy(net)), probe.infer(copy.deepcopy(net))
    assert found["backward"] == pytest.approx(backward(net, trained)[0].mean()) and found["backward"] <= found["most_backward"]
    # 14 cycles a layer and the blocks of 2 lanes of the layer before, for each neuron.
    assert found["most_backward"] == 3 * 14 + 11 * 5 + 6 * 6 + 4 * 3
    for schedule, cycles in found["schedules"].items():
        own = network(schedule=schedule)
        assert cycles == {"forward": pytest.approx(sum(forward(own, trained)).mean()),
                          "untrained": pytest.approx(sum(forward(own, shown)).mean())}
        assert cycles["untrained"] < cycles["forward"] < 1.2 * cycles["untrained"]
    assert found["schedules"]["single-step"] != found["schedules"]["multi-step"]
    assert found["through_time"]["bits"] == STEPS * (9 + 11 + 6 + 18 * (11 + 6))


def test_learning_memory_depends_on_the_build_alone():
    config = network().config
    # Rates of 9 bits and a mark; 4 bits of a neuron's number and two factors; 4 bits of a count up to 8, 25 + 3 of an eligibility.
    assert learning_bits(config, LAYERS) == {"rates": 10 * 26, "lists": 36 * 21, "traces": 32 * 17,
                                             "spikes": {"single-step": 11, "multi-step": 88}}
    more = learning_bits(replace(config, max_steps=16), LAYERS)
    assert more["traces"] == 34 * 17 and more["spikes"]["multi-step"] == 176


@pytest.fixture
def row(tmp_path, monkeypatch) -> RateRow:
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 16)
    results = Results(tmp_path / "results")
    study = Study(network="two hidden layers", name="T = 3", given=SMALL)
    carry_out(results, [study], 1, tmp_path / "work", Console(file=io.StringIO()))
    return rows([study], results, 1, RateRow)[0]


def test_a_row_of_the_table(row, tmp_path):
    result, plain = row.results[0], row.plain()
    assert [each["update"] for each in result["cosines"]] == list(range(1, 21))
    assert plain["steps"] == 3 and plain["cosines"] == pytest.approx(np.mean([r["layers"] for r in result["cosines"]], axis=0))
    assert {kind: len(values) for kind, values in result["float"].items()} == {"rate": 2, "bptt": 2}
    assert plain["float"] == {kind: values[-1] for kind, values in result["float"].items()}
    assert plain["cycles_per_sample"]["backward"] == result["counters"]["BACKWARD_CYCLES"] / 320
    assert 0 < plain["trace_overhead"] < 0.2 and plain["cycles_per_sample"]["backward"] <= plain["most_backward"]
    assert plain["learning_bits"] == sum(result["cost"]["bits"][name] for name in ("rates", "lists", "traces"))
    text = markdown([row], COLUMNS)
    assert text.count("\n") == 3 and "| T = 3 | 1 |" in text and rich_table("title", [row], COLUMNS).row_count == 1
    paths = draw("rate", [row, row], tmp_path)
    assert [p.name for p in paths] == ["rate.png", "rate.svg"] and all(p.stat().st_size > 1000 for p in paths)


def test_the_plan():
    """One build for all numbers of steps; each run is repeated on the simulated RTL."""
    studies = EXPERIMENTS["rate"].studies
    assert [study.run(1).options.timesteps for study in studies] == [1, 2, 4, 8, 16]
    assert all(study.repeated for study in studies)
    assert len({study.run(1).options.core_config() for study in studies}) == 1
