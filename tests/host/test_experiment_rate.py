"""Experiment rate at a small size: what is measured, against counts made here; its table and figure."""

import copy
import io

import numpy as np
import pytest
import torch
from rich.console import Console

from coldspike.host.data import Split
from coldspike.host.events import CodedSplit, EventSplit
from coldspike.host.experiments.figures import draw
from coldspike.host.experiments.kept import dense_tape_bits
from coldspike.host.experiments.plan import EXPERIMENTS, Study
from coldspike.host.experiments.rate import COLUMNS, RateRow, besides_words, trace_overhead
from coldspike.host.experiments.runs import Results, carry_out
from coldspike.host.experiments.tables import markdown, rich_table, rows
from coldspike.host.experiments.traces import Probe, cosines, cost, over_steps
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


@pytest.mark.parametrize("coded", [False, True])
def test_the_backward_pass_of_the_same_weights_at_other_steps(coded):
    """T up to the build's, against networks that a host sets up for it; coded inputs spike on as in their first steps."""
    net, probe = network(coded), Probe.of(samples(coded), 7, LAYERS[0])
    found = over_steps(net, probe)
    assert list(found) == ["1", "2", "4", "5", "8"] and found["5"] == cost(net, probe)["backward"]
    for steps in (1, 8):
        other = RateNetwork(net.config, LAYERS, RateSettings(steps=steps, coded=coded))
        other.weights, other.feedback = net.weights, net.feedback
        spikes = torch.stack([probe.spikes[:, t % STEPS] for t in range(steps)], 1) if coded else None
        levels = (spikes.sum(1) * 256 / steps).round().long() if coded else probe.levels
        record = other.train(levels, levels > 0, probe.labels, spikes)[2]
        assert found[str(steps)] == backward(other, record)[0].mean()
    assert net.settings.steps == STEPS and (len(set(found.values())) > 1) is coded


@pytest.mark.parametrize("schedule", ["single-step", "multi-step"])
@pytest.mark.parametrize("coded", [False, True])
def test_traces_cost_what_was_measured_and_what_all_passes_take_at_most(monkeypatch, schedule, coded):
    """Against a timing model whose passes take no time but their blocks': the bound takes those away, too."""
    net, probe = network(coded, schedule=schedule), Probe.of(samples(coded), 7, LAYERS[0])
    cycles = cost(net, probe)["schedules"][schedule]
    found = trace_overhead(cycles, LAYERS, 2, STEPS)
    assert found["measured"] == cycles["forward"] / cycles["untrained"] - 1
    # Passes of 6 and 3 blocks and 9 cycles, five each.
    assert found["at_most"] == pytest.approx(cycles["forward"] / (cycles["untrained"] - 5 * (6 + 9 + 3 + 9)) - 1)
    monkeypatch.setattr("coldspike.spec.pipeline.TRACE_DEPTH", 0)
    without = cost(net, probe)["schedules"][schedule]["untrained"]
    assert found["measured"] < cycles["forward"] / without - 1 < found["at_most"]
    least = cycles["untrained"] - 5 * (6 + 9 + 3 + 9)
    assert least < without <= least + 5 * (6 + 3), "no more than the blocks is left of what is charged"


def test_backward_cycles_besides_the_words_of_listed_neurons():
    """Of any T the same: 14 cycles of each layer, as the hardware's counters tell of samples in which all layers are visited."""
    for steps in (1, 5, 8):
        net = network()
        other = RateNetwork(net.config, LAYERS, RateSettings(steps=steps))
        other.weights, other.feedback = net.weights, net.feedback
        record = Probe.of(samples(), 7, LAYERS[0]).train(other)
        counters = dict(other.counters) | {"BACKWARD_CYCLES": int(backward(other, record)[0].sum())}
        assert besides_words({"layers": list(LAYERS), "lanes": 2, "counters": counters}) == 3 * 14


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
    assert plain["least_cosines"] == np.min([r["layers"] for r in result["cosines"]], axis=0).tolist() != plain["cosines"]
    assert plain["over_float_bptt"] == pytest.approx(result["test_accuracy"] - result["float"]["bptt"][-1])
    for phase in ("forward", "backward"):
        assert plain["cycles_per_sample"][phase] == result["counters"][f"{phase.upper()}_CYCLES"] / 320
    assert plain["probed"] == {name: cycles["forward"] for name, cycles in result["cost"]["schedules"].items()}
    # 12 and 9 neurons in blocks of 4, three steps.
    assert plain["trace_overhead"] == trace_overhead(result["cost"]["schedules"]["single-step"], (64, 12, 9, 10), 4, 3)
    assert 0 < plain["trace_overhead"]["measured"] < plain["trace_overhead"]["at_most"]
    # One word of four gradients a cycle: 16, 3 and 3 of each listed neuron.
    words = sum(blocks * result["counters"][f"ACTIVE_{l}"] for l, blocks in ((1, 16), (2, 3), (3, 3))) / 320
    assert plain["backward_besides_words"] == pytest.approx(plain["cycles_per_sample"]["backward"] - words)
    assert plain["backward_besides_words"] == 42
    assert plain["most_backward"] == 42 + 12 * 16 + 9 * 3 + 10 * 3
    assert list(plain["backward_over_steps"]) == ["1", "2", "3", "4"]
    assert plain["learning_bits"] == sum(result["cost"]["bits"][name] for name in ("rates", "lists", "traces"))
    tape = dense_tape_bits(row.study.run(1).options.core_config(), (64, 12, 9, 10), 3)
    assert plain["through_time"] == result["cost"]["through_time"] | {"tape_bits": tape}
    line = dict(zip(COLUMNS, (show(plain) for show in COLUMNS.values()), strict=True))
    assert line["test accuracy, %"] == f"{100 * result['test_accuracy']:.2f}", "one seed deviates by nothing"
    assert line["accelerator - float BPTT, points"] == f"{100 * plain['over_float_bptt']:+.2f}"
    text = markdown([row], COLUMNS)
    assert text.count("\n") == 3 and "| T = 3 | 1 |" in text and rich_table("title", [row], COLUMNS).row_count == 1
    paths = draw("rate", [row, row], tmp_path)
    assert [p.name for p in paths] == ["rate.png", "rate.svg"] and all(p.stat().st_size > 1000 for p in paths)


def test_what_a_result_does_not_hold_is_not_known(row):
    """Results of earlier runs have no cycles at other steps."""
    head = "same weights at every T: least / most / spread, %"
    values = row.plain()["backward_over_steps"].values()
    assert COLUMNS[head](row.plain()).startswith(f"{min(values):,.0f} / {max(values):,.0f} / ")
    del row.results[0]["cost"]["over_steps"]
    assert row.plain()["backward_over_steps"] is None and COLUMNS[head](row.plain()) == "-"


def test_the_plan():
    """One build for all numbers of steps; each run is repeated on the simulated RTL."""
    studies = EXPERIMENTS["rate"].studies
    assert [study.run(1).options.timesteps for study in studies] == [1, 2, 4, 8, 16]
    assert all(study.repeated for study in studies)
    assert len({study.run(1).options.core_config() for study in studies}) == 1
