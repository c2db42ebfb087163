"""Builds from what a person typed, with one-line refusals."""

from collections.abc import Sequence

from ..spec.config import CoreConfig
from ..spec.network import parse_layers
from .problems import OptionError

__all__ = ["build", "check_steps", "joined", "layer_sizes"]

MOST_STEPS = 1 << 12  # as CoreConfig allows


def layer_sizes(text: str) -> tuple[int, ...]:
    """Layer sizes from ``784-256-10``. Raises OptionError that names the text."""
    try:
        return parse_layers(text)
    except ValueError as error:
        raise OptionError(str(error)) from error


def check_steps(steps: int) -> None:
    """Raises OptionError for a number of time steps that no build has."""
    if not 1 <= steps <= MOST_STEPS:
        raise OptionError(f"--timesteps {steps}: a build has 1 to {MOST_STEPS}")


def joined(parts: Sequence[dict]) -> dict:
    """Parameters of a build for several rules, from those of a build for each: of each the larger."""
    return {name: max(part[name] for part in parts if name in part) for each in parts for name in each}


def build(layers: tuple[int, ...], **options) -> CoreConfig:
    """The smallest build that runs ``layers``; ``options`` are further parameters of ``CoreConfig``.

    Raises OptionError for values that no build has.
    """
    try:
        return CoreConfig.for_network(layers, **options)
    except ValueError as error:
        raise OptionError(f"layers {'-'.join(map(str, layers))}: {error}") from error
