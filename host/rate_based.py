"""Options of rule rate: how a network runs over its time steps, and what its build has."""

from dataclasses import dataclass

from ..spec.config import Rule, Schedule
from ..spec.rate import RateSettings
from .builds import check_steps
from .problems import OptionError

__all__ = ["CODINGS", "RateOptions"]

CODINGS = ("current", "spikes")
"""Of inputs: a level that drives the first layer in each step alike, or spikes."""

MOST_ENTRIES = (1 << 16) - 1  # as CoreConfig allows


@dataclass(frozen=True)
class RateOptions:
    """What a person asks of a network of rule rate.

    Parameters
    ----------
    steps : T.
    leak : what a potential keeps from step to step.
    coding : of inputs, one of CODINGS.
    schedule : of the build, a ``Schedule``.
    spike_entries : of the build: levels and input spikes of a sample; None: enough for any sample.
    max_steps : of the build: most time steps; None: ``steps``.
    """

    steps: int
    leak: float = 0.2
    coding: str = "current"
    schedule: str = str(Schedule.SINGLE_STEP)
    spike_entries: int | None = None
    max_steps: int | None = None

    def build(self, layers: tuple[int, ...]) -> dict:
        """Parameters of CoreConfig, the same for each coding. Raises OptionError for more time steps than a build can have."""
        check_steps(self.steps)
        most = self.steps if self.max_steps is None else self.max_steps
        if most < self.steps:
            raise OptionError(f"--max-steps {most}: at least --timesteps {self.steps} are needed")
        entries = layers[0] * (1 + most) if self.spike_entries is None else self.spike_entries
        return {"rules": (Rule.RATE,), "max_steps": most, "spike_entries": min(entries, MOST_ENTRIES),
                "schedule": self.schedule}

    def settings(self) -> RateSettings:
        """How the network runs. Raises OptionError for values out of range."""
        check_steps(self.steps)
        if not 0 <= self.leak < 1:
            raise OptionError(f"--leak {self.leak}: 0 to below 1 is needed")
        return RateSettings(steps=self.steps, leak=self.leak, coded=self.coding == "spikes")
