import json

import numpy as np
import pytest
import torch

from coldspike.host.cli import main
from coldspike.host.data import load, shuffled
from coldspike.host.reference import currents, initial_network, rasters, train_float
from coldspike.host.trainer import Trainer


def test_an_epochs_batches_hold_each_sample_once():
    batches = shuffled(50, 16, 1, 0)
    assert [len(b) for b in batches] == [16, 16, 16, 2]
    assert sorted(np.concatenate(batches)) == list(range(50))
    assert not np.array_equal(batches[0], shuffled(50, 16, 1, 1)[0])
    assert not np.array_equal(batches[0], shuffled(50, 16, 2, 0)[0])


@pytest.mark.parametrize("given", [{"feedback": "bp", "interval": 1}, {"optimizer": "sgd", "lr": "0.3", "feedback": "fbp"},
                                   {"lr": "0.002,0.001", "weight_decay": 0.1, "readout": "spike-time"}])
def test_float_and_fixed_point_learn_alike(small_options, digits, accelerator, tmp_path, given):
    options = small_options(**given, epochs=4, samples=1437, test_samples=360, batch_size=32)
    started, finished = [], []
    results = train_float(options, digits, started.append, finished.append)
    assert started == list(range(4 * 45)) and finished == results
    trainer = Trainer(accelerator(options), digits, options, tmp_path)
    trainer.run()
    # Equal but for rounding, which moves whole samples: 2 standard deviations of 360 test samples at 90 % are 0.03.
    assert len(trainer.state.rows) == len(results)
    assert abs(trainer.state.rows[-1]["train_accuracy"] - results[-1].train) < 0.02
    assert abs(trainer.state.rows[-1]["test_accuracy"] - results[-1].test) < 0.03


def test_float_and_fixed_point_learn_alike_over_time(small_options, accelerator, tmp_path):
    options = small_options(rule="sparse-bptt", layers="64-40-10", timesteps=20, window=0.5, feedback="bp", interval=1, epochs=5,
                            samples=1000, test_samples=360, batch_size=32)
    data = load("digits", 8, 1000, 360, options.steps)
    results = train_float(options, data)
    trainer = Trainer(accelerator(options), data, options, tmp_path)
    trainer.run()
    # A spike that rounding moves by a step changes what follows: 3 standard deviations of 360 test samples at 75 % are 0.07.
    assert results[-1].train > 0.6 and abs(trainer.state.rows[-1]["train_accuracy"] - results[-1].train) < 0.05
    assert abs(trainer.state.rows[-1]["test_accuracy"] - results[-1].test) < 0.07


@pytest.mark.parametrize("coding", ["current", "spikes"])
def test_float_and_fixed_point_learn_alike_by_rule_rate(small_options, accelerator, tmp_path, coding):
    options = small_options(rule="rate", layers="64-40-10", coding=coding, epochs=4, samples=1437, test_samples=360, batch_size=32)
    data = options.data_set()
    results = train_float(options, data)
    trainer = Trainer(accelerator(options), data, options, tmp_path)
    trainer.run()
    # As for rule ttfs: what rounding moves.
    assert results[-1].train > 0.85 and abs(trainer.state.rows[-1]["train_accuracy"] - results[-1].train) < 0.02
    assert abs(trainer.state.rows[-1]["test_accuracy"] - results[-1].test) < 0.03


@pytest.mark.parametrize("coding", ["current", "spikes"])
def test_the_float_network_of_rule_rate_begins_where_the_fixed_point_one_does(small_options, accelerator, tmp_path, coding):
    """Logits of the untrained networks, which differ by rounding: of weights none, of a rate half a tick."""
    options = small_options(rule="rate", layers="64-40-10", coding=coding, timesteps=5, leak=0.5, initial_scale="1,1")
    data, unit = options.data_set(), accelerator(options)
    Trainer(unit, data, options, tmp_path)
    exact = np.concatenate([part.logits for part in unit.infer(data.test.take(np.arange(40)), data.test.labels)]) / 1024
    network = initial_network(options, options.core_config())
    inputs, _ = (rasters if coding == "spikes" else currents)(data.test, options)
    found = network.infer(inputs[torch.arange(40)])[0].numpy()
    close = np.abs(found - exact).max(1) < 0.02
    assert close.mean() > 0.9 and np.abs(found).max() > 0.2  # a spike that rounding moves changes a sample's logits by more


def test_gradients_through_time_are_another_way_to_train(small_options):
    """Of one step, or one hidden layer driven by currents, the same way; else near it."""
    def accuracies(layers, **given):
        options = small_options(rule="rate", layers=layers, epochs=2, samples=320, test_samples=100, **given)
        return [train_float(options, options.data_set(), through_time=kind) for kind in (False, True)]

    for layers, given in (("64-20-10", {"timesteps": 5}), ("64-20-15-10", {"timesteps": 1})):
        rate, exact = accuracies(layers, **given)
        assert rate == exact
    rate, exact = accuracies("64-20-15-10", timesteps=5, coding="spikes")
    assert rate != exact and abs(rate[-1].train - exact[-1].train) < 0.1


def test_gradients_through_time_are_those_of_rule_rate(capsys):
    assert main(["reference", "--through-time"]) == 2
    assert "--through-time: rule ttfs has no other gradients" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--rule", "rate", "--coding", "spikes"], ["--rule", "rate", "--timesteps", "2"],
                                  ["--rule", "rate", "--through-time"]])
def test_the_command_prints_each_epoch(capsys, more):
    assert main(["reference", "--samples", "64", "--test-samples", "20", "--epochs", "2", "--json", *more]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert len(result["epochs"]) == 2 and result["test_accuracy"] == result["epochs"][-1]["test"]
    assert err.count("test") == 2


@pytest.mark.parametrize("epochs, counted", [(1, "1 epoch"), (2, "2 epochs")])
def test_the_command_says_how_many_epochs(capsys, epochs, counted):
    assert main(["reference", "--samples", "64", "--test-samples", "20", "--epochs", str(epochs)]) == 0
    assert f"% after {counted} in floating point" in capsys.readouterr().out
