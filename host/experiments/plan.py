"""Which runs an experiment needs. Source of table1, figure2, figure3 and signs: Frozen Backpropagation, section 4, appendix B.2."""

import hashlib
import json
import math
from dataclasses import dataclass, field

from ..option_values import options_of
from ..options import TrainOptions, resolve

__all__ = ["EXPERIMENTS", "Experiment", "Run", "Study"]

NETWORKS = {"two hidden layers": (784, 200, 200, 10), "four hidden layers": (784, 200, 200, 200, 200, 10)}
BASE = {"data": "fashion-mnist", "batch_size": 64, "lr": (1e-4,), "lr_decay": 0.8, "epochs": 5, "lanes": 32, "device": "golden",
        "plot": False}
FREE = ("device", "checkpoint_seconds", "plot")  # what a run's result does not depend on


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run: its options, and whether top-K chooses without the histogram."""

    options: TrainOptions
    exact_choice: bool = False

    @property
    def key(self) -> str:
        """Name of the result: readable, and different for different results (an option at its default leaves no mark)."""
        options = self.options
        marks = {name.replace("_", "-") for name, f in options_of(TrainOptions).items()
                 if name not in FREE and getattr(options, name) != f.default}
        plain = {name: value for name, value in options.plain().items() if name in marks}
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]
        kind = options.feedback if options.transport == "full" else f"{options.feedback}-{options.transport}"
        name = f"{len(options.layers) - 2}x{options.layers[1]}-{kind}-seed{options.seed}-{digest}".replace(",", "+")
        name += "-exact" if self.exact_choice else ""
        return name if options.device == "golden" else f"{name}-{options.device}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """Runs that differ in their seed only.

    Parameters
    ----------
    network : key of NETWORKS. name : of the scheme, as tables and legends show it. group : line of a figure that it is a point of.
    given : options besides BASE. fixed : options that stay whatever is asked for. exact_choice : top-K without the histogram,
        which only the golden device can do.
    repeated : the run of seed 1 is repeated on the simulated RTL.
    """

    network: str
    name: str
    group: str = ""
    given: dict = field(default_factory=dict)
    exact_choice: bool = False
    repeated: bool = False
    fixed: dict = field(default_factory=dict)

    def run(self, seed: int, **changed) -> Run:
        """The run with one seed; ``changed`` : options in place of these."""
        options = resolve(BASE | {"layers": NETWORKS[self.network], "seed": seed} | self.given | changed | self.fixed)
        return Run(options=options, exact_choice=self.exact_choice)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is run, and a line of help; ``seeds`` : runs of each study at most."""

    text: str
    studies: tuple[Study, ...]
    seeds: int | None = None


def fbp(name: str, interval: int, group: str = "", **given) -> dict:
    """A study's name and options for Frozen Backpropagation."""
    return {"name": name, "group": group, "given": {"feedback": "fbp", "interval": interval} | given}


TABLE1 = (
    {"name": "BP", "given": {"feedback": "bp"}}, {"name": "FA", "given": {"feedback": "fa"}},
    {"name": "sFA", "given": {"feedback": "sfa"}}, {"name": "SS", "given": {"feedback": "ss"}}, fbp("fBP, Phi = 100", 100),
)
SIGNS = (
    {"name": "fSS, Phi = 100", "given": {"feedback": "fss", "interval": 100}},
    {"name": "fSS, Phi = 1000", "given": {"feedback": "fss", "interval": 1000}},
    fbp("fBP, Phi = 1000", 1000),
    {"name": "fBP, Phi = 100, and signs", "given": {"feedback": "fbp-signs", "interval": 100}},
    {"name": "fBP, Phi = 1000, and signs", "given": {"feedback": "fbp-signs", "interval": 1000}},
)
SWEEP = (
    *(fbp(f"fBP, Phi = {phi}", phi, "fBP") for phi in (10, 100, 1000)),
    *(fbp(f"top-K, Phi = {phi}, K = {share:.0%}", phi, "top-K", transport="top-k", fraction=(share,))
      for phi, share in ((10, 0.1), (100, 0.1), (100, 0.01))),
    *(fbp(f"random, Phi = {phi}, p = {share:.0%}", phi, "random", transport="random", probability=(share,))
      for phi, share in ((10, 0.1), (100, 0.1), (100, 0.01))),
    *(fbp(f"change-weighted, alpha = {alpha:g}", 1, "change-weighted", transport="change", alpha=(alpha,))
      for alpha in (0.1, 1.0, 10.0)),
)
PRECISION = (
    *(fbp(f"fBP, Phi = 100, {bits} feedback", 100, feedback_precision=bits) for bits in ("8-bit", "4-bit")),
    {"name": "fSS, Phi = 100, sign feedback", "given": {"feedback": "fss", "interval": 100, "feedback_precision": "sign"}},
    fbp("top-K, Phi = 100, K = 1%, 4-bit feedback", 100, transport="top-k", fraction=(0.01,), feedback_precision="4-bit"),
)
CHOICE = tuple(study for study in SWEEP if study["group"] == "top-K" and "Phi = 100," in study["name"])
REPEATED = (*TABLE1, SIGNS[0], SIGNS[3], *(study for study in SWEEP if "p = 1%" in study["name"] or "K = 1%" in study["name"]),
            SWEEP[-2])


