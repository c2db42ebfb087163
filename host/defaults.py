"""What a training run does where nobody says otherwise, by rule and data set. Found by trials on the golden device; docs/results.md
tells what they reach."""

from ..spec.config import Rule, Schedule

__all__ = ["OVER_TIME", "defaults", "defaults_by_data", "fitted"]

IMAGES: dict[str, dict] = {
    "digits": {"layers": (64, 128, 10), "epochs": 15, "batch_size": 16, "lr": (2e-3,), "lr_decay": 0.9, "interval": 100,
               "lanes": 16},
    "fashion-mnist": {"layers": (784, 256, 10), "epochs": 12, "batch_size": 64, "lr": (1e-4,), "lr_decay": 0.9, "interval": 100,
                      "lanes": 32},
}
OVER_TIME = {"timesteps": 100, "tau": 10.0, "window": 0.2, "over_time": "max", "gain": 2, "error_scales": (8, 4, 0),
             "gradients": "cheaper", "rate_upper": 0.0, "rate_lower": 0.0, "rate_least": 1, "rate_most": 10,
             "spike_entries": 4096, "job_entries": 4096, "initial_mean": 0.0}
"""Of rule sparse-bptt, unless the data set has its own."""

FEW = {"epochs": 12, "batch_size": 32, "lr": (1e-3,), "lr_decay": 0.9, "interval": 10, "lanes": 32}
"""Of sets of few samples: 100 updates from one transport to the next would be more than an epoch."""

RECORDINGS = OVER_TIME | FEW
# Of short recordings whose classes differ throughout: each step of the readout counts. Its potentials add up, so its weights begin,
# and are learned, a step count's order smaller than the others'.
SUMMED = {"timesteps": 50, "window": 0.3, "over_time": "sum", "gain": 0, "lr": (1e-3, 6e-5), "error_scales": (4, 0),
          "spike_entries": 8192, "job_entries": 8192}
SPARSE: dict[str, dict] = {
    # The maximum over time gives a class no gradient once its potential is below that of the first step: seeds differed by 30 %.
    "digits": IMAGES["digits"] | OVER_TIME | {"layers": (64, 100, 10), "timesteps": 50, "over_time": "sum", "gain": 0,
                                              "lr": (1e-3, 6e-5), "error_scales": (4, 0), "initial_scale": (1.9, 0.06)},
    "fashion-mnist": IMAGES["fashion-mnist"] | OVER_TIME | {"layers": (784, 200, 200, 10), "epochs": 5, "lr_decay": 0.55,
                                                     "lr": (1e-3,), "error_scales": (12, 6, 0), "gain": 1, "initial_mean": 0.2},
    "nmnist": RECORDINGS | {"layers": (1156, 200, 10), "gain": 0, "epochs": 8, "initial_scale": (0.6,),
                            "error_scales": (4, 0), "spike_entries": 16384, "job_entries": 8192},
    "fsdd": RECORDINGS | SUMMED | {"layers": (128, 100, 10), "initial_scale": (1.0, 0.06)},
    "braille": RECORDINGS | SUMMED | {"layers": (120, 100, 27), "initial_scale": (1.5, 0.06)},
    "shd": RECORDINGS | SUMMED | {"layers": (700, 200, 20), "timesteps": 100, "lr": (1e-3, 3e-5), "initial_scale": (0.6, 0.03),
                                  "spike_entries": 32768, "job_entries": 16384},
}
RATE = {"timesteps": 4, "leak": 0.2, "coding": "current", "schedule": str(Schedule.SINGLE_STEP), "initial_scale": (1.4,)}
"""Of rule rate, unless the data set has its own."""

# A recording's spikes are few in a step: neurons that forgot them at once would learn little.
RATE_RECORDINGS = RATE | FEW | {"timesteps": 50, "leak": 0.9, "coding": "spikes", "initial_scale": (3.0,), "lr": (3e-3,)}
RATE_BASED: dict[str, dict] = {
    "digits": IMAGES["digits"] | RATE | {"layers": (64, 100, 10), "epochs": 10, "lr_decay": 0.8},
    "fashion-mnist": IMAGES["fashion-mnist"] | RATE | {"epochs": 10, "lr": (2e-4,), "lr_decay": 0.8},
    "nmnist": RATE_RECORDINGS | {"layers": (1156, 200, 10), "timesteps": 20, "initial_scale": (1.0,), "lr": (1e-3,), "epochs": 8,
                                 "spike_entries": 16384},
    "fsdd": RATE_RECORDINGS | {"layers": (128, 100, 10), "spike_entries": 8192},
    "braille": RATE_RECORDINGS | {"layers": (120, 100, 27), "spike_entries": 8192},
    "shd": RATE_RECORDINGS | {"layers": (700, 200, 20), "spike_entries": 32768},
}
RULES = {Rule.TTFS: IMAGES, Rule.SPARSE_BPTT: SPARSE, Rule.RATE: RATE_BASED}


def defaults(rule: str, data: str) -> dict:
    """Options by name; of digits where the rule does not train the data set, whose name ``TrainOptions`` then refuses."""
    known = RULES.get(rule, IMAGES)
    return dict(known.get(data, known["digits"]))


def fitted(values: tuple, depth: int) -> tuple:
    """A list with one value for each weight layer, for a network of another depth: the first layers share the first value. Lists of
    one value or none mean all layers and stay."""
    return values if len(values) < 2 else values[-depth:] if depth < len(values) else (values[0],) * (depth - len(values)) + values


def defaults_by_data(name: str) -> dict:
    """Defaults of one option for each data set that has one: of the first rule that does."""
    found = {}
    for known in reversed(RULES.values()):
        found |= {data: usual[name] for data, usual in known.items() if name in usual}
    return {data: found[data] for data in SPARSE if data in found}
