import json

import numpy as np
import pytest

from coldspike.host.cli import main
from coldspike.host.data import load, shuffled
from coldspike.host.reference import train_float
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


def test_the_command_prints_each_epoch(capsys):
    assert main(["reference", "--samples", "64", "--test-samples", "20", "--epochs", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert len(result["epochs"]) == 2 and result["test_accuracy"] == result["epochs"][-1]["test"]
    assert err.count("test") == 2
