"""Feedback and transport schemes by name: what a layer's registers hold, and the feedback weights it starts with."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from ..spec.config import CoreConfig
from ..spec.transport import (
    PROBABILITY_BITS,
    TEMPERATURE_BITS,
    LayerTransport,
    Precision,
    Signs,
    Values,
    temperature_register,
)
from .problems import OptionError

__all__ = ["FEEDBACKS", "TRANSPORTS", "Scheme", "has_interval", "needs_choice", "schemes"]

FEEDBACKS = {
    "bp": "all weights after every update", "fbp": "weights at the interval, frozen between (Frozen Backpropagation)",
    "fbp-signs": "as fbp, and signs after every update", "sfa": "signs after every update, sizes fixed and random",
    "ss": "signs after every update, one fixed size", "fss": "signs at the interval, one fixed size", "fa": "fixed and random",
}
TRANSPORTS = {
    "full": Values.ALL, "top-k": Values.TOP_K, "random": Values.RANDOM, "change": Values.CHANGE,
}
CHOOSING = ("fbp", "fbp-signs")  # feedbacks whose transport may choose single weights
NO_INTERVAL = ("bp", "sfa", "ss", "fa")
SYMMETRIC = ("ss", "fss")


def has_interval(feedback: str, transport: str) -> bool:
    """Whether any scheme of two lists does something at the interval."""
    pairs = feedback.split(","), transport.split(",")
    length = max(map(len, pairs))
    return any(name not in NO_INTERVAL and (name not in CHOOSING or move != "change")
               for name, move in zip(*(names * length if len(names) == 1 else names for names in pairs), strict=False))


def needs_choice(transport: str) -> bool:
    """Whether a list of transports has one that chooses single weights."""
    return any(name != "full" for name in transport.split(","))


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Feedback and transport of one weight layer.

    Parameters
    ----------
    feedback, transport : names in FEEDBACKS and TRANSPORTS.
    fraction : share of the weights that top-k copies. probability : of random. alpha : temperature of change, in units of W.
    """

    feedback: str = "bp"
    transport: str = "full"
    fraction: float | None = None
    probability: float | None = None
    alpha: float | None = None

    def __post_init__(self):
        for name, known in (("feedback", FEEDBACKS), ("transport", TRANSPORTS)):
            if getattr(self, name) not in known:
                raise OptionError(f"--{name} {getattr(self, name)!r} is unknown; choose one of: {', '.join(known)}")
        if self.transport != "full" and self.feedback not in CHOOSING:
            raise OptionError(f"--transport {self.transport} chooses weights that --feedback {self.feedback} does not copy; "
                              f"use --feedback {' or '.join(CHOOSING)}")
        for name, owner in (("fraction", "top-k"), ("probability", "random"), ("alpha", "change")):
            value = getattr(self, name)
            if self.transport == owner and value is None:
                raise OptionError(f"--transport {owner} needs --{name}")
        if self.transport == "top-k" and not 0 < self.fraction <= 1:
            raise OptionError(f"--fraction {self.fraction}: a share of the weights above 0 and up to 1 is needed")
        if self.transport == "random" and not 0 <= self.probability <= 1:
            raise OptionError(f"--probability {self.probability}: a number from 0 to 1 is needed")
        if self.transport == "change" and not self.alpha > 0:
            raise OptionError(f"--alpha {self.alpha}: a temperature above 0 is needed")
        for name in ("fraction", "probability", "alpha"):
            if not isfinite(getattr(self, name) or 0):
                raise OptionError(f"--{name} {getattr(self, name)}: a finite number is needed")

    def registers(self, config: CoreConfig, n_in: int, n_out: int) -> LayerTransport:
        """What the layer's registers hold. Raises OptionError for what the build lacks or cannot express."""
        values = {"bp": Values.ALL}.get(self.feedback, TRANSPORTS[self.transport] if self.feedback in CHOOSING else Values.NONE)
        signs = {"fbp-signs": Signs.EVERY_UPDATE, "sfa": Signs.EVERY_UPDATE, "ss": Signs.EVERY_UPDATE,
                 "fss": Signs.AT_INTERVAL}.get(self.feedback, Signs.NEVER)
        if self.transport != "full" and not config.partial_transport:
            raise OptionError(f"--transport {self.transport}: this build cannot choose single weights; "
                              "generate it with --partial-transport")
        if config.feedback_precision is Precision.SIGN and (values is not Values.NONE or self.feedback == "sfa"):
            raise OptionError(f"--feedback {self.feedback}: this build keeps signs only (--feedback-precision sign); "
                              f"use {', '.join((*SYMMETRIC, 'fa'))}, or a build with wider feedback weights")
        return LayerTransport(values=values, every_update=self.feedback == "bp" or self.transport == "change", signs=signs,
                              select=self._select(n_in * n_out), scale=symmetric_scale(config, n_in))

    def _select(self, weights: int) -> int:
        match self.transport:
            case "top-k":
                count = round(self.fraction * weights)
                if not count:
                    raise OptionError(f"--fraction {self.fraction}: no weight of the layer's {weights:,}; "
                                      f"at least {1 / weights:.2g} is needed")
                return count
            case "random":
                register = round(self.probability * 2**PROBABILITY_BITS)
                if self.probability and not register:
                    raise OptionError(f"--probability {self.probability}: the generators know multiples of "
                                      f"{2**-PROBABILITY_BITS:.2g}")
                return register
            case "change":
                register = temperature_register(min(self.alpha, 1 << TEMPERATURE_BITS))
                if not 0 < register < 1 << TEMPERATURE_BITS:
                    unit = temperature_register(1.0)
                    raise OptionError(f"--alpha {self.alpha}: the registers hold {1 / unit:.2g} to "
                                      f"{((1 << TEMPERATURE_BITS) - 1) // (unit / 10) / 10}")
                return register
        return 0

    def initial(self, config: CoreConfig, weight: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Stored feedback weights [n_in, n_out] before training; ``weight`` in the weight format."""
        if self.feedback in SYMMETRIC:
            if config.feedback_precision is Precision.SIGN:
                return stored(config, weight)
            size = stored(config, np.array(symmetric_scale(config, len(weight))))  # one for both signs, and never 0
            return np.where(weight < 0, -1, 1) * max(1, int(size))
        return stored(config, np.rint(self.real(weight / config.weight.one, random) * config.weight.one).astype(np.int64))

    def real(self, weight: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Feedback weights [n_in, n_out] before training as real numbers."""
        deviation = np.sqrt(2 / len(weight))
        drawn, sign = random.standard_normal(weight.shape) * deviation, np.where(weight < 0, -1, 1)
        if self.feedback == "fa":
            return drawn
        return {"sfa": sign * np.abs(drawn), "ss": sign * deviation, "fss": sign * deviation}.get(self.feedback, weight)


def symmetric_scale(config: CoreConfig, n_in: int) -> int:
    """|B| of sign symmetry: the deviation sqrt(2 / n_in) of the initial weights, in the weight format."""
    return max(1, min(config.weight.max, round(np.sqrt(2 / n_in) * config.weight.one)))


def stored(config: CoreConfig, weight: np.ndarray) -> np.ndarray:
    """Weights as the feedback memory keeps them."""
    if config.feedback_precision is Precision.SIGN:
        return (weight < 0).astype(np.int64)
    shift = config.feedback_shift
    return np.clip((weight + (1 << shift >> 1)) >> shift, config.feedback.min, config.feedback.max)


def schemes(depth: int, feedback: str, transport: str = "full", fraction: Sequence[float] = (), probability: Sequence[float] = (),
            alpha: Sequence[float] = ()) -> tuple[Scheme, ...]:
    """Scheme of weight layers 2 to ``depth`` from lists: one value for all of them, or one for each.

    Raises OptionError, by name, for a list of another length or a scheme that makes no sense.
    """
    lists = {"feedback": feedback.split(","), "transport": transport.split(","), "fraction": fraction,
             "probability": probability, "alpha": alpha}
    layers = max(1, depth - 1)
    for name, values in lists.items():
        if len(values) not in ((1, layers) if name in ("feedback", "transport") else (0, 1, layers)):
            raise OptionError(f"--{name}: {len(values)} values for {layers} layer{'s' * (layers > 1)} with feedback weights: "
                              "give one, or one for each")
    spread = [values * layers if len(values) == 1 else values or [None] * layers for values in map(list, lists.values())]
    return tuple(Scheme(**dict(zip(lists, values, strict=True))) for values in zip(*spread, strict=True))[:depth - 1]
