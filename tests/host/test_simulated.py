"""The same driver, trainer and commands on the simulated accelerator. The first run compiles two small builds."""

import json

import pytest

from coldspike.host.checkpoint import load_checkpoint
from coldspike.host.cli import main
from coldspike.host.devices import open_device
from coldspike.host.driver import Accelerator
from coldspike.host.problems import Interrupted
from coldspike.host.trainer import Trainer


@pytest.fixture(autouse=True)
def exchanges(monkeypatch):
    """Exchanges of three batches, so that a run can be stopped within an epoch."""
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 48)


@pytest.fixture
def train(small_options, small_task):
    """Trains the small task on a device; returns the summary and the rows of metrics.csv."""
    def run(folder, device: str, checkpoint=None, watch=lambda progress: None) -> tuple[dict, list[dict]]:
        options = small_options(device=device)
        unit = open_device(device, options.core_config())
        try:
            trainer = Trainer(Accelerator(unit), small_task, options, folder, checkpoint=checkpoint, watch=watch)
            return trainer.run(), trainer.state.rows
        finally:
            unit.close()
    return run


def same(rows: list[dict]) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "samples_per_second"} for row in rows]


def test_both_devices_train_to_the_same_bits_and_cycles(tmp_path, train):
    golden, simulated = train(tmp_path / "golden", "golden"), train(tmp_path / "simulated", "simulated")
    assert simulated[0]["weights_digest"] == golden[0]["weights_digest"]
    assert same(simulated[1]) == same(golden[1])
    assert simulated[0]["counters"] == golden[0]["counters"]
    assert simulated[0]["simulated_cycles_per_second"] > 0 and golden[0]["simulated_cycles_per_second"] is None


def test_a_run_continues_with_the_same_bits_and_cycles(tmp_path, train):
    def stop(progress):
        if (progress.epoch, progress.batch) == (2, 3):
            raise KeyboardInterrupt
    with pytest.raises(Interrupted):
        train(tmp_path / "run", "simulated", watch=stop)
    found = train(tmp_path / "run", "simulated", checkpoint=load_checkpoint(tmp_path / "run"))
    expected = train(tmp_path / "whole", "simulated")
    assert same(found[1]) == same(expected[1]) and found[0]["weights_digest"] == expected[0]["weights_digest"]


def test_a_run_moves_from_one_device_to_the_other(tmp_path, train):
    expected = train(tmp_path / "whole", "golden")
    def stop(progress):
        if (progress.epoch, progress.batch) == (1, 3):
            raise KeyboardInterrupt
    with pytest.raises(Interrupted):
        train(tmp_path / "run", "simulated", watch=stop)
    found = train(tmp_path / "run", "golden", checkpoint=load_checkpoint(tmp_path / "run"))
    assert found[0]["weights_digest"] == expected[0]["weights_digest"]
    assert same(found[1]) == same(expected[1])


VERIFY = ["verify", "--layers", "9-7-5", "--lanes", "4", "--interval", "2", "--batches", "2", "--json"]


@pytest.mark.parametrize("more", [[], ["--stall", "0.4"], ["--readout", "spike-time", "--feedback", "bp"],
                                  ["--layers", "9-8-7-6-5", "--feedback", "fbp,fbp-signs,fbp", "--fraction", "0.2",
                                   "--transport", "top-k,random,change", "--probability", "0.5", "--alpha", "0.1"],
                                  ["--layers", "9-7-6-5", "--feedback", "ss,fss", "--feedback-precision", "sign"],
                                  ["--rule", "sparse-bptt", "--window", "0.5", "--layers", "9-11-7-5", "--stall", "0.1",
                                   "--rate-upper", "0.05", "--rate-lower", "0.02", "--rate-most", "3"],
                                  ["--rule", "rate", "--timesteps", "3", "--layers", "9-8-7-5"],
                                  ["--rule", "rate", "--timesteps", "5", "--layers", "9-7-6-5", "--coding", "spikes", "--schedule",
                                   "multi-step", "--feedback", "fbp,fbp-signs", "--transport", "top-k,random", "--fraction", "0.2",
                                   "--probability", "0.5", "--stall", "0.2"]])
def test_every_state_of_the_simulated_accelerator_is_the_golden_models(capsys, more):
    code = main([*VERIFY, *more])
    result = json.loads(capsys.readouterr().out)
    assert result["states"] and {kind: tally["first"] for kind, tally in result["states"].items() if tally["first"]} == {}
    assert code == 0 and result["equal"] and result["values"] > 1000


def test_a_flipped_bit_fails(capsys):
    assert main([*VERIFY, "--corrupt"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["mismatches"] == 1 and result["corrupted"]


def test_the_benchmark_measures(capsys):
    assert main(["bench", "--data", "digits", "--layers", "64-12-10", "--lanes", "4", "--samples", "96",
                 "--batch-size", "16", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["samples"] == 96 and result["interval_ratio"] >= 1
    assert 0 < result["lane_utilization"]["forward"] <= 1 and 0 < result["lane_utilization"]["backward"] <= 1
    assert result["driver_ratio"] > 0 and result["golden_samples_per_second"] > 0


def test_verilog_and_its_description_are_written(capsys, tmp_path):
    assert main(["generate", "--layers", "9-7-5", "--lanes", "4", "--out", str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"coldspike.v", "coldspike.json"}
    assert "s_axis_tdata" in (tmp_path / "coldspike.v").read_text()
    assert json.loads((tmp_path / "coldspike.json").read_text())
