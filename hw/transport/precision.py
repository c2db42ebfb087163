"""Feedback weights as they are stored and as they are used. Golden model: model/exact/transport.py."""

from amaranth.hdl import Const, Mux, Value

from ...spec.config import CoreConfig
from ...spec.transport import Precision
from ..arithmetic.rounding import round_shift, saturate

__all__ = ["decode", "encode", "with_sign"]


def encode(config: CoreConfig, weight: Value) -> Value:
    """A weight as the feedback memory stores it (assign it to a signal of that shape)."""
    if config.feedback_precision is Precision.SIGN:
        return weight < 0
    return saturate(round_shift(weight, config.feedback_shift), config.feedback)


def decode(config: CoreConfig, stored: Value, scale: Value) -> Value:
    """A stored feedback weight in the weight format; ``scale`` is |B| of a build that keeps signs only."""
    if config.feedback_precision is Precision.SIGN:
        return Mux(stored, -scale, scale)
    return stored << config.feedback_shift


def with_sign(config: CoreConfig, stored: Value, weight: Value) -> Value:
    """``stored`` with the sign of ``weight``."""
    if config.feedback_precision is Precision.SIGN:
        return encode(config, weight)
    turned = Mux(stored == config.feedback.min, Const(config.feedback.max), -stored)
    keeps = (stored < 0) == (weight < 0)
    return Mux(keeps | (stored == 0), stored, turned)
