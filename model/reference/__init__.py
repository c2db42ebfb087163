"""Floating-point models of the networks, written from the equations: the yardstick of the exact ones."""

from .network import ReferenceNetwork
from .optimizer import SGD, SignMomentum
from .sparse_bptt import SparseBpttNetwork
from .training import EpochResult, train_reference
from .transport import ReferenceTransport
from .ttfs import TtfsNetwork

__all__ = ["SGD", "EpochResult", "ReferenceNetwork", "ReferenceTransport", "SignMomentum", "SparseBpttNetwork", "TtfsNetwork",
           "train_reference"]
