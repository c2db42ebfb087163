import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from coldspike.host.checkpoint import CHECKPOINT_NAME, Checkpoint, load_checkpoint, save_checkpoint
from coldspike.host.problems import CheckpointError

FACTS = {"state": {"epoch": 3, "loss_sum": 0.1 + 0.2}, "options": {"layers": "5-4-3"}}


def memories() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {"weight_1": random.integers(-99, 99, (5, 4)).astype(np.int32), "random": np.array([1, 2], np.uint32)}


def test_a_checkpoint_comes_back_whole(tmp_path):
    path = save_checkpoint(tmp_path / "run", Checkpoint(memories=memories(), facts=FACTS))
    found = load_checkpoint(tmp_path / "run")
    assert json.dumps(found.facts) == json.dumps(FACTS), "in their order, which is that of the columns of metrics.csv"
    assert found.memories.keys() == memories().keys()
    for name, array in memories().items():
        assert np.array_equal(found.memories[name], array) and found.memories[name].dtype == array.dtype
    assert [p.name for p in path.parent.iterdir()] == [CHECKPOINT_NAME], "no temporary file stays"


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    return save_checkpoint(tmp_path_factory.mktemp("run"), Checkpoint(memories=memories(), facts=FACTS)).read_bytes()


@settings(max_examples=60)
@given(st.data())
def test_every_truncation_is_refused(tmp_path_factory, content, data):
    folder = tmp_path_factory.mktemp("cut")
    (folder / CHECKPOINT_NAME).write_bytes(content[:data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors (is truncated or damaged|was altered)") as refusal:
        load_checkpoint(folder)
    assert "\n" not in str(refusal.value)


@settings(max_examples=200)
@given(st.data())
def test_every_flipped_bit_is_refused_or_without_effect(tmp_path_factory, content, data):
    folder, spoiled = tmp_path_factory.mktemp("flip"), bytearray(content)
    spoiled[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / CHECKPOINT_NAME).write_bytes(bytes(spoiled))
    try:
        found = load_checkpoint(folder)
    except CheckpointError as refusal:
        assert "\n" not in str(refusal)
        return
    assert found.facts == FACTS  # such as a space in the padding of the file's header
    assert all(np.array_equal(found.memories[name], array) for name, array in memories().items())


def test_an_altered_fact_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, Checkpoint(memories=memories(), facts=FACTS))
    save_file(load_file(path), path, metadata={"facts": json.dumps({"format": 1, **FACTS, "more": 1}), "digest": "0"})
    with pytest.raises(CheckpointError, match=r"was altered: its contents do not match their digest; restore the file"):
        load_checkpoint(tmp_path)


def test_a_file_without_our_facts_is_refused(tmp_path):
    save_file(memories(), tmp_path / CHECKPOINT_NAME)
    with pytest.raises(CheckpointError, match=r"was altered"):
        load_checkpoint(tmp_path)


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("coldspike.host.checkpoint.FORMAT", 99)
    save_checkpoint(tmp_path, Checkpoint(memories=memories(), facts=FACTS))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"was written by another release \(this one reads format 1\)"):
        load_checkpoint(tmp_path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors does not exist: name the folder of a run"):
        load_checkpoint(tmp_path)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, Checkpoint(memories=memories(), facts=FACTS))
    def fail(*arguments, **details):
        raise OSError("disk full")
    monkeypatch.setattr("coldspike.host.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path, Checkpoint(memories=memories(), facts={"state": 2}))
    assert load_checkpoint(tmp_path).facts == FACTS
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT_NAME]
