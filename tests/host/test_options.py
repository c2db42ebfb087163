import math
import re
import tomllib

import pytest

from coldspike.host.command_options import default_text
from coldspike.host.data import EVENT_SETS
from coldspike.host.option_values import options_of
from coldspike.host.options import TrainOptions, resolve, resume
from coldspike.host.problems import OptionError
from coldspike.spec.config import Rule, Schedule
from coldspike.spec.lif import RateLoss
from coldspike.spec.rate import RateSettings


@pytest.fixture
def file(tmp_path):
    def write(text: str):
        path = tmp_path / "run.toml"
        path.write_text(text)
        return path
    return write


def test_defaults_depend_on_the_data_set():
    assert resolve({}).layers[0] == 64 and resolve({"data": "fashion-mnist"}).layers == (784, 256, 10)
    assert resolve({}).interval == resolve({"feedback": "fss"}).interval == resolve({"feedback": "fbp-signs"}).interval > 1
    assert all(resolve({"feedback": name}).interval == 1 for name in ("bp", "sfa", "ss", "fa"))


def test_the_command_line_is_preferred_to_the_file_and_the_file_to_the_defaults(file):
    options = resolve({"epochs": 3, "lr": None}, file("epochs = 5\nlr = [0.25, 0.5]\nbatch-size = 7\nlayers = '64-9-10'\n"))
    assert (options.epochs, options.lr, options.batch_size, options.layers) == (3, (0.25, 0.5), 7, (64, 9, 10))
    assert options.optimizer == resolve({}).optimizer


def test_what_ran_can_be_run_again(file):
    options = resolve({"lr": "0.01,0.02", "samples": 100, "gradient_memory": False, "optimizer": "sgd", "weight_decay": 0.5})
    assert resolve({}, file(options.toml())) == options
    options = resolve({"layers": "64-9-8-10", "feedback": "fbp,fbp-signs", "transport": "top-k,random", "fraction": "0.25",
                       "probability": "0.5,0.125", "feedback_precision": "8-bit", "interval": 7})
    assert resolve({}, file(options.toml())) == options and (options.fraction, options.alpha) == ((0.25,), ())


def test_only_weight_decay_builds_it():
    assert not resolve({}).core_config().weight_decay
    assert resolve({"weight_decay": 2.0}).core_config().weight_decay
    with pytest.raises(OptionError, match=r"^weight decay -1\.0: a finite number of at least 0 is needed$"):
        resolve({"weight_decay": -1.0}).core_config()


def test_learning_rates_decay_by_epoch():
    options = resolve({"lr": "0.5,0.25", "lr_decay": 0.5})
    assert options.learning_rates(0) == (0.5, 0.25) and options.learning_rates(2) == (0.125, 0.0625)


