"""Feedback and transport schemes of one layer: what is copied from W into B after an update, and which weights are chosen.

Sources: Frozen Backpropagation, sections 3 and 4 (fBP, partial transport), appendix B.2 (sign sharing); feedback alignment
(Lillicrap et al., 2016); sign symmetry (Liao et al., 2016).
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import log, log2

__all__ = [
    "BINS", "BIN_MANTISSA", "CHANGE_BITS", "LayerTransport", "NEGLOG_FRACTION", "NEGLOG_TABLE", "PROBABILITY_BITS", "Precision",
    "Signs", "TEMPERATURE_BITS", "TEMPERATURE_FRACTION", "Values", "change_bin", "negative_log2", "temperature_register",
]

BIN_MANTISSA = 3
"""A histogram bin of changes is as wide as 2**-3 of the power of two below it; smaller changes have a bin each."""

CHANGE_BITS = 18
"""|W - B| of weights of up to 18 bits."""

PROBABILITY_BITS = 24
"""A weight is chosen at random when the upper bits of its lane's generator lie below p 2**24."""

NEGLOG_FRACTION = 8
NEGLOG_TABLE = tuple(round(2**NEGLOG_FRACTION * log2(1 + (n + 0.5) / 64)) for n in range(64))
"""log2(1 + x) by the upper six bits of x, 8 fractional bits."""

TEMPERATURE_FRACTION = 14
TEMPERATURE_BITS = 18
"""alpha ln 2, as change-weighted choice compares it: 18 bits, 14 of them fractional."""


class Values(IntEnum):
    """Which weights are copied."""

    NONE = 0
    ALL = 1
    TOP_K = 2
    RANDOM = 3
    CHANGE = 4


class Signs(IntEnum):
    """When signs are copied (to the weights whose value is not)."""

    NEVER = 0
    EVERY_UPDATE = 1
    AT_INTERVAL = 2


class Precision(StrEnum):
    """Feedback weights of a build: as wide as the forward weights, 8 or 4 bits, or only the sign of a fixed scale."""

    FULL = "full"
    EIGHT = "8-bit"
    FOUR = "4-bit"
    SIGN = "sign"


@dataclass(frozen=True, kw_only=True)
class LayerTransport:
    """The scheme of one layer: registers TRANSPORT_l, SELECT_l and SCALE_l.

    Parameters
    ----------
    values : which weights are copied. every_update : after each update, not only at the interval.
    signs : when the sign of W is given to B.
    select : TOP_K: how many weights; RANDOM: probability, 24 fractional bits (2**24 is always); CHANGE: ``temperature_register``.
    scale : |B| of a build that keeps signs only, in the weight format.
    """

    values: Values = Values.ALL
    every_update: bool = False
    signs: Signs = Signs.NEVER
    select: int = 0
    scale: int = 0

    @property
    def register(self) -> int:
        """Content of TRANSPORT_l."""
        return int(self.signs) | self.every_update << 2 | int(self.values) << 3

    @classmethod
    def of(cls, register: int, select: int, scale: int) -> "LayerTransport":
        """The scheme that registers hold; codes without a meaning copy nothing."""
        values, signs = register >> 3, register & 3
        return cls(values=Values(values) if values in list(Values) else Values.NONE, every_update=bool(register >> 2 & 1),
                   signs=Signs(signs) if signs in list(Signs) else Signs.NEVER, select=select, scale=scale)

    def moves_values(self, at_interval: bool) -> bool:
        """Whether an update is followed by a copy of weights; ``at_interval``: it is the interval's last."""
        return self.values is not Values.NONE and (self.every_update or at_interval)

    def moves_signs(self, at_interval: bool) -> bool:
        """Whether an update is followed by a copy of signs."""
        return self.signs is Signs.EVERY_UPDATE or (self.signs is Signs.AT_INTERVAL and at_interval)


def change_bin(change: int) -> int:
    """Histogram bin of a change: monotone, ``2**BIN_MANTISSA`` bins for each power of two."""
    place = max(0, change.bit_length() - 1 - BIN_MANTISSA)
    return (place << BIN_MANTISSA) + (change >> place)


BINS = change_bin((1 << CHANGE_BITS) - 1) + 1
"""Bins of the histogram."""


def negative_log2(state: int) -> int:
    """-log2(state / 2**32) of a generator's state (32 bits, not 0), ``NEGLOG_FRACTION`` fractional bits, at least 0."""
    zeros = 32 - state.bit_length()
    mantissa = (state << zeros >> 25) & 63  # the six bits below the leading one
    return (zeros + 1 << NEGLOG_FRACTION) - NEGLOG_TABLE[mantissa]


def temperature_register(alpha: float) -> int:
    """SELECT_l of change-weighted choice at temperature alpha, in units of the weights."""
    return round(alpha * log(2) * 2**TEMPERATURE_FRACTION)
