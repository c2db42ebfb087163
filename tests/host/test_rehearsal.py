"""A rehearsal does what the run's first batches do."""

import numpy as np
import pytest

from coldspike.host import rehearsal as module
from coldspike.host.memories import read_memories
from coldspike.host.rehearsal import rehearsal
from coldspike.host.trainer import Trainer

SPARSE = {"rule": "sparse-bptt", "timesteps": 6, "lr": "0.01"}


@pytest.mark.parametrize("given", [{}, SPARSE, {"rule": "rate", "coding": "spikes", "timesteps": 3}])
def test_a_rehearsal_is_the_first_samples_of_the_run(tmp_path, small_options, accelerator, monkeypatch, given):
    monkeypatch.setattr(module, "WORTHWHILE", 192)
    monkeypatch.setattr(module, "REHEARSED", 32)
    options = small_options(**given)
    data, unit = options.data_set(), accelerator(options)
    rehearsal(options, data)(unit.device)
    other = Trainer(accelerator(options), data, options, tmp_path).accelerator
    chosen = np.arange(32)
    other.train(data.train.take(chosen), data.train.labels[chosen], batch_size=16)
    unit.configure(options.settings(0))
    mine, expected = read_memories(unit), read_memories(other)
    assert mine.keys() == expected.keys() and all((mine[name] == expected[name]).all() for name in mine)


def test_short_runs_are_not_rehearsed(small_options, monkeypatch):
    options = small_options()
    data = options.data_set()
    assert rehearsal(options, data) is None, "2 epochs of 96 samples"
    assert rehearsal(options, data, always=True) is not None
    monkeypatch.setattr(module, "WORTHWHILE", 193)
    assert rehearsal(options, data) is None
    monkeypatch.setattr(module, "WORTHWHILE", 192)
    assert rehearsal(options, data) is not None
