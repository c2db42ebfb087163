"""Floating-point model of the TTFS network, written from the equations: the yardstick of the exact model."""

from .network import ReferenceNetwork
from .optimizer import SGD, SignMomentum
from .training import EpochResult, train_reference

__all__ = ["SGD", "EpochResult", "ReferenceNetwork", "SignMomentum", "train_reference"]
