"""How well the feedback weights serve: the gradients that they give against those that the forward weights would."""

import copy
from pathlib import Path

import numpy as np
import torch

from ...model.exact import TtfsNetwork
from ...model.exact.transport import encode
from ...spec.transport import Precision
from ..data import Split
from .measure import Measure

__all__ = ["Similarity", "gradient_similarity"]

PROBE_SAMPLES = 64


def gradient_similarity(network: TtfsNetwork, times: np.ndarray, labels: np.ndarray) -> list[float] | None:
    """Cosine similarity of the gradient through B and the true one, through W, for layers 1 to L - 1.

    ``times`` [n, n_in], ``labels`` [n] : samples that the gradients are summed over. The network is left as it is. None for a build
    whose feedback weights cannot equal the weights, or that keeps no gradients. 0 where a gradient is zero.
    """
    if network.config.feedback_precision is not Precision.FULL or not network.config.gradient_memory:
        return None
    samples = torch.from_numpy(np.ascontiguousarray(times)).to(torch.int64)
    found = []
    for true in (False, True):
        probe = copy.deepcopy(network)
        for gradient in probe.gradients:
            gradient.zero_()
        if true:
            probe.feedback = [None, *(encode(probe.config, weight) for weight in probe.weights[1:])]
        probe.train(samples, samples > 0, torch.from_numpy(np.ascontiguousarray(labels)))
        found.append([gradient.double().reshape(-1) for gradient in probe.gradients[:-1]])
    return [float(torch.nn.functional.cosine_similarity(actual, true, dim=0)) for actual, true in zip(*found, strict=True)]

class Similarity(Measure):
    """``gradient_similarity`` on the first test samples."""

    name = "similarity"

    def __init__(self, device, split: Split, folder: Path):
        super().__init__(device, folder)
        self._times, self._labels = split.times[:PROBE_SAMPLES], split.labels[:PROBE_SAMPLES]

    def layers(self) -> list[float] | None:
        """Of layers 1 to L - 1."""
        found = gradient_similarity(self.network, self._times, self._labels)
        return found and [round(value, 5) for value in found]