WINDOWS = {"rule": "sparse-bptt", "feedback": "bp", "lr": (1e-3,), "lr_decay": 0.55, "error_scales": (12, 6, 0)}
SPARSE = (
    *({"name": f"w = {window:g}", "repeated": window == 0.2, "given": WINDOWS | {"window": window}}
      for window in (0.2, 0.1, 0.05, 0.02, 0.01, 0.001)),
    # More neurons are active than the usual tape holds.
    *({"name": f"w = {window:g}", "given": WINDOWS | {"window": window, "job_entries": 16_384}} for window in (0.95, 0.5)),
    # Gradients of few active neurons are noisy: they learn as much in more steps, with learning rates that end where the others do.
    *({"name": f"w = {window:g}, ten epochs", "group": "ten epochs", "repeated": window == 0.05,
       "given": WINDOWS | {"window": window, "epochs": 10, "lr_decay": 0.77}} for window in (0.2, 0.05)),
    # A batch for its cycles: the backward pass of a dense schedule on the same RTL.
    {"name": "all neurons active", "repeated": True,
     "given": WINDOWS | {"window": math.inf, "gradients": "active", "job_entries": 20_000},
     "fixed": {"samples": 64, "test_samples": 64, "epochs": 1}},
)


RATED = tuple({"name": f"T = {steps}", "repeated": True,
               "given": {"rule": "rate", "feedback": "bp", "timesteps": steps, "max_steps": 16, "lr": (2e-4,)}}
              for steps in (1, 2, 4, 8, 16))


def named(name: str, studies: tuple[dict, ...], new: str) -> dict:
    """One of ``studies`` under another name, repeated on the RTL."""
    return next(study for study in studies if study["name"] == name) | {"name": new, "repeated": True}


def on(network: str, *studies: dict) -> tuple[Study, ...]:
    """Studies of one network, each once."""
    by_name = {study["name"]: study for study in studies}
    return tuple(Study(network=network, **study) for study in by_name.values())


TWO, FOUR = NETWORKS
EXPERIMENTS = {
    "table1": Experiment(text="accuracy, epochs and transport of BP, FA, sFA, SS and fBP on two networks",
                         studies=(*on(TWO, *TABLE1), *on(FOUR, *TABLE1))),
    "figure2": Experiment(text="accuracy lost against transport saved: fBP, top-K, random, change-weighted",
                          studies=on(FOUR, TABLE1[0], *SWEEP)),
    "figure3": Experiment(text="cosine similarity of actual and true gradient in each layer over training",
                          studies=on(FOUR, *TABLE1[1:], SWEEP[0], SWEEP[2], SWEEP[5], SWEEP[8], SWEEP[10])),
    "signs": Experiment(text="sign transport and sign sharing", studies=on(FOUR, *TABLE1, *SIGNS)),
    "precision": Experiment(text="feedback weights of 16, 8, 4 bits and of signs only", studies=on(FOUR, TABLE1[4], *PRECISION)),
    "choice": Experiment(text="top-K by histogram, as the hardware chooses, against exactly the largest changes",
                         studies=on(FOUR, *CHOICE, *(study | {"name": f"{study['name']}, exactly", "exact_choice": True}
                                                     for study in CHOICE))),
    "figure-energy": Experiment(text="cycles, words and an energy estimate of each scheme",
                                studies=on(FOUR, *TABLE1, *SIGNS, *SWEEP)),
    "rtl": Experiment(text="each scheme on the golden device and on the simulated RTL: the same weights digest", seeds=1,
                      studies=on(TWO, *({"repeated": True} | study for study in REPEATED))),
    "sparse": Experiment(text="sparse BPTT: accuracy, activity and cycles against the window of active neurons", seeds=1,
                         studies=on(TWO, *SPARSE)),
    "rate": Experiment(text="rate-based backpropagation: accuracy, cycles and memory against the number of steps", seeds=1,
                       studies=on(TWO, *RATED)),
    "rules": Experiment(text="the three learning rules side by side on one network", seeds=1,
                        studies=on(TWO, named("BP", TABLE1, "ttfs"), named("w = 0.2", SPARSE, "sparse-bptt, T = 100, w = 0.2"),
                                   named("T = 4", RATED, "rate, T = 4"))),
}
