"""Bit-exact integer model: every architectural state of the accelerator, from docs/numerics.md.

It says *what* each integer is, not how or when the hardware makes it, and works on whole batches.
"""

from .network import ExactNetwork
from .over_time import OverTimeRecord, SparseBpttNetwork
from .rate import RateNetwork
from .record import AccessRecord, RateRecord, SampleRecord, UpdateRecord
from .ttfs import TtfsNetwork

__all__ = ["AccessRecord", "ExactNetwork", "OverTimeRecord", "RateNetwork", "RateRecord", "SampleRecord", "SparseBpttNetwork",
           "TtfsNetwork", "UpdateRecord"]
