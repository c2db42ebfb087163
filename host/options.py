"""Options of a training run: one description that the command line, the TOML file and the run's record share."""

import dataclasses
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import tomli_w

from ..spec.config import CoreConfig, Optimizer, Rule, Schedule
from ..spec.network import Readout
from ..spec.transport import Precision
from . import defaults
from .board import build_options, fitting_layers
from .builds import build
from .data import DATA_SETS, EVENT_SETS, DataSet, load
from .devices import CHOICE, DEVICES, is_device, is_serial
from .option_values import LISTS, convert, flag, option, options_of, spelled
from .over_time import GRADIENTS, OVER_TIME, OverTimeOptions
from .problems import OptionError
from .rate_based import CODINGS, RateOptions
from .schemes import FEEDBACKS, has_interval, needs_choice, schemes
from .settings import NetworkSettings

__all__ = ["READOUTS", "TrainOptions", "chosen_device", "resolve", "resume"]

READOUTS = {"potential": Readout.POTENTIAL, "spike-time": Readout.SPIKE_TIME}
FREE_ON_RESUME = ("epochs", "checkpoint_seconds", "plot")  # all else would change an epoch, or what the summary says of it

TTFS, SPARSE, RATE = (Rule.TTFS,), (Rule.SPARSE_BPTT,), (Rule.RATE,)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of ``coldspike train`` after defaults were filled in; each field's help text says what it means. ``core`` is no
    option: the build where there is one already, a board's.

    Raises OptionError for a value that cannot run, by name.
    """

    rule: str = option("learning rule", str, str(Rule.TTFS), tuple(map(str, Rule)))
    rules: str | None = option("learning rules that the build has, a comma-separated list; that of --rule alone unless given", str)
    data: str = option("data set", str, "digits", tuple(DATA_SETS))
    layers: tuple[int, ...] = option("neurons of each layer, inputs first, such as 784-256-10", str)
    device: str = option(f"where the network trains: {', '.join(DEVICES)}, or serial:PORT (serial:PORT@BAUD), a board; what "
                         "decides a build is the board's then, --layers the largest default network that fits", str, "simulated")
    feedback: str = option("scheme of the feedback weights, or a comma-separated list with one for each weight layer from the "
                           f"second on: {', '.join(FEEDBACKS)}", str, "fbp")
    transport: str = option("weights that fbp copies at the interval, one for all layers or a list: full, top-k (needs "
                            "--fraction), random (--probability), or after every update: change (--alpha)", str, "full")
    interval: int = option("updates from one weight transport to the next", int)
    fraction: tuple[float, ...] = option("top-k: share of a layer's weights; one for all layers or a list", str, ())
    probability: tuple[float, ...] = option("random: probability that a weight is copied; one or a list", str, ())
    alpha: tuple[float, ...] = option("change: temperature; probability of a weight is 1 - exp(-|change| / alpha)", str, ())
    feedback_precision: str = option("width of the feedback weights", str, str(Precision.FULL), tuple(map(str, Precision)))
    epochs: int = option("passes over the training samples", int)
    batch_size: int = option("samples of one weight update", int)
    lr: tuple[float, ...] = option("learning rate; a comma-separated list gives one for each weight layer", str)
    lr_decay: float = option("factor of the learning rate after each epoch", float)
    weight_decay: float = option("decoupled decay: each update shrinks weights by lr times this", float, 0.0)
    optimizer: str = option("update rule", str, str(Optimizer.SIGN_MOMENTUM), tuple(map(str, Optimizer)))
    readout: str = option("what the output layer reports", str, "potential", READOUTS, TTFS)
    clip: float = option("bound of the derivatives of a spike time", float, 1.0, rules=TTFS)
    samples: int | None = option("training samples; all of the data set's unless given", int)
    test_samples: int | None = option("test samples; all of the data set's unless given", int)
    lanes: int = option("multiply-accumulate lanes of the build, a power of two", int)
    weight_fraction: int = option("fractional bits of the 16-bit weights", int, 12)
    gradient_memory: bool = option("sum gradients over a batch; off: update after every sample", bool, True, rules=TTFS + RATE)
    seed: int = option("seed of initial weights, data order and rounding", int, 1)
    timesteps: int | None = option(f"time steps T of a sample; {defaults.RATE['timesteps']} of images for rate", int,
                                   rules=SPARSE + RATE)
    tau: float | None = option("time constant of a membrane potential, in steps", float, rules=SPARSE)
    window: float | None = option("w, gradients pass active neurons alone, |V - 1| < w; inf: all", float, rules=SPARSE)
    over_time: str | None = option("what of the readout's potentials over time is the logit", str, None, OVER_TIME, SPARSE)
    gain: int | None = option("logits are 2^gain times that", int, rules=SPARSE)
    error_scales: tuple[int, ...] = option("fractional bits that each weight layer's errors have beyond the build's "
                                           "error_fraction, a comma-separated list", str, (), rules=SPARSE)
    gradients: str | None = option("gradients are summed as is cheaper, by active neuron, or by input spike", str, None, GRADIENTS,
                                   SPARSE)
    rate_upper: float | None = option("strength of the loss of hidden neurons that fire more than --rate-most times in a sample",
                                      float, rules=SPARSE)
    rate_lower: float | None = option("the same of those that fire less than --rate-least times", float, rules=SPARSE)
    rate_least: int | None = option("fewer spikes of a neuron in a sample cost", int, rules=SPARSE)
    rate_most: int | None = option("more spikes of a neuron in a sample cost", int, rules=SPARSE)
    leak: float | None = option("what a membrane potential keeps from step to step, 0 to below 1", float, rules=RATE)
    coding: str | None = option("inputs are a current, the same in each step, or spikes: of images drawn in each step, pixels are "
                                "probabilities", str, None, CODINGS, RATE)
    schedule: str | None = option("layers advance step by step together, or one after the other", str, None, Schedule, RATE)
    max_steps: int | None = option("most time steps of the build; --timesteps unless given", int, rules=RATE)
    initial_scale: tuple[float, ...] = option("initial weights of a layer with n inputs have this deviation over sqrt(n); one for "
                                              "all layers or a comma-separated list", str, (), rules=SPARSE + RATE)
    initial_mean: float | None = option("mean of the output layer's initial weights; above 0 no class's potential begins with its "
                                        "maximum over time", float, rules=SPARSE)
    spike_entries: int | None = option("spikes of a sample that the build holds: of sparse-bptt those of all layers, of rate "
                                       "those of the inputs, and their levels", int, rules=SPARSE + RATE)
    job_entries: int | None = option("active neurons of a sample that each half of the tape holds", int, rules=SPARSE)
    checkpoint_seconds: float = option("longest time between checkpoints", float, 60.0)
    plot: bool = option("draw curve.png and curve.svg (needs matplotlib)", bool, True)
    core: CoreConfig | None = field(default=None, repr=False)

    def __post_init__(self):
        for name, f in options_of(TrainOptions).items():
            value, choices = getattr(self, name), f.metadata["choices"]
            if choices and value is not None and value not in choices:
                raise OptionError(f"{flag(name)} {value!r} is unknown; choose one of: {', '.join(choices)}")
        if not is_device(self.device):
            raise OptionError(f"--device {self.device!r} is unknown; {CHOICE}")
        least = {"epochs": 1, "batch_size": 1, "interval": 1, "seed": 0, "checkpoint_seconds": 0}
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise OptionError(f"{flag(name)} {getattr(self, name)}: at least {low} is needed")
        if not 0 < self.lr_decay <= 1:
            raise OptionError(f"--lr-decay {self.lr_decay}: a factor above 0 and up to 1 is needed")
        if self.interval != 1 and not has_interval(self.feedback, self.transport):
            what = f"--feedback {self.feedback}" + (f" --transport {self.transport}" if self.transport != "full" else "")
            raise OptionError(f"{what} knows no interval: leave out --interval {self.interval}, or choose --feedback fbp")
        self._check_rule()
        if self.seed >= 1 << 32:
            raise OptionError(f"--seed {self.seed}: at most {(1 << 32) - 1} is allowed")

    def _check_rule(self) -> None:
        built = self.rules.split(",") if self.rules is not None else [self.rule]
        if unknown := [rule for rule in built if rule not in set(Rule)]:
            raise OptionError(f"--rules {unknown[0]!r} is unknown; choose of: {', '.join(Rule)}")
        if self.rule not in built:
            raise OptionError(f"--rules {self.rules}: --rule {self.rule} is not among them; add it")
        if len(set(built)) < len(built):
            raise OptionError(f"--rules {self.rules}: name each rule once")
        for name, f in options_of(TrainOptions).items():
            if self.rule not in f.metadata["rules"] and getattr(self, name) != f.default:
                raise OptionError(f"{spelled(name, getattr(self, name))}: rule {self.rule} knows none; leave it out, or choose "
                                  "another --rule")
        if self.steps is None and self.data in EVENT_SETS:
            remedy = "use --coding spikes" if self.rule == Rule.RATE else f"add --rule {Rule.SPARSE_BPTT}, or --rule {Rule.RATE}"
            raise OptionError(f"--data {self.data}: these are recordings over time; {remedy}")
        if self.initial_mean is not None and not math.isfinite(self.initial_mean):
            raise OptionError(f"--initial-mean {self.initial_mean}: a finite number is needed")
        scales, depth = self.initial_scale, len(self.layers) - 1
        if len(scales) not in (0, 1, depth) or not all(0 < scale < math.inf for scale in scales):
            raise OptionError(f"--initial-scale {','.join(map(str, scales))}: one number above 0 is needed, or {depth}, one for "
                              "each weight layer")

    @property
    def steps(self) -> int | None:
        """T where inputs are spikes over time, else None."""
        return self.timesteps if self.rule == Rule.SPARSE_BPTT or self._coded else None

    @property
    def visits(self) -> int:
        """How many times the backward engine may walk a neuron in a sample."""
        return self.timesteps if self.rule == Rule.SPARSE_BPTT else 1

    @property
    def _coded(self) -> bool:
        return self.rule == Rule.RATE and self.coding == "spikes"

    @property
    def _runs(self) -> OverTimeOptions | RateOptions | None:
        """How the network runs over time."""
        kind = {Rule.SPARSE_BPTT: OverTimeOptions, Rule.RATE: RateOptions}.get(self.rule)
        named = {"steps": "timesteps"}
        return kind and kind(**{f.name: getattr(self, named.get(f.name, f.name)) for f in fields(kind)})

    def _build(self) -> CoreConfig:
        if self.core is not None:
            return self.core
        return build(self.layers, lanes=self.lanes, optimizer=Optimizer(self.optimizer), weight_decay=self.weight_decay != 0,
                     weight_fraction=self.weight_fraction, gradient_memory=self.gradient_memory,
                     feedback_precision=self.feedback_precision, partial_transport=needs_choice(self.transport),
                     **(self._runs.build(self.layers) if self._runs else {})
                     | ({"rules": self.rules.split(",")} if self.rules else {}))

    def core_config(self) -> CoreConfig:
        """The smallest build that trains this network, or the one that is there. Raises OptionError for sizes or rates that no
        build, or not that one, has."""
        config = self._build()
        for epoch in range(self.epochs):  # a rate that becomes too small is refused now, not after hours
            self.settings(epoch).registers(config)
        return config

    def learning_rates(self, epoch: int) -> tuple[float, ...]:
        """Learning rates of an epoch, counted from 0."""
        return tuple(rate * self.lr_decay**epoch for rate in self.lr)

    def settings(self, epoch: int, interval_start: int = 0) -> NetworkSettings:
        """What the accelerator runs in an epoch (counted from 0), ``interval_start`` updates after a transport."""
        runs = {}
        if self.rule == Rule.SPARSE_BPTT:
            runs["over_time"] = self._runs.settings(self._build(), self.error_scales, self.gain)
        elif self.rule == Rule.RATE:
            runs["rate"] = self._runs.settings()
        return NetworkSettings(**runs, layers=self.layers, learning_rates=self.learning_rates(epoch),
                               level_clip=self.clip, slope_clip=self.clip,
                               weight_decays=(self.weight_decay,), batch_size=self.batch_size,
                               readout=READOUTS[self.readout], interval=self.interval, interval_start=interval_start,
                               schemes=schemes(len(self.layers) - 1, self.feedback, self.transport, self.fraction,
                                               self.probability, self.alpha))

    def data_set(self, progress: Callable[[str], None] = lambda text: None) -> DataSet:
        """The run's samples, encoded for its build. Raises as ``data.load`` does, and for layers that are not the data set's or
        samples that have no room in the build."""
        core = self.core_config()
        data = load(self.data, core.time_bits, self.samples, self.test_samples, self.steps, progress,
                    drawn=self.seed if self._coded else None)
        data.check(self.layers)
        data.check_room(core.spike_entries)
        return data

    def plain(self) -> dict:
        """Values by name as JSON and TOML can hold them, spelled as on the command line; None is left out."""
        out = {f.name.replace("_", "-"): getattr(self, f.name) for f in options_of(TrainOptions).values()}
        out["layers"] = "-".join(map(str, self.layers))
        for name in LISTS:
            value = getattr(self, name)
            out[name.replace("_", "-")] = list(value) if len(value) > 1 else value[0] if value else None
        if self.rule == Rule.TTFS:
            del out["rule"]
        return {name: value for name, value in out.items() if value is not None}

    def toml(self) -> str:
        """Text of a file that ``--config`` reads back."""
        return tomli_w.dumps(self.plain())


def read_file(path: Path) -> dict:
    """Options of a TOML file, by name. Raises OptionError for what is not TOML or no option."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    known, out = options_of(TrainOptions), {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise OptionError(f"{path}: {key!r} is no option; known are: {', '.join(sorted(known)).replace('_', '-')}")
        out[name] = convert(known[name], value, str(path))
    return out


