"""Experiment sparse at a small size: what is measured, against counts made here; its table and figure."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from coldspike.host.experiments.activity import built_tape_bits, dense_record, schedule
from coldspike.host.experiments.energy import saved
from coldspike.host.experiments.figures import draw
from coldspike.host.experiments.plan import EXPERIMENTS, Study
from coldspike.host.experiments.runs import Results, carry_out
from coldspike.host.experiments.sparse import COLUMNS, SparseRow, draw_sparse
from coldspike.host.experiments.tables import markdown, rich_table, rows
from coldspike.model.exact import SparseBpttNetwork
from coldspike.model.timing_over_time import backward, least_backward
from coldspike.spec.config import CoreConfig
from coldspike.spec.lif import GradientForm, LifSettings

LAYERS, STEPS = (9, 11, 6, 4), 8
SMALL = {"rule": "sparse-bptt", "data": "digits", "layers": (64, 12, 9, 10), "lanes": 4, "batch_size": 16, "epochs": 2,
         "samples": 160, "test_samples": 30, "lr": (0.01,), "timesteps": 10, "error_scales": (4, 2, 0), "feedback": "bp"}


def network(window=0.5, gradients=GradientForm.CHEAPER) -> SparseBpttNetwork:
    config = CoreConfig.for_network(LAYERS, lanes=2, rules="sparse-bptt", max_steps=STEPS)
    settings = LifSettings(steps=STEPS, beta=0.9, window=int(window * 4096), scales=(4, 2, 0), gradients=gradients)
    net, generator = SparseBpttNetwork(config, LAYERS, settings), torch.Generator().manual_seed(3)
    for matrices in (net.weights, net.feedback[1:]):
        for values in matrices:
            values[:] = (torch.randn(values.shape, generator=generator) * 4096).long()
    return net


def samples(count=5) -> tuple[torch.Tensor, np.ndarray]:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(count, STEPS, LAYERS[0], generator=generator) < 0.3, np.arange(count) % LAYERS[-1]


def test_a_dense_sample_leaves_nothing_out():
    """Each neuron is active in each step but the first, of which no potential has an error."""
    net = network(gradients=GradientForm.ACTIVE)
    record = dense_record(net)
    assert [int(each.sum()) for each in record.active] == [n * (STEPS - 1) for n in LAYERS[1:-1]]
    assert [int(each.sum()) for each in record.jobs] == [11 * (STEPS - 1), 6 * (STEPS - 1), 4]
    assert [int(each.sum()) for each in record.spikes] == [n * STEPS for n in LAYERS[:-1]]
    # Of layer 1 each job meets 5 blocks, of layer 2 6 blocks (errors: as many, and a look for each active neuron), of 3 3 blocks.
    # Spikes of the last step are behind the jobs, but for those of the output.
    words = 11 * 7 * 5 + 9 * 7, max(6 * 7 * 6 + 11 * 7, 6 * 6 * 6 + 11 * 7), max(4 * 3 + 6 * 8, 4 * 3 + 6 * 7)
    assert least_backward(net, record).tolist() == [sum(words)]
    assert least_backward(net, record, words_only=True).tolist() == [11 * 7 * 5 + 6 * 7 * 6 + 4 * 3]
    assert sum(words) < backward(net, record)[0] < 1.2 * sum(words)


def test_a_schedule_is_that_of_the_samples():
    net = network()
    before = [gradient.clone() for gradient in net.gradients]
    spikes, labels = samples()
    found = schedule(net, spikes, labels)
    assert all(torch.equal(a, b) for a, b in zip(before, net.gradients, strict=True)), "the network is left as it is"
    record = net.train(spikes, torch.from_numpy(labels))[3]
    assert found["samples"] == 5 and found["spikes"][0] == pytest.approx(float(spikes.sum()) / 5)
    assert found["backward"] == pytest.approx(backward(net, record).mean()) and "ideal" not in found
    assert found["least"] == pytest.approx(least_backward(net, record).mean())
    assert found["least_words"] == pytest.approx(least_backward(net, record, words_only=True).mean())
    assert found["least_words"] < found["least"] < found["backward"] and found["dense_least"] < found["dense_backward"]
    assert found["jobs"] == [pytest.approx(net.counters[f"ACTIVE_{l}"] / 5) for l in (1, 2, 3)]
    assert found["dense_backward"] == backward(network(gradients=GradientForm.ACTIVE), dense_record(net))[0]
    assert found["dense_gradient_words"] == 11 * 7 * 5 + 6 * 7 * 6 + 4 * 3
    assert found["dense_forward"] > found["forward"] and found["dense_backward"] > found["backward"]
    # Entries: 3 + 4 bits of a spike (8 steps, 11 neurons), 4 + 4 + 18 of an active neuron; dense: 18-bit potentials, spikes.
    bits = (sum(found["spikes"]) * 7) + (sum(found["jobs"][:2]) + 4) * 26
    assert found["tape_bits"] == pytest.approx(bits) and found["most_tape_bits"] >= bits
    assert found["dense_bits"] == STEPS * (9 + 11 + 6 + 18 * (11 + 6))
    assert built_tape_bits(net.config) == 2048 * 7 + 2 * 1024 * 26
    assert built_tape_bits(replace(net.config, spike_entries=100, job_entries=30)) == 100 * 7 + 2 * 30 * 26


def test_samples_without_room_are_left_out():
    net = network()
    spikes, labels = samples()
    entries = sorted(int(each.sum()) for each in spikes)[2] + 40
    small = network()
    small.config = replace(net.config, spike_entries=entries)
    assert 0 < schedule(small, spikes, labels)["samples"] < 5


@pytest.mark.parametrize("form", GradientForm)
@pytest.mark.parametrize("window", [0.1, 0.5, 1.0, 1.5, 256.0])
def test_savings_are_those_of_the_entries(window, form):
    """From counters alone, and of samples that are learned from: some find no room."""
    net, (spikes, labels) = network(window, form), samples(6)
    fired = sum(each.sum((1, 2)) for each in net.infer(spikes)[3].spikes)
    net = network(window, form)
    net.config = replace(net.config, spike_entries=int(fired.max()) - 1)
    record = net.train(spikes, torch.from_numpy(labels))[3]
    kept, count = record.learned, int(record.learned.sum())
    assert 0 < count < 6
    dense_words = count * (11 * 7 * 5 + 6 * 7 * 6 + 4 * 3)
    found = saved(net.config, net.settings, LAYERS, net.counters, dense_words // count)
    first, second = (pytest.approx(1 - float(each[kept].double().mean())) for each in record.active)
    assert (found["w_bound"], found["s_bound"]) == ([second], [first])
    layers = list(zip(record.jobs, record.spikes, (5, 6, 3), strict=True))
    assert found["w_all_bound"] == pytest.approx(1 - sum(int(jobs.sum()) * blocks for jobs, _, blocks in layers) / dense_words)
    assert found["w_counted"] == pytest.approx(1 - net.counters["GRADIENT_WORDS"] / dense_words)
    # Of layer 2 the error sweep leaves out jobs of the first step.
    assert found["s_counted"] == pytest.approx(1 - int(record.jobs[1][:, 1:].sum()) / (count * 6 * 6))
    assert window > 1 or found["s_counted"] <= found["w_bound"][0]
    if form is GradientForm.ACTIVE:
        idle = [int((jobs & (spikes.any(2).cumsum(1) == 0)[:, :, None]).sum()) * blocks for jobs, spikes, blocks in layers]
        assert found["w_counted"] == pytest.approx(found["w_all_bound"] + sum(idle) / dense_words)
        assert idle[1] > 0 if window > 1 else not any(idle[:2])


def test_nothing_is_saved_where_every_neuron_is_active():
    dense = {"SAMPLES_TRAINED": 3, "OVERFLOWS": 1, "ACTIVE_1": 2 * 77, "ACTIVE_2": 2 * 42, "ACTIVE_3": 2 * 4,
             "GRADIENT_WORDS": 2 * 649}
    net = network(256.0)
    found = saved(net.config, net.settings, LAYERS, dense, 649)
    assert found == {"w_bound": [1 / 8], "s_bound": [1 / 8], "w_all_bound": 0, "w_counted": 0, "s_counted": 0}


@pytest.fixture
def row(tmp_path, monkeypatch) -> SparseRow:
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 16)
    results = Results(tmp_path / "results")
    study = Study(network="two hidden layers", name="w = 0.5", given=SMALL | {"window": 0.5})
    carry_out(results, [study], 1, tmp_path / "work", Console(file=io.StringIO()))
    return rows([study], results, 1, SparseRow)[0]


def test_a_row_of_the_table(row, tmp_path):
    result, plain = row.results[0], row.plain()
    assert [each["update"] for each in result["activity"]] == list(range(1, 21)) and len(result["activity"][0]["layers"]) == 2
    assert plain["window"] == 0.5 and plain["active_fraction"] == result["active_fraction"][:2]
    assert plain["cycles_per_sample"]["backward"] == result["counters"]["BACKWARD_CYCLES"] / 320
    assert plain["speedup"] > 1 and plain["backward_speedup"] > 1
    assert plain["backward_over_words"] > plain["backward_over_least"] > 1 and plain["overflows"] == 0
    assert plain["tape_bits"] < plain["most_tape_bits"] < plain["built_tape_bits"]
    assert 0 < plain["gradient_words"] < plain["dense_gradient_words"]
    counters = result["counters"]
    assert plain["energy_saved"]["s_bound"] == [pytest.approx(1 - plain["active_fraction"][0])]
    assert plain["energy_saved"]["w_counted"] == pytest.approx(
        1 - counters["GRADIENT_WORDS"] / 320 / plain["dense_gradient_words"])
    text = markdown([row], COLUMNS)
    assert text.count("\n") == 3 and f"| w = 0.5 | 1 | {100 * plain['accuracy']:.2f} |" in text
    assert rich_table("title", [row], COLUMNS).row_count == 1
    everything = replace(row, study=replace(row.study, given=row.study.given | {"window": math.inf}))
    other = replace(row, study=replace(row.study, group="another"))
    paths = draw("sparse", [row, row, other, everything], tmp_path)
    assert [p.name for p in paths] == ["sparse.png", "sparse.svg"] and all(p.stat().st_size > 1000 for p in paths)


def test_a_row_of_an_older_result(row):
    """What it does not hold is not made up; its bound of another definition is not shown."""
    kept = {name: value for name, value in row.results[0]["schedule"].items() if "least" not in name}
    older = row.results[0] | {"schedule": kept | {"ideal": 9.0}}
    plain = replace(row, results=[older]).plain()
    for found in (plain, replace(row, results=[row.results[0], older]).plain()):
        assert found["backward_over_least"] is None and found["backward_over_words"] is None
        assert [COLUMNS[name](found) for name in ("backward / least", "backward / least, words only")] == ["-", "-"]
    silent = row.results[0] | {"schedule": row.results[0]["schedule"] | {"least": 0.0, "least_words": 0.0}}
    assert COLUMNS["backward / least"](replace(row, results=[silent]).plain()) == "-"
    now = row.plain()
    assert COLUMNS["backward / least"](now) == f"{now['backward_over_least']:.3f}"
    assert {k: v for k, v in now.items() if "_over_" not in k} == {k: v for k, v in plain.items() if "_over_" not in k}


def test_columns_of_the_tape(row):
    plain = row.plain() | {"tape_bits": 1000.0, "most_tape_bits": 4000.0, "built_tape_bits": 50_000, "dense_bits": 20_000.0,
                           "overflows": 1234.0}
    assert COLUMNS["tape, bits: mean used / most used / built"](plain) == "1,000 / 4,000 / 50,000"
    assert COLUMNS["dense store / tape: mean used / most used / built"](plain) == "20.0 x / 5.0 x / 0.4 x"
    assert COLUMNS["samples without room on it"](plain) == "1,234" and COLUMNS["dense store, bits"](plain) == "20,000"


def test_the_figure_has_activity_against_the_window(row):
    from matplotlib.figure import Figure

    wider = replace(row, study=replace(row.study, given=row.study.given | {"window": 0.9}))
    figure = Figure()
    draw_sparse(figure, [wider, row])
    accuracy, activity, speed, training = figure.axes
    shares = row.plain()["active_fraction"]
    assert [line.get_label() for line in activity.get_lines()] == ["layer 1", "layer 2"]
    for line, share in zip(activity.get_lines(), shares, strict=True):
        assert line.get_xdata().tolist() == [0.5, 0.9] and line.get_ydata().tolist() == [100 * share] * 2
    assert len(speed.get_lines()) == 2 and len(training.get_lines()) == 2 and "accuracy" in accuracy.get_ylabel()


def test_the_plan():
    """The paper's windows, two of them with more epochs; the usual one and a narrow one are repeated on the simulated RTL."""
    studies = EXPERIMENTS["sparse"].studies
    assert [study.run(1).options.window for study in studies] == [0.2, 0.1, 0.05, 0.02, 0.01, 0.001, 0.95, 0.5, 0.2, 0.05, math.inf]
    assert [study.name for study in studies if study.repeated] == ["w = 0.2", "w = 0.05, ten epochs", "all neurons active"]
    assert [study.run(1, samples=1000).options.samples for study in studies] == [1000] * 10 + [64]
    assert {study.run(1).options.layers for study in studies} == {(784, 200, 200, 10)}
