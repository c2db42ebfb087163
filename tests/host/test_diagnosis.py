"""What is told while a network trains, on real runs and on counters that are given."""

from types import SimpleNamespace

import numpy as np
import pytest

from coldspike.host.checkpoint import load_checkpoint
from coldspike.host.diagnosis import Diagnosis
from coldspike.host.options import resolve
from coldspike.host.problems import Interrupted, OptionError
from coldspike.host.trainer import Trainer
from coldspike.spec.packets import Space

SPARSE = {"rule": "sparse-bptt", "timesteps": 8, "layers": "64-12-12-10", "feedback": "bp", "interval": 1, "epochs": 1}
OTHERWISE = "use a larger --window or --initial-scale, a smaller --lr or another --seed"
ROOM = "use a larger --spike-entries or --job-entries"


@pytest.fixture
def diagnosis():
    """A diagnosis of batches of two samples and what it told."""
    def make(lines=(), **given):
        told = []
        return Diagnosis(resolve(SPARSE | {"batch_size": 2} | given), list(lines), told.append), told
    return make


def answers(*active, lost=()):
    """What the accelerator answers to batches of two: who of weight layers 1 to 3 was active in each, samples without room."""
    overflowed = np.isin(np.arange(2 * len(active)), lost)
    return SimpleNamespace(active=np.array(active, bool), overflowed=overflowed)


def test_a_silent_layer_is_told_once_an_epoch(diagnosis):
    found, told = diagnosis()
    found.batches(1, 1, answers([1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 0, 1]))
    assert told == [f"epoch 1: layer 2 had no active neuron in batch 2, so nothing below it learned; {OTHERWISE}"]
    found.batches(1, 5, answers([1, 0, 1], [1, 1, 0]))
    assert len(told) == 1
    found.batches(1, 9, answers([0, 0, 0]))
    assert told[1:] == [f"epoch 1: layer 1 had no active neuron in batch 9, so nothing below it learned; {OTHERWISE}"]
    found.batches(2, 1, answers([0, 0, 1]))
    assert [line[:16] for line in told[2:]] == ["epoch 2: layer 1", "epoch 2: layer 2"]
    found.epoch(2, {"ACTIVE_1": 6, "ACTIVE_2": 0}, 0, 10)
    assert len(told) == 4


def test_lost_samples_are_no_silence(diagnosis):
    """Nothing is active where nothing found room: what helps is room, not a larger window, which takes more of it."""
    found, told = diagnosis()
    found.batches(1, 1, answers([0, 0, 0], [1, 1, 1], [0, 0, 0], lost=(0, 1, 2, 4, 5)))
    assert told == []
    found.epoch(1, {"ACTIVE_1": 0, "ACTIVE_2": 0, "OVERFLOWS": 96}, 0, 40)
    assert told == [f"epoch 1: 96 samples found no room on the tape and were not learned from; {ROOM}"]


def test_a_batch_with_some_room_is_looked_at(diagnosis):
    found, told = diagnosis()
    found.batches(1, 1, answers([1, 1, 1], [0, 1, 1], lost=(1, 2)))
    assert [line.partition(", ")[0] for line in told] == ["epoch 1: layer 1 had no active neuron in batch 2"]


def test_one_step_needs_more_steps(diagnosis):
    found, told = diagnosis(timesteps=1)
    found.batches(1, 1, answers([0, 0, 1]))
    assert [line.partition("; ")[2] for line in told] == ["use --timesteps 2 or more: spikes reach the next layer a step later"] * 2


def test_other_rules_are_looked_at_after_an_epoch(diagnosis):
    found, told = diagnosis(rule="ttfs", timesteps=None)
    found.batches(1, 1, answers([0, 0, 1]))
    found.epoch(1, {"ACTIVE_1": 3, "ACTIVE_2": 0}, 0, 40)
    assert told == ["epoch 1: layer 2 had no active neuron, so it did not learn; use a smaller --lr or another --seed"]


def test_what_was_told_before_is_not_told_again(diagnosis):
    found, told = diagnosis(lines=["epoch 1: layer 1 had no active neuron in batch 1, so ..."])
    found.batches(1, 5, answers([0, 1, 1]))
    assert told == []


def test_a_run_tells_at_once_and_goes_on_silently(tmp_path, small_options, accelerator, monkeypatch):
    """Nobody fires: the lines come after the first exchange, and a run that continues has the same ones."""
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 32)
    options, told = small_options(**SPARSE | {"lr": "0.001"}), []

    def silent(unit):
        unit.write_space(Space.WEIGHT, 1, np.full((64, 12), -4096))
        return unit

    def stop(progress):
        assert len(told) == 2, "hidden layers 1 and 2"
        raise KeyboardInterrupt

    trainer = Trainer(accelerator(options), options.data_set(), options, tmp_path / "run", watch=stop, warn=told.append)
    silent(trainer.accelerator)
    with pytest.raises(Interrupted):
        trainer.run()
    begin = [f"epoch 1: layer {l} had no active neuron in batch 1" for l in (1, 2)]
    assert [line.partition(", ")[0] for line in told] == begin
    checkpoint = load_checkpoint(tmp_path / "run")
    summary = Trainer(accelerator(options), options.data_set(), options, tmp_path / "run", checkpoint=checkpoint,
                      warn=told.append).run()
    assert summary["warnings"] == told and len(told) == 2


def test_a_run_tells_of_samples_without_room_in_training_and_test(tmp_path, small_options, accelerator):
    options, told = small_options(**SPARSE | {"timesteps": 16, "initial_scale": "3,3,1", "spike_entries": 42}), []
    summary = Trainer(accelerator(options), options.data_set(), options, tmp_path / "run", warn=told.append).run()
    lost = summary["counters"]["OVERFLOWS"]
    assert 0 < lost < 96 and told[0].startswith(f"epoch 1: {lost} samples found no room on the tape and were not learned from")
    count, rest = told[1].removeprefix("epoch 1: ").split(" ", 1)
    assert 0 < int(count) < 40 and rest == "of 40 test samples found no room on the tape, their predictions come from a part of " \
                                           f"their spikes; {ROOM}"
    assert told == summary["warnings"] and len(told) == 2


def test_a_sample_that_no_tape_of_the_build_holds_is_refused_before_training(small_options):
    options = small_options(**SPARSE | {"spike_entries": 20})
    lengths = np.diff(small_options(**SPARSE).data_set().train.starts)
    first = int(np.flatnonzero(lengths > 20)[0])
    with pytest.raises(OptionError, match=f"^--spike-entries 20: training sample {first} of digits alone has {lengths[first]}; "
                                          "use more$"):
        options.data_set()
    coded = small_options(rule="rate", coding="spikes", timesteps=3, spike_entries=40)
    whole = small_options(rule="rate", coding="spikes", timesteps=3).data_set().train
    words = [len(whole.take([n])[0]) for n in range(len(whole))]
    first = next(n for n, count in enumerate(words) if count > 40)
    with pytest.raises(OptionError, match=f"^--spike-entries 40: training sample {first} of digits alone has {words[first]}; "):
        coded.data_set()
    assert small_options(rule="rate", coding="spikes", timesteps=3, spike_entries=max(words)).data_set().train.take([0])