def explicit(given: dict, file: Path | None) -> dict:
    """Options that the user named: those of ``given`` that are not None, over those of ``file``."""
    known = options_of(TrainOptions)
    chosen = read_file(file) if file else {}
    return chosen | {n: convert(known[n], value, "command line") for n, value in given.items() if value is not None}


def chosen_device(given: dict, file: Path | None = None) -> str:
    """The device that ``resolve`` finds."""
    return explicit(given, file).get("device", options_of(TrainOptions)["device"].default)


def resolve(given: dict, file: Path | None = None, core: CoreConfig | None = None) -> TrainOptions:
    """Options from the command line (``given``, None where it says nothing) over ``file`` over the defaults.

    ``core`` : the build of a board. What decides a build is then the board's, and so is the rule; the default network is cut where
    it does not fit, and so are the time steps. Raises OptionError, by name, for an option that is not the board's.
    """
    chosen = explicit(given, file)
    if core is not None:
        chosen |= build_options(chosen, core)
    named = options_of(TrainOptions)
    usual = defaults.defaults(*(chosen.get(name, named[name].default) for name in ("rule", "data")))
    scheme = [chosen.get(name, named[name].default) for name in ("feedback", "transport")]
    if not has_interval(*scheme):
        usual["interval"] = 1
    if core is not None:
        usual["layers"] = fitting_layers(usual["layers"], core)
        if "timesteps" in usual:
            usual["timesteps"] = min(usual["timesteps"], core.max_steps)
    depth = len(chosen.get("layers", usual["layers"])) - 1
    usual |= {name: defaults.fitted(usual[name], depth) for name in LISTS if name in usual}
    return TrainOptions(**usual | chosen, core=core)


def resume(stored: dict, given: dict, file: Path | None = None) -> TrainOptions:
    """Options of a run that continues: ``stored`` is what ``TrainOptions.plain`` recorded when it began.

    Raises OptionError, by name, for an option whose change would make it another run.
    """
    known = {name.replace("_", "-"): f for name, f in options_of(TrainOptions).items()}
    options = TrainOptions(**{known[n].name: convert(known[n], value, "checkpoint") for n, value in stored.items()})
    chosen = explicit(given, file)
    for name, value in chosen.items():
        if name == "device" and is_serial(value) and is_serial(options.device):
            continue  # a board may come back at another port
        if name not in FREE_ON_RESUME and value != getattr(options, name):
            plain = dataclasses.replace(options, **{name: value}).plain().get(name.replace("_", "-"))
            was = options.plain().get(name.replace("_", "-"), "not given")
            raise OptionError(f"{flag(name)} {plain}: this run began with {was}; leave the option out, "
                              "or start a new run without --resume")
    return dataclasses.replace(options, **chosen)
