"""Builds from what a person typed, with one-line refusals."""

from ..spec.config import CoreConfig
from ..spec.network import parse_layers
from .problems import OptionError

__all__ = ["build", "layer_sizes"]


def layer_sizes(text: str) -> tuple[int, ...]:
    """Layer sizes from ``784-256-10``. Raises OptionError that names the text."""
    try:
        return parse_layers(text)
    except ValueError as error:
        raise OptionError(str(error)) from error


def build(layers: tuple[int, ...], **options) -> CoreConfig:
    """The smallest build that runs ``layers``; ``options`` are further parameters of ``CoreConfig``.

    Raises OptionError for values that no build has.
    """
    try:
        return CoreConfig.for_network(layers, **options)
    except ValueError as error:
        raise OptionError(f"layers {'-'.join(map(str, layers))}: {error}") from error
