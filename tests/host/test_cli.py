import json
import re

import pytest

from coldspike.host.checkpoint import CHECKPOINT_NAME
from coldspike.host.cli import main
from coldspike.host.devices import open_device
from coldspike.spec.config import CoreConfig

QUICK = ["train", "--device", "golden", "--layers", "64-12-10", "--samples", "64", "--test-samples", "20", "--epochs", "2",
         "--lanes", "4"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLDSPIKE_TRACEBACK", raising=False)


@pytest.fixture
def run(capsys):
    """Runs a command line: exit code, standard output, standard error."""
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        return code, *capsys.readouterr()
    return run


@pytest.fixture
def trained(run, tmp_path):
    folder = tmp_path / "run"
    assert run(*QUICK, "--out", str(folder), "--no-plot")[0] == 0
    return folder


def test_training_records_the_run_and_prints_the_summary(run, tmp_path):
    code, out, err = run(*QUICK, "--out", "here", "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary == json.loads((tmp_path / "here" / "summary.json").read_text())
    assert {p.name for p in (tmp_path / "here").iterdir()} == {
        "summary.json", "metrics.csv", "config.toml", CHECKPOINT_NAME, "curve.png", "curve.svg"}
    assert err.count("epoch ") == 2


def test_runs_are_numbered_and_a_table_ends_them(run, tmp_path):
    for number in (1, 2):
        code, out, _ = run(*QUICK, "--no-plot")
        assert code == 0 and (tmp_path / "runs" / f"digits-fbp-{number}" / "summary.json").exists()
        for text in ("test accuracy", "forward cycles", "update cycles", "weights transported", "reduction against BP"):
            assert text in out


@pytest.mark.parametrize("arguments", [
    ("verify", "--interval", "0"), ("verify", "--interval", "x"), ("experiment", "table1", "--seeds", "-3")])
def test_an_option_out_of_range_is_named_with_its_value(run, arguments):
    code, out, err = run(*arguments)
    assert code == 2 and not out and arguments[-1] in err and arguments[-2] in err and err.count("\n") == 1, err


@pytest.mark.parametrize("more, names", [
    (["--feedback", "fa"], ()), (["--feedback", "ss", "--feedback-precision", "sign"], ()),
    (["--transport", "top-k", "--fraction", "0.25", "--interval", "2"], ("transport_random",)),
    (["--layers", "64-12-12-10", "--feedback", "fbp-signs,sfa", "--transport", "change,full", "--alpha", "0.01"],
     ("transport_random",))])
def test_schemes_train_from_the_command_line(run, tmp_path, more, names):
    from coldspike.host.checkpoint import load_checkpoint
    code, out, _ = run(*QUICK, "--out", "here", "--no-plot", "--json", *more)
    summary = json.loads(out)
    assert code == 0 and summary["feedback"] == (more[more.index("--feedback") + 1] if "--feedback" in more else "fbp")
    assert (summary["counters"]["TRANSPORTS"] > 0) == (summary["feedback"] != "fa")
    assert load_checkpoint(tmp_path / "here").memories.keys() - {"random"} >= set(names)


@pytest.mark.parametrize("coding", ["current", "spikes"])
def test_rule_rate_trains_and_continues(run, tmp_path, coding):
    quick = [*QUICK, "--rule", "rate", "--coding", coding, "--timesteps", "3"]
    code, out, err = run(*quick, "--epochs", "1", "--out", "here", "--json")
    assert code == 0 and err.count("epoch ") == 1
    summary = json.loads(out)
    assert (summary["rule"], summary["core"]["rules"], summary["core"]["max_steps"]) == ("rate", ["rate"], 3)
    assert (tmp_path / "here" / "curve.png").exists()
    assert f'coding = "{coding}"' in (tmp_path / "here" / "config.toml").read_text()
    resumed = json.loads(run("train", "--resume", "here", "--epochs", "2", "--json")[1])
    whole = json.loads(run(*quick, "--out", "whole", "--no-plot", "--json")[1])
    assert resumed["weights_digest"] == whole["weights_digest"] != summary["weights_digest"]


@pytest.mark.parametrize("rule, more", [("rate", []), ("rate", ["--coding", "spikes", "--schedule", "multi-step"]),
                                        ("ttfs,rate", ["--leak", "0.9"]), ("ttfs,sparse-bptt,rate", ["--coding", "spikes"])])
def test_verify_takes_turns_with_rule_rate(run, monkeypatch, rule, more):
    """Of golden devices in both places."""
    builds = []

    def golden(name, config, **details):
        builds.append(config)
        return open_device("golden", config)
    monkeypatch.setattr("coldspike.host.command_verify.open_device", golden)
    code, out, _ = run("verify", "--layers", "9-7-6-5", "--rule", rule, "--timesteps", "6", "--batches", "4", "--json", *more)
    result = json.loads(out)
    assert code == 0 and result["equal"] and result["states"]["potentials u"]["values"] > 0
    assert ("spikes a_j" in result["states"]) == ("ttfs" in rule)
    assert [str(each) for each in builds[0].rules] == rule.split(",") and builds[0].max_steps == 6
    assert str(builds[0].schedule) == ("multi-step" if "multi-step" in more else "single-step")
    assert builds[0].spike_entries == (6 * 22 if "sparse" in rule else 9 * 7)


def test_a_build_of_rule_rate_is_generated(run, monkeypatch, tmp_path):
    from coldspike.hw import verilog
    monkeypatch.setattr(verilog, "generate", lambda config: "text")
    monkeypatch.setattr(verilog, "description", lambda config: config.as_dict())
    def facts(*more):
        assert run("generate", "--layers", "9-7-5", "--lanes", "4", "--out", str(tmp_path), *more)[0] == 0
        return json.loads((tmp_path / "coldspike.json").read_text())
    found = facts("--rule", "rate", "--schedule", "multi-step", "--max-steps", "9", "--spike-entries", "77", "--job-entries", "5")
    assert (found["rules"], found["schedule"], found["max_steps"], found["spike_entries"]) == (["rate"], "multi-step", 9, 77)
    assert found["job_entries"] == CoreConfig().job_entries
    joint = facts("--rule", "rate,sparse-bptt", "--max-steps", "9", "--job-entries", "5")
    assert (joint["rules"], joint["max_steps"], joint["job_entries"]) == (["sparse-bptt", "rate"], 9, 5)
    assert facts("--max-steps", "9", "--schedule", "multi-step")["max_steps"] == CoreConfig().max_steps


def test_a_config_file_repeats_a_run(run, trained):
    code, out, _ = run("train", "--config", str(trained / "config.toml"), "--out", "again", "--json")
    assert code == 0
    assert json.loads(out)["weights_digest"] == json.loads((trained / "summary.json").read_text())["weights_digest"]


def test_a_run_can_be_continued(run, trained):
    code, out, _ = run("train", "--resume", str(trained), "--epochs", "3", "--json")
    assert code == 0 and json.loads(out)["epochs"] == 3
    whole = run(*QUICK, "--epochs", "3", "--json", "--no-plot")
    assert json.loads(whole[1])["weights_digest"] == json.loads(out)["weights_digest"]


@pytest.mark.parametrize("arguments, code, message", [
    (["train", "--layers", "64-x-10"], 2, r"layers '64-x-10': write at least two positive sizes joined by '-'"),
    (["train", "--layers", "784-10"], 2, r"layers 784-10: digits needs 64 inputs and 10 outputs"),
    (["train", "--lr", "1000"], 2, r"learning rate 1000 at batch size \d+ is outside what this build can apply"),
    (["train", "--data", "mnist"], 2, r"--data 'mnist' is unknown; choose one of: digits, fashion-mnist"),
    (["train", "--data", "nmnist"], 2, r"--data nmnist: these are recordings over time; add --rule sparse-bptt"),
    (["bench", "--data", "shd"], 2, r"--data shd: these are recordings over time; add --rule sparse-bptt"),
    (["train", "--rule", "sparse-bptt", "--timesteps", "4097"], 2, r"--timesteps 4097: a build has 1 to 4096"),
    (["train", "--rule", "rate", "--data", "nmnist", "--coding", "current"], 2,
     r"--data nmnist: these are recordings over time; use --coding spikes"),
    (["train", "--rule", "rate", "--leak", "1"], 2, r"--leak 1\.0: 0 to below 1 is needed"),
    (["verify", "--rule", "rate", "--leak", "-1"], 2, r"--leak -1\.0: 0 to below 1 is needed"),
    (["verify", "--rule", "rate", "--readout", "spike-time"], 2,
     r"--readout spike-time: rule rate knows none; leave it out, or choose another --rule"),
    (["verify", "--rule", "rate", "--window", "0.5"], 2, r"--window 0\.5: rule rate knows none; leave it out, or choose another "),
    (["verify", "--rule", "ttfs,rate", "--job-entries", "9", "--batches", "2"], 2, r"--job-entries 9: rules ttfs, rate know none"),
    (["verify", "--rule", "sparse-bptt", "--no-gradient-memory"], 2, r"--no-gradient-memory: rule sparse-bptt knows none; "),
    (["verify", "--timesteps", "6"], 2, r"--timesteps 6: rule ttfs knows none; leave it out, or choose another --rule"),
    (["verify", "--rule", "rate,ttfs,rate"], 2, r"--rule rate,ttfs,rate: rate is there twice; name each rule once"),
    (["verify", "--rule", "rate", "--timesteps", "5000"], 2, r"--timesteps 5000: a build has 1 to 4096"),
    (["verify", "--rule", "rate", "--coding", "times"], 2, r"--coding 'times' is unknown; choose one of: current, spikes"),
    (["verify", "--schedule", "x"], 2, r"--schedule 'x' is unknown; choose one of: single-step, multi-step"),
    (["generate", "--rule", "rate", "--schedule", "x"], 2, r"--schedule 'x' is unknown; choose one of: single-step, multi-step"),
    (["train", "--epochs", "many"], 2, r"--epochs'?:? .*many"),
    (["train", "--device", "board"], 2, r"--device 'board' is unknown"),
    (["train", "--samples", "5000"], 2, r"samples = 5000: this data set has 1 to 1437"),
    (["train", "--resume", "nowhere"], 1, r"nowhere/checkpoint\.safetensors does not exist: name the folder of a run"),
    (["train", "--config", "none.toml"], 2, r"none\.toml cannot be read"),
    (["verify", "--layers", "5"], 2, r"layers '5': write at least two"),
    (["verify", "--rule", "ttfs,bptt"], 2, r"--rule 'bptt' is unknown; choose one of: ttfs, sparse-bptt"),
    (["verify", "--rule", "ttfs,sparse-bptt", "--batches", "1"], 2,
     r"--batches 1: of the 2 rules ttfs,sparse-bptt each needs one at least"),
    (["verify", "--lanes", "5"], 2, r"lanes = 5: the lane count must be a power of two"),
    (["verify", "--feedback", "dfa"], 2, r"--feedback 'dfa' is unknown; choose one of: bp, fbp, fbp-signs, sfa, ss, fss, fa"),
    (["verify", "--feedback-precision", "2-bit"], 2, r"--feedback-precision '2-bit' is unknown; choose one of: full, 8-bit, "),
    (["verify", "--transport", "random"], 2, r"--transport random needs --probability"),
    (["verify", "--transport", "change", "--alpha", "1;2"], 2, r"--alpha '1;2': write numbers joined by commas"),
    (["verify", "--layers", "9-7-6-5", "--feedback", "fbp,fa,fa"], 2, r"--feedback: 3 values for 2 layers with feedback weights"),
    (["verify", "--interval", "0"], 2, r"--interval'?:? .*0"),
    (["train", "--interval", "0"], 2, r"--interval 0: at least 1 is needed"),
    (["train", "--feedback", "fbp", "--transport", "top-k"], 2, r"--transport top-k needs --fraction"),
    (["train", "--feedback", "fa", "--interval", "3"], 2, r"--feedback fa knows no interval: leave out --interval 3, or "),
    (["train", "--transport", "top-k", "--fraction", "nan"], 2, r"--fraction nan: a share of the weights above 0 and up to 1 "),
    (["train", "--feedback", "sfa", "--feedback-precision", "sign"], 2, r"--feedback sfa: this build keeps signs only"),
    (["verify", "--stall", "1"], 2, r"stall = 1\.0: a probability from 0 to 0\.99 is needed"),
    (["verify", "--gradient-bits", "40"], 2, r"gradient_bits = 40: an integer from 8 to 32 is needed"),
    (["generate", "--layers", "0-1"], 2, r"layers '0-1': write at least two positive sizes"),
    (["bench", "--samples", "10"], 2, r"--samples 10: at least one batch of 64 is needed"),
    (["learn"], 2, r"No such command 'learn'"),
])
def test_a_mistake_is_one_line(run, arguments, code, message):
    found, out, err = run(*arguments)
    assert found == code and out == ""
    assert re.fullmatch(rf"coldspike: .*{message}.*\n", err), err


@pytest.mark.parametrize("arguments, message", [
    (["fashion-mnist"], r"train-images-idx3-ubyte\.gz does not exist: put the file from .* there.*"),
    (["nmnist", "--rule", "sparse-bptt"], r"nmnist does not exist: put the folders Train and Test from www\.\S+ there, unpacked"),
    (["fsdd", "--rule", "sparse-bptt"], r"recordings does not exist: put the folder recordings from github\.com/\S+ there"),
    (["braille", "--rule", "sparse-bptt"], r"braille\S+npz does not exist: put it there \(readings of zenodo.org/\S+ .*\)"),
    (["shd", "--rule", "sparse-bptt"], r"shd_train\.h5\.gz does not exist: put the file from zenkelab\.org/datasets there"),
])
def test_missing_data_is_one_line(run, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setenv("COLDSPIKE_DATA", str(tmp_path))
    code, _, err = run("train", "--device", "golden", "--data", *arguments)
    assert code == 1
    assert re.fullmatch(rf"coldspike: \S+{message}\n", err), err


@pytest.mark.parametrize("arguments, message", [
    (["--layers", "64-13-10"], r"--layers 64-13-10: this run began with 64-12-10; leave the option out"),
    (["--out", "other"], r"--out other: a run continues in its own folder"),
])
def test_a_run_does_not_become_another(run, trained, arguments, message):
    code, _, err = run("train", "--resume", str(trained), *arguments)
    assert code == 2 and re.match(rf"coldspike: {message}", err) and err.count("\n") == 1


def test_a_finished_run_is_not_overwritten(run, trained):
    before = (trained / CHECKPOINT_NAME).read_bytes()
    code, _, err = run(*QUICK, "--out", str(trained))
    assert code == 2 and re.match(r"coldspike: --out \S+: holds a run already; continue it with --resume", err)
    assert (trained / CHECKPOINT_NAME).read_bytes() == before


@pytest.mark.parametrize("spoil", [lambda content: content[:-40], lambda content: content[:-1] + b"\xff", lambda content: b""])
def test_a_damaged_checkpoint_is_one_line(run, trained, spoil):
    path = trained / CHECKPOINT_NAME
    path.write_bytes(spoil(path.read_bytes()))
    code, _, err = run("train", "--resume", str(trained))
    assert code == 1
    assert re.fullmatch(r"coldspike: \S+checkpoint\.safetensors (is truncated or damaged|was altered).*\n", err), err


def test_a_folder_that_cannot_be_made_is_one_line(run, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run(*QUICK, "--out", "file/run")
    assert code == 1 and err.splitlines()[-1] == "coldspike: file/run: Not a directory"


def test_a_finished_run_prints_its_summary_again(run, trained):
    code, out, _ = run("train", "--resume", str(trained), "--json")
    assert code == 0 and json.loads(out) == json.loads((trained / "summary.json").read_text())


def test_an_interrupt_of_a_command_without_state_is_said(run, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt
    monkeypatch.setattr("coldspike.host.command_info.collect", interrupted)
    assert run("info") == (130, "", "coldspike: interrupted\n")


def test_interrupting_saves_and_says_how_to_go_on(run, tmp_path, monkeypatch):
    import os
    import signal

    from coldspike.host.display import TrainingDisplay
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 32)  # two exchanges an epoch
    expected = json.loads(run(*QUICK, "--out", "whole", "--json", "--no-plot")[1])
    show = TrainingDisplay.batch
    def press(display, step):
        show(display, step)
        if (step.epoch, step.batch) == (2, 2):
            os.kill(os.getpid(), signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "batch", press)
        code, _, err = run(*QUICK, "--out", "part", "--no-plot")
    assert code == 130
    assert err.splitlines()[-1] == ("coldspike: stopped after batch 2 of 4 in epoch 2; "
                                    "continue with: coldspike train --resume part")
    resumed = json.loads(run("train", "--resume", "part", "--json")[1])
    assert resumed["weights_digest"] == expected["weights_digest"] and resumed["counters"] == expected["counters"]


def test_info_names_what_is_installed(run, monkeypatch, tmp_path):
    code, out, _ = run("info", "--json")
    facts = json.loads(out)
    assert code == 0 and {"python", "amaranth", "torch", "verilator", "build cache", "data folder"} <= facts.keys()
    assert facts["data set digits"] == "embedded"
    monkeypatch.setenv("COLDSPIKE_DATA", str(tmp_path))
    (tmp_path / "nmnist-small").mkdir()
    (tmp_path / "nmnist-small" / "train1K.txt").touch()
    facts = json.loads(run("info", "--json")[1])
    assert facts["data set nmnist"] == "present" and facts["data set shd"] == facts["data set fashion-mnist"] == "not there yet"
    assert "python" in run("info")[1]


def test_help_lists_the_commands(run):
    code, out, _ = run("--help")
    assert code == 0 and all(name in out for name in ("train", "verify", "generate", "info", "bench"))
    code, out, _ = run("train", "--help")
    assert code == 0 and "--lr-decay" in out and "--resume" in out


@pytest.mark.parametrize("command", ["train", "verify"])
def test_help_lists_the_schemes(run, command):
    from coldspike.host.schemes import FEEDBACKS, TRANSPORTS
    from coldspike.spec.transport import Precision
    code, out, _ = run(command, "--help")
    text = "".join(out.replace("│", " ").split())  # words may be broken over lines
    assert code == 0 and ",".join(FEEDBACKS) in text and ",".join(Precision) in text
    assert all(f"--{name}" in text for name in ("feedback", "feedback-preci", "transport", "fraction", "probability", "alpha"))
    assert all(name in text for name in TRANSPORTS)
