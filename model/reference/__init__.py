"""Floating-point models of the networks, written from the equations: the yardstick of the exact ones."""

from .bptt import BpttNetwork
from .network import ReferenceNetwork
from .optimizer import SGD, SignMomentum
from .rate import RateNetwork
from .sparse_bptt import SparseBpttNetwork
from .training import EpochResult, train_reference
from .transport import ReferenceTransport
from .ttfs import TtfsNetwork

__all__ = ["SGD", "BpttNetwork", "EpochResult", "RateNetwork", "ReferenceNetwork", "ReferenceTransport", "SignMomentum",
           "SparseBpttNetwork", "TtfsNetwork", "train_reference"]
