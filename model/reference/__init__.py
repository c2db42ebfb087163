"""Floating-point model of the TTFS network, written from the equations: the yardstick of the exact model."""

from .network import ReferenceNetwork
from .optimizer import SGD, SignMomentum
from .training import EpochResult, train_reference
from .transport import ReferenceTransport

__all__ = ["SGD", "EpochResult", "ReferenceNetwork", "ReferenceTransport", "SignMomentum", "train_reference"]
