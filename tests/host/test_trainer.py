import csv
import json
import os
import signal

import numpy as np
import pytest

from coldspike.host.checkpoint import load_checkpoint
from coldspike.host.initial import initial_memories
from coldspike.host.memories import read_memories, weights_digest
from coldspike.host.problems import CheckpointError, Interrupted, OptionError
from coldspike.host.report import SUMMARY_NAME
from coldspike.host.signals import stop_requests
from coldspike.host.trainer import Trainer


def table(folder) -> list[dict]:
    """Rows of metrics.csv without the speed, which no two runs share."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "samples_per_second"} for row in csv.DictReader(file)]


def counted(summary: dict) -> dict:
    """What of a summary is the same for equal runs."""
    timed = ("seconds", "per_second", "device")
    return {k: v for k, v in summary.items() if not k.endswith(timed)}


class Stop:
    """Raises KeyboardInterrupt, as Ctrl-C in the callback would, after the exchanges with these numbers."""

    def __init__(self, *numbers: int):
        self.numbers, self.seen = set(numbers), 0

    def __call__(self, progress):
        self.seen += 1
        if self.seen in self.numbers:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def together(request, monkeypatch) -> int:
    """Batches of 16 samples in an exchange: less than an epoch, so that a run can be stopped within."""
    count = getattr(request, "param", 2)
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 16 * count)
    return count


@pytest.fixture
def whole(tmp_path, small_options, small_task, accelerator):
    """An uninterrupted run: its folder and summary."""
    folder = tmp_path / "whole"
    options = small_options(lr_decay=0.5)
    return folder, Trainer(accelerator(options), small_task, options, folder).run()


@pytest.mark.parametrize("together, stops", [
    (1, (1,)), (1, (4, 7)), (1, (12,)), (2, (3,)), (2, (1, 2, 3)), (2, (2, 4)), (4, (1, 3)), (4, (2,)), (4, (4,)), (16, (1,))],
    indirect=["together"])
def test_a_run_continues_bit_identically(tmp_path, small_options, small_task, accelerator, whole, together, stops):
    """Stopped in the first, a middle and the last exchange of an epoch (then the test remains), and repeatedly."""
    folder, options = tmp_path / "parts", small_options(lr_decay=0.5)
    checkpoint, done, exchanges = None, 0, -(-6 // together)
    for stop in stops:
        batch, epoch = min(6, ((stop - 1) % exchanges + 1) * together), (stop - 1) // exchanges + 1
        with pytest.raises(Interrupted, match=rf"^stopped after batch {batch} of 6 in epoch {epoch}; "
                                              r"continue with: coldspike train --resume .*parts$"):
            Trainer(accelerator(options), small_task, options, folder, checkpoint=checkpoint, watch=Stop(stop - done)).run()
        checkpoint, done = load_checkpoint(folder), stop
    summary = Trainer(accelerator(options), small_task, options, folder, checkpoint=checkpoint).run()
    assert summary["weights_digest"] == whole[1]["weights_digest"]
    assert table(folder) == table(whole[0]) and len(table(folder)) == 2
    assert counted(summary) == counted(whole[1])
    final, expected = load_checkpoint(folder).memories, load_checkpoint(whole[0]).memories
    assert all(np.array_equal(final[name], expected[name]) for name in expected)
    assert expected["gradient_1"].any(), "momentum is among what continues"


FBP = {"feedback": "fbp", "interval": 3}


@pytest.mark.parametrize("given", [
    {"optimizer": "sgd", "lr": "0.2"}, {"feedback": "bp", "interval": None},
    {"optimizer": "sgd", "lr": "0.02", "gradient_memory": False},
    FBP | {"transport": "random", "probability": "0.5"}, FBP | {"transport": "top-k", "fraction": "0.25"},
    {"feedback": "fbp-signs", "transport": "change", "alpha": "0.01", "interval": None}, {"feedback": "fbp-signs", "interval": 3},
    {"feedback": "sfa", "interval": None}, {"feedback": "ss", "interval": None, "feedback_precision": "sign"},
    {"feedback": "fss", "interval": 3, "feedback_precision": "4-bit"}, {"feedback": "fa", "interval": None},
    {"layers": "64-12-12-10", "feedback": "fbp-signs,fss", "transport": "random,full", "probability": "0.5", "interval": 3}])
def test_other_builds_rules_and_schemes_continue_too(tmp_path, small_options, small_task, accelerator, given):
    options = small_options(**given)
    expected = Trainer(accelerator(options), small_task, options, tmp_path / "whole").run()
    unit = accelerator(options)
    with pytest.raises(Interrupted, match="^stopped after batch 4 of 6 in epoch 1"):
        Trainer(unit, small_task, options, tmp_path / "run", watch=Stop(2)).run()
    checkpoint = load_checkpoint(tmp_path / "run")
    assert checkpoint.facts["state"]["position"] == 4 % options.interval
    chance = options.transport.startswith(("random", "change"))
    assert ("transport_random" in checkpoint.memories) == options.core_config().partial_transport == (options.transport != "full")
    if chance:
        begun = initial_memories(unit, options.seed)["transport_random"]
        assert not np.array_equal(checkpoint.memories["transport_random"], begun), "the generators went on"
    summary = Trainer(accelerator(options), small_task, options, tmp_path / "run", checkpoint=checkpoint).run()
    assert counted(summary) == counted(expected) and summary["counters"] == expected["counters"]
    assert table(tmp_path / "run") == table(tmp_path / "whole")
    final, same = load_checkpoint(tmp_path / "run").memories, load_checkpoint(tmp_path / "whole").memories
    assert final.keys() == same.keys() and all(np.array_equal(final[name], same[name]) for name in same)


@pytest.mark.parametrize("given", [{"feedback": "bp", "interval": None}, {"interval": 2},
                                   {"feedback": "sfa", "interval": None, "batch_size": 20}])
def test_exchanges_change_nothing_but_what_overlaps(tmp_path, monkeypatch, small_options, small_task, accelerator, given):
    options, found = small_options(**given), []
    for samples in (1, 48, 256):
        folder = tmp_path / str(samples)
        monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", samples)
        summary = counted(Trainer(accelerator(options), small_task, options, folder).run())
        overlap = [summary["counters"].pop(name) for name in ("TOTAL_CYCLES", "EXPOSED_CYCLES")]
        loss = summary.pop("train_loss")  # a sum in another order
        assert summary.pop("cycles_per_sample") == summary["cycles"].pop("total") / 192 == overlap[0] / 192
        other = ("total_cycles", "cycles_per_sample", "train_loss")
        rows = [{name: value for name, value in row.items() if name not in other} for row in table(folder)]
        found.append((overlap, loss, summary, rows))
    assert found[0][2:] == found[1][2:] == found[2][2:]
    assert found[1][1] == pytest.approx(found[0][1]) and found[2][1] == pytest.approx(found[0][1])
    for one, some, most in zip(*(overlap for overlap, *_ in found), strict=True):
        assert one > some > most or one > some == most and options.interval == 2


def test_frequent_checkpoints_change_nothing(tmp_path, small_options, small_task, accelerator, whole):
    options = small_options(lr_decay=0.5, checkpoint_seconds=0.0)
    summary = Trainer(accelerator(options), small_task, options, tmp_path / "run").run()
    assert counted(summary) == counted(whole[1]) and table(tmp_path / "run") == table(whole[0])


def test_more_epochs_can_follow(tmp_path, small_options, small_task, accelerator):
    short, long = small_options(epochs=1), small_options(epochs=2)
    expected = Trainer(accelerator(long), small_task, long, tmp_path / "whole").run()
    Trainer(accelerator(short), small_task, short, tmp_path / "run").run()
    checkpoint = load_checkpoint(tmp_path / "run")
    assert counted(Trainer(accelerator(long), small_task, long, tmp_path / "run", checkpoint=checkpoint).run()) == counted(expected)


def test_a_signal_finishes_the_batch_and_saves(tmp_path, small_options, small_task, accelerator):
    options = small_options()
    def watch(progress):
        if progress.batch == 2:
            os.kill(os.getpid(), signal.SIGTERM)
    with stop_requests() as request, pytest.raises(Interrupted, match=r"^stopped after batch 2 of 6") as stop:
        Trainer(accelerator(options), small_task, options, tmp_path, watch=watch, request=request).run()
    assert stop.value.signal == signal.SIGTERM
    assert load_checkpoint(tmp_path).facts["state"]["batch"] == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_state_of_another_network_is_refused(tmp_path, small_options, small_task, accelerator, whole):
    options = small_options(layers="64-13-10")
    with pytest.raises(CheckpointError, match=r"^weight_1 has shape \(64, 12\), network 64-13-10 needs \(64, 13\): "):
        Trainer(accelerator(options), small_task, options, tmp_path, checkpoint=load_checkpoint(whole[0]))


def test_layers_must_be_the_data_sets(tmp_path, small_options, small_task, accelerator):
    options = small_options(layers="60-13-10")
    with pytest.raises(OptionError, match=r"^layers 60-13-10: digits needs 64 inputs and 10 outputs"):
        Trainer(accelerator(options), small_task, options, tmp_path)


def test_the_folder_tells_what_ran(whole, small_options, accelerator):
    from coldspike.host.options import resolve
    folder, summary = whole
    assert json.loads((folder / SUMMARY_NAME).read_text()) == summary
    assert resolve({}, folder / "config.toml") == small_options(lr_decay=0.5)
    promised = {"device", "rule", "feedback", "transport", "layers", "lanes", "seed", "samples_trained", "test_accuracy",
                "train_accuracy", "cycles", "cycles_per_sample", "lane_utilization", "transported_weights",
                "transport_reduction", "events_per_sample", "active_fraction", "simulated_cycles_per_second",
                "samples_per_second", "wall_seconds"}
    assert promised <= summary.keys()
    assert summary["samples_trained"] == 192 and summary["counters"]["UPDATES"] == 12
    assert summary["counters"]["SAMPLES_INFERRED"] == 0, "testing stays out of the training's counters"
    assert summary["transported_weights"] == 3 * 120 and summary["transport_reduction"] == 4.0
    assert summary["weights_digest"] == weights_digest(load_checkpoint(folder).memories)
    assert not list(folder.glob(".*")), "no temporary file stays"


def test_a_network_that_cannot_learn_is_reported(tmp_path, small_options, small_task, accelerator):
    options = small_options(epochs=1, lr="0")
    unit = accelerator(options)
    trainer = Trainer(unit, small_task, options, tmp_path)
    from coldspike.spec.packets import Space
    unit.write_space(Space.WEIGHT, 1, np.full((64, 12), -4096))  # nobody ever fires
    assert trainer.run()["warnings"] == ["epoch 1: layer 1 had no active neuron, so it did not learn; "
                                         "use a smaller --lr or another --seed"]


def test_digits_are_learnt_on_the_golden_device(tmp_path, digits, small_options, accelerator):
    options = small_options(layers="64-32-10", samples=None, test_samples=None, epochs=5, batch_size=8,
                            optimizer="sgd", lr="0.2", lr_decay=0.8, interval=10)
    unit = accelerator(options)
    summary = Trainer(unit, digits, options, tmp_path).run()
    assert summary["test_accuracy"] >= 0.90
    assert weights_digest(read_memories(unit)) == summary["weights_digest"]


@pytest.mark.parametrize("given", [
    {"coding": "current"}, {"coding": "spikes", "timesteps": 3},
    {"coding": "spikes", "rules": "ttfs,rate", "schedule": "multi-step"},
    {"gradient_memory": False, "optimizer": "sgd", "lr": "0.02"}, {"layers": "64-12-12-10", "coding": "spikes", "seed": 5}])
def test_a_run_of_rule_rate_continues_bit_identically(tmp_path, small_options, accelerator, given):
    options = small_options(rule="rate", **given)
    expected = Trainer(accelerator(options), options.data_set(), options, tmp_path / "whole").run()
    with pytest.raises(Interrupted, match="^stopped after batch 4 of 6 in epoch 1"):
        Trainer(accelerator(options), options.data_set(), options, tmp_path / "run", watch=Stop(2)).run()
    checkpoint = load_checkpoint(tmp_path / "run")
    summary = Trainer(accelerator(options), options.data_set(), options, tmp_path / "run", checkpoint=checkpoint).run()
    assert counted(summary) == counted(expected) and table(tmp_path / "run") == table(tmp_path / "whole")
    assert summary["counters"]["MEMBRANE_SATURATIONS"] == 0 and "membrane_saturations" in table(tmp_path / "run")[0]
    shares = [summary["active_fraction"][-1], *(float(row[f"active_fraction_{len(options.layers) - 1}"]) for row in
                                                table(tmp_path / "run"))]
    assert shares == [1.0] * 3, "one visit of each output neuron, whatever T"


@pytest.mark.parametrize("coding, least", [("current", 0.93), ("spikes", 0.88)])
def test_digits_are_learnt_by_rule_rate(tmp_path, small_options, accelerator, coding, least):
    options = small_options(rule="rate", coding=coding, layers="64-40-10", samples=None, test_samples=None, epochs=3, interval=10)
    summary = Trainer(accelerator(options), options.data_set(), options, tmp_path).run()
    assert summary["test_accuracy"] >= least
    levels, spikes = summary["events_per_sample"][0] < 40, summary["events_per_sample"][0] > 60
    assert levels if coding == "current" else spikes