@pytest.mark.parametrize("text, message", [
    ("epoch = 5", r"run\.toml: 'epoch' is no option; known are: alpha, batch-size, "),
    ("epochs = 'x'", r"run\.toml: --epochs 'x': a value of type int is needed$"),
    ("epochs = true", r"run\.toml: --epochs True: a value of type int is needed$"),
    ("fraction = ['x']", r"run\.toml: --fraction \['x'\]: write numbers joined by commas$"),
    ("feedback = ['bp']", r"run\.toml: --feedback \['bp'\]: a value of type str is needed$"),
    ("lr = 'fast'", r"run\.toml: --lr 'fast': write numbers joined by commas$"),
    ("layers = '64-0-10'", r"^layers '64-0-10': write at least two positive sizes"),
    ("epochs = ", r"run\.toml is not TOML: "),
    ("device = 'board'", r"^--device 'board' is unknown; choose one of: simulated, golden, serial:PORT$"),
])
def test_a_bad_file_is_refused_by_name(file, text, message):
    with pytest.raises(OptionError, match=message):
        resolve({}, file(text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"none\.toml cannot be read: No such file or directory$"):
        resolve({}, tmp_path / "none.toml")


@pytest.mark.parametrize("given, message", [
    ({"epochs": 0}, r"^--epochs 0: at least 1 is needed$"),
    ({"batch_size": -1}, r"^--batch-size -1: at least 1"),
    ({"interval": 0}, r"^--interval 0: at least 1"),
    ({"checkpoint_seconds": float("nan")}, r"^--checkpoint-seconds nan: "),
    ({"lr_decay": 0.0}, r"^--lr-decay 0\.0: "),
    ({"lr_decay": 1.5}, r"^--lr-decay 1\.5: "),
    ({"seed": 1 << 32}, r"^--seed 4294967296: at most"),
    ({"feedback": "bp", "interval": 5}, r"^--feedback bp knows no interval: leave out --interval 5, or choose --feedback fbp$"),
    ({"feedback_precision": "2-bit"}, r"^--feedback-precision '2-bit' is unknown; choose one of: full, 8-bit, 4-bit, sign$"),
    ({"optimizer": "adam"}, r"^--optimizer 'adam' is unknown"),
    ({"readout": "rate"}, r"^--readout 'rate' is unknown"),
])
def test_values_that_cannot_run_are_refused_by_name(given, message):
    with pytest.raises(OptionError, match=message):
        resolve(given)


@pytest.mark.parametrize("given, message", [
    ({"lanes": 3}, r"^layers 64-128-10: lanes = 3: the lane count must be a power of two"),
    ({"optimizer": "sign-momentum", "gradient_memory": False}, r"optimizer = 'sign-momentum' keeps its momentum"),
    ({"lr": "0.5,0.5,0.5"}, r"^3 learning rates for 2 weight layers"),
    ({"feedback": "dfa"}, r"^--feedback 'dfa' is unknown; choose one of: bp, fbp, fbp-signs, sfa, ss, fss, fa$"),
    ({"lr_decay": 0.01, "epochs": 99}, r"^learning rate \S+ at batch size 16 is outside .*change --lr or --lr-decay$"),
])
def test_what_no_build_trains_is_refused_before_anything_is_built(given, message):
    with pytest.raises(OptionError, match=message):
        resolve(given).core_config()


def test_a_run_continues_with_its_own_options():
    stored = resolve({"samples": 100, "lr": "0.01,0.02"})
    assert resume(stored.plain(), {}) == stored
    changed = resume(stored.plain(), {"epochs": 50, "device": "simulated", "samples": 100})
    assert (changed.epochs, changed.device, changed.lr) == (50, "simulated", stored.lr)


@pytest.mark.parametrize("given, message", [
    ({"layers": "64-100-10"}, r"^--layers 64-100-10: this run began with 64-128-10; leave the option out, or start a new run"),
    ({"seed": 2}, r"^--seed 2: this run began with 1; "),
    ({"alpha": "0.5"}, r"^--alpha 0\.5: this run began with not given; "),
    ({"feedback": "fbp-signs"}, r"^--feedback fbp-signs: this run began with fbp; "),
    ({"samples": 7}, r"^--samples 7: this run began with not given; "),
])
def test_a_run_does_not_become_another(given, message):
    with pytest.raises(OptionError, match=message):
        resume(resolve({}).plain(), given)


def test_every_option_says_what_it_is():
    assert all(field.metadata["help"] for field in options_of(TrainOptions).values())


def test_a_rule_refuses_the_options_of_another_by_name():
    for given, text in (
        ({"timesteps": 5}, "--timesteps 5: rule ttfs knows none"), ({"error_scales": "1,0"}, "--error-scales (1, 0): rule ttfs"),
        ({"rule": "sparse-bptt", "clip": 2.0}, "--clip 2.0: rule sparse-bptt knows none"),
        ({"rule": "sparse-bptt", "gradient_memory": False}, "--no-gradient-memory: rule sparse-bptt knows none"),
        ({"rule": "sparse-bptt", "over_time": "mean"}, "--over-time 'mean' is unknown; choose one of: max, sum"),
        ({"rule": "sparse-bptt", "gradients": "both"}, "--gradients 'both' is unknown; choose one of: cheaper, active, spikes"),
        ({"gradients": "active"}, "--gradients active: rule ttfs knows none"),
        ({"rule": "sparse-bptt", "error_scales": "1.5,0"}, "whole numbers are needed"),
        ({"rule": "sparse-bptt", "initial_mean": math.inf}, "--initial-mean inf: a finite number is needed"),
        ({"initial_mean": 0.1}, "--initial-mean 0.1: rule ttfs knows none"),
        ({"rules": "bptt"}, "--rules 'bptt' is unknown; choose of: ttfs, sparse-bptt"),
        ({"rules": "ttfs,"}, "--rules '' is unknown"), ({"rules": ""}, "--rules '' is unknown"),
        ({"rules": "sparse-bptt"}, "--rules sparse-bptt: --rule ttfs is not among them; add it"),
        ({"rule": "rate", "rules": "rate,ttfs,rate"}, "--rules rate,ttfs,rate: name each rule once"),
        ({"rule": "bptt"}, "--rule 'bptt' is unknown"), ({"initial_scale": "1"}, "--initial-scale (1.0,): rule ttfs knows none"),
        ({"data": "fsdd"}, "--data fsdd: these are recordings over time; add --rule sparse-bptt, or --rule rate"),
        ({"data": "fsdd", "rule": "rate", "coding": "current"},
         "--data fsdd: these are recordings over time; use --coding spikes"),
        ({"leak": 0.5}, "--leak 0.5: rule ttfs knows none"), ({"schedule": "multi-step"}, "--schedule multi-step: rule ttfs knows"),
        ({"rule": "sparse-bptt", "leak": 0.5}, "--leak 0.5: rule sparse-bptt knows none; leave it out, or choose another --rule"),
        ({"rule": "sparse-bptt", "coding": "spikes"}, "--coding spikes: rule sparse-bptt knows none"),
        ({"rule": "rate", "tau": 5.0}, "--tau 5.0: rule rate knows none"), ({"rule": "rate", "clip": 2.0}, "--clip 2.0: rule rate"),
        ({"rule": "rate", "readout": "spike-time"}, "--readout spike-time: rule rate knows none"),
        ({"rule": "rate", "job_entries": 5}, "--job-entries 5: rule rate knows none"),
        ({"rule": "rate", "error_scales": "1,0"}, "--error-scales (1, 0): rule rate knows none"),
        ({"rule": "rate", "coding": "times"}, "--coding 'times' is unknown; choose one of: current, spikes"),
        ({"rule": "rate", "schedule": "both"}, "--schedule 'both' is unknown; choose one of: single-step, multi-step"),
        ({"rule": "rate", "initial_scale": "1,0"}, "--initial-scale 1.0,0.0: one number above 0 is needed, or 2, one"),
        ({"rule": "sparse-bptt", "initial_scale": "1,0"}, "--initial-scale 1.0,0.0: one number above 0 is needed, or 2, one"),
        ({"rule": "sparse-bptt", "initial_scale": "1,1,1"}, "--initial-scale 1.0,1.0,1.0: one number above 0"),
        ({"rule": "sparse-bptt", "initial_scale": "nan"}, "--initial-scale nan: one number above 0 is needed"),
    ):
        with pytest.raises(OptionError, match=re.escape(text)):
            resolve(given)


@pytest.mark.parametrize("given, text", [
    ({"timesteps": 4097}, "--timesteps 4097: a build has 1 to 4096"),
    ({"tau": -1.0}, "--tau -1.0: a finite number of steps, 0 or more"), ({"tau": math.inf}, "--tau inf: a finite number"),
    ({"window": -0.1}, "--window -0.1: 0 to inf"), ({"window": math.nan}, "--window nan: 0 to inf"),
    ({"window": 1e-4}, "--window 0.0001: less than potentials resolve; use 0, or at least 0.00012"),
    ({"timesteps": 0}, "--timesteps 0: a build has 1 to 4096"),
    ({"error_scales": "1,2,3"}, "3 error scales for 2 weight layers"), ({"error_scales": "40,0"}, "scale 40 of layer 1"),
    ({"rate_upper": 1e-9}, "--rate-upper 1e-09: 0, or 1.5e-05 to 1 is possible"),
    ({"rate_lower": 2.0}, "--rate-lower 2.0: 0, or 1.5e-05 to 1"), ({"rate_lower": -1.0}, "--rate-lower -1.0: 0, or"),
    ({"rate_upper": 0.1, "rate_least": 5, "rate_most": 4}, "rates from 5 to 4 spikes"),
    ({"gain": 16}, "gain = 16: this build has 0 to 15"), ({"spike_entries": 0}, "spike_entries = 0"),
])
def test_what_no_build_over_time_can_do_is_refused_by_name(given, text):
    with pytest.raises(OptionError, match=re.escape(text)):
        resolve({"rule": "sparse-bptt"} | given).core_config()


@pytest.mark.parametrize("given, text", [
    ({"timesteps": 4097}, "--timesteps 4097: a build has 1 to 4096"), ({"timesteps": 0}, "--timesteps 0: a build has 1 to 4096"),
    ({"leak": 1.0}, "--leak 1.0: 0 to below 1 is needed"), ({"leak": math.nan}, "--leak nan: 0 to below 1 is needed"),
    ({"spike_entries": 0}, "spike_entries = 0: an integer from 1"),
    ({"timesteps": 6, "max_steps": 5}, "--max-steps 5: at least --timesteps 6 are needed"),
    ({"max_steps": 4097}, "max_steps = 4097: an integer from 1 to 4096"),
])
def test_what_no_build_of_rule_rate_can_do_is_refused_by_name(given, text):
    with pytest.raises(OptionError, match=re.escape(text)):
        resolve({"rule": "rate"} | given).core_config()


def test_options_of_rule_rate_are_recorded_and_resumed():
    options = resolve({"rule": "rate"})
    assert (options.timesteps, options.leak, options.coding, options.schedule) == (4, 0.2, "current", "single-step")
    assert (options.steps, options.visits) == (None, 1)
    assert options.core_config().rules == (Rule.RATE,) and options.core_config().schedule is Schedule.SINGLE_STEP
    options = resolve({"rule": "rate", "timesteps": 6, "leak": 0.5, "coding": "spikes", "schedule": "multi-step"})
    assert resume(options.plain(), {}) == options and resume(tomllib.loads(options.toml()), {}) == options
    core = options.core_config()
    assert (core.max_steps, core.schedule, core.spike_entries) == (6, Schedule.MULTI_STEP, 64 * 7)
    assert options.settings(0).rate == RateSettings(steps=6, leak=0.5, coded=True) and options.settings(0).over_time is None
    assert (options.steps, options.visits) == (6, 1)
    assert resolve({"rule": "sparse-bptt", "timesteps": 6}).visits == 6 and resolve({}).visits == 1
    small = resolve({"rule": "rate", "timesteps": 6, "coding": "spikes", "spike_entries": 100}).core_config()
    assert small.spike_entries == 100
    large = resolve({"rule": "rate", "timesteps": 2, "max_steps": 16})
    assert large.core_config() == resolve({"rule": "rate", "timesteps": 16}).core_config() and large.settings(0).rate.steps == 2
    assert resolve({"rule": "rate", "layers": "4000-10", "timesteps": 100}).core_config().spike_entries == 65535
    assert "leak" not in resolve({}).plain()
    with pytest.raises(OptionError, match=r"^--coding current: this run began with spikes; leave the option out"):
        resume(options.plain(), {"coding": "current"})


def test_both_codings_have_one_build():
    assert len({resolve({"rule": "rate", "coding": coding}).core_config() for coding in ("current", "spikes")}) == 1


def test_rule_rate_can_update_after_every_sample():
    core = resolve({"rule": "rate", "gradient_memory": False, "optimizer": "sgd", "lr": "0.02"}).core_config()
    assert not core.gradient_memory and core.rules == (Rule.RATE,)


@pytest.mark.parametrize("data", sorted(EVENT_SETS))
def test_rule_rate_has_defaults_that_fit_each_data_set_over_time(data):
    options = resolve({"rule": "rate", "data": data})
    assert (options.layers[0], options.layers[-1]) == (EVENT_SETS[data].inputs, EVENT_SETS[data].classes)
    core = options.core_config()
    # Spikes of its busiest recording, and some, and levels.
    largest = {"nmnist": 10_000, "fsdd": 2500, "braille": 1500, "shd": 20_000}[data] + EVENT_SETS[data].inputs
    assert core.spike_entries > largest and core.max_steps == options.timesteps and options.steps == options.timesteps


@pytest.mark.parametrize("data", sorted(EVENT_SETS))
def test_each_data_set_over_time_has_defaults_that_fit_it(data):
    options = resolve({"rule": "sparse-bptt", "data": data})
    assert (options.layers[0], options.layers[-1]) == (EVENT_SETS[data].inputs, EVENT_SETS[data].classes)
    core = options.core_config()
    largest = {"nmnist": 10_000, "fsdd": 2500, "braille": 1500, "shd": 20_000}[data]  # spikes of its busiest recording, and some
    assert core.spike_entries > largest and core.max_steps == options.timesteps
    assert resume(tomllib.loads(options.toml()), {}) == options


def test_a_default_for_each_layer_fits_a_network_of_another_depth():
    for layers, lr, scales in (("128-9-8-10", (1e-3, 1e-3, 6e-5), (4, 4, 0)), ("128-10", (6e-5,), (0,))):
        options = resolve({"rule": "sparse-bptt", "data": "fsdd", "layers": layers})
        assert (options.lr, options.error_scales) == (lr, scales)
        options.core_config()
    assert resolve({"rule": "sparse-bptt", "data": "fashion-mnist", "layers": "784-9-10"}).error_scales == (6, 0)
    with pytest.raises(OptionError, match=r"^2 learning rates for 3 weight layers"):
        resolve({"rule": "sparse-bptt", "data": "fsdd", "layers": "128-9-8-10", "lr": "0.1,0.1"}).core_config()


def test_the_help_names_the_rules_that_know_an_option():
    texts = {f.name: f.metadata["help"] for f in options_of(TrainOptions).values()}
    assert texts["clip"].startswith("ttfs: ") and texts["tau"].startswith("sparse-bptt: ") and texts["leak"].startswith("rate: ")
    assert texts["timesteps"].startswith("sparse-bptt, rate: ") and texts["gradient_memory"].startswith("ttfs, rate: ")
    assert texts["epochs"] == "passes over the training samples"


def test_the_help_shows_defaults_of_each_data_set():
    assert default_text("layers", None).startswith("digits: 64-128-10, fashion-mnist: 784-256-10, nmnist: 1156-")
    assert "shd: 100" in default_text("timesteps", None) and default_text("fraction", None) == ""


def test_options_over_time_are_recorded_and_resumed():
    options = resolve({"rule": "sparse-bptt", "window": math.inf, "timesteps": 30})
    assert options.plain()["rule"] == "sparse-bptt" and options.plain()["error-scales"] == [4, 0]
    assert resume(options.plain(), {}) == options and resume(tomllib.loads(options.toml()), {}) == options
    assert "rule" not in resolve({}).plain() and "timesteps" not in resolve({}).plain()
    core = options.core_config()
    assert (core.rules, core.max_steps) == ((Rule.SPARSE_BPTT,), 30)
    assert options.settings(0).over_time.window >= 1 << 19
    assert not core.rate_loss and options.settings(0).over_time.rates is None


def test_losses_of_rates_are_built_where_they_are_asked_for():
    """Strengths in units of the operand: 16 fractional bits, and those of the layer behind."""
    options = resolve({"rule": "sparse-bptt", "layers": "64-20-30-10", "error_scales": "8,4,0", "rate_upper": 0.01,
                       "rate_least": 2})
    assert options.core_config().rate_loss
    assert options.settings(0).over_time.rates == RateLoss(least=2, most=10, upper=(10486, 655), lower=(0, 0))


@pytest.mark.parametrize("rule", list(Rule))
def test_a_build_of_several_rules(rule):
    """Which the run's record keeps; the settings choose the rule."""
    options = resolve({"rule": str(rule), "rules": "sparse-bptt,rate,ttfs", "layers": "64-9-10"})
    core = options.core_config()
    assert core.rules == tuple(Rule) and core.max_neurons == 64
    assert options.settings(0).registers(core)["RULE"] == rule.code
    assert resume(options.plain(), {}).rules == "sparse-bptt,rate,ttfs" and "rules" not in resolve({}).plain()
    with pytest.raises(OptionError, match="^rule sparse-bptt: this build has ttfs; choose that, or build it with rules$"):
        resolve({"rule": "sparse-bptt"}).settings(0).registers(resolve({}).core_config())
