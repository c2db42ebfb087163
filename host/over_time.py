"""Options of rule sparse-bptt: how a network runs over time, and how large its tape is."""

import math
from dataclasses import dataclass

import numpy as np

from ..spec.config import CoreConfig, Rule
from ..spec.lif import STRENGTH_BITS, GradientForm, LifFormats, LifSettings, OverTime, RateLoss
from .builds import check_steps
from .problems import OptionError

__all__ = ["GRADIENTS", "OVER_TIME", "OverTimeOptions"]

OVER_TIME = {"max": OverTime.MAX, "sum": OverTime.SUM}
GRADIENTS = {"cheaper": GradientForm.CHEAPER, "active": GradientForm.ACTIVE, "spikes": GradientForm.SPIKES}

EVERYTHING = 1 << 20
"""A window beyond every potential, in units of the last bit."""


@dataclass(frozen=True)
class OverTimeOptions:
    """What a person asks of a network over time.

    Parameters
    ----------
    steps : T.
    tau : time constant of a potential, in steps; it keeps exp(-1 / tau) from step to step, at 0 nothing.
    window : w in |V - 1| < w; inf: all neurons pass gradient.
    over_time : what of the readout is the logit, as in OVER_TIME.
    gradients : how gradients are summed, as in GRADIENTS.
    rate_upper, rate_lower : strengths of the losses of firing rates, strength / 2 times the squared number of spikes that a
        hidden neuron fires above ``rate_most`` or below ``rate_least`` in a sample; 0: none.
    spike_entries, job_entries : of the build's tape; None: enough for any sample.
    """

    steps: int
    tau: float
    window: float
    over_time: str
    gradients: str = "cheaper"
    rate_upper: float = 0.0
    rate_lower: float = 0.0
    rate_least: int = 1
    rate_most: int = 10
    spike_entries: int | None = None
    job_entries: int | None = None

    def build(self, layers: tuple[int, ...]) -> dict:
        """Parameters of CoreConfig. Raises OptionError for more time steps than a build can have."""
        check_steps(self.steps)
        spikes = self.steps * sum(layers[:-1]) if self.spike_entries is None else self.spike_entries
        halves = [0, 0]
        for l, size in enumerate(layers[1:], start=1):
            last = l == len(layers) - 1 and self.over_time == "max"
            halves[l % 2] += size * (1 if last else self.steps)
        jobs = max(halves) if self.job_entries is None else self.job_entries
        return {"rules": (Rule.SPARSE_BPTT,), "max_steps": self.steps, "spike_entries": min(spikes, 65535), "job_entries": jobs,
                "rate_loss": bool(self.rate_upper or self.rate_lower)}

    @property
    def beta(self) -> float:
        """What a potential keeps from step to step. Raises OptionError for a time constant below 0 or not finite."""
        if not 0 <= self.tau < math.inf:
            raise OptionError(f"--tau {self.tau}: a finite number of steps, 0 or more, is needed")
        return math.exp(-1 / self.tau) if self.tau else 0.0

    def window_bits(self, one: int) -> int:
        """w in the weights' last bits, of which ``one`` are 1.0. Raises OptionError for one below 0, or below a bit."""
        if not self.window >= 0:
            raise OptionError(f"--window {self.window}: 0 to inf is needed")
        if 0 < self.window * one < 0.5:
            raise OptionError(f"--window {self.window}: less than potentials resolve; use 0, or at least {0.5 / one:.2g}")
        return EVERYTHING if math.isinf(self.window) else min(round(self.window * one), EVERYTHING)

    def rate_loss(self, config: CoreConfig, scales: tuple[int, ...]) -> RateLoss | None:
        """The losses of firing rates on a build; None without. Raises OptionError for values out of range."""
        if not self.rate_upper and not self.rate_lower:
            return None
        if not 0 <= self.rate_least <= self.rate_most < 1 << 16:
            raise OptionError(f"rates from {self.rate_least} to {self.rate_most} spikes: 0 <= least <= most is needed")
        strengths = []
        for name, strength in (("rate-upper", self.rate_upper), ("rate-lower", self.rate_lower)):
            units = [2.0 ** (LifFormats(config).operand.fraction + scale) for scale in scales[1:]]
            whole = [round(strength * unit) for unit in units]
            if any(not (strength == 0 or 1 <= value < 1 << STRENGTH_BITS) for value in whole):
                raise OptionError(f"--{name} {strength}: 0, or {1 / min(units):.2g} to {(1 << STRENGTH_BITS) / max(units):.2g} "
                                  "is possible")
            strengths.append(tuple(whole))
        return RateLoss(least=self.rate_least, most=self.rate_most, upper=strengths[0], lower=strengths[1])

    def settings(self, config: CoreConfig, scales: tuple[int, ...], gain: int = 0) -> LifSettings:
        """How the network runs on a build. Raises OptionError for values out of range."""
        try:
            return LifSettings(steps=self.steps, beta=self.beta, window=self.window_bits(config.weight.one), scales=scales,
                               gain=gain, over_time=OVER_TIME[self.over_time], gradients=GRADIENTS[self.gradients],
                               rates=self.rate_loss(config, scales))
        except ValueError as error:
            raise OptionError(str(error)) from None

    def random_settings(self, config: CoreConfig, random: np.random.Generator, layers: tuple[int, ...]) -> LifSettings:
        """The same with error scales that rise towards the inputs, and a gain, so that errors are neither all 0 nor saturated."""
        steps = random.integers(0, 4, len(layers) - 2)
        last = int(random.integers(0, 3))
        scales = (last + np.concatenate([np.cumsum(steps[::-1])[::-1], [0]])).tolist()
        return self.settings(config, tuple(int(s) for s in scales), gain=int(random.integers(0, 3)))
