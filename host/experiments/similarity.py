"""How well the feedback weights serve: the gradients that they give against those that the forward weights would."""

import copy

import numpy as np
import torch

from ...model.exact import TtfsNetwork
from ...model.exact.transport import encode
from ...spec.transport import Precision

__all__ = ["gradient_similarity"]


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
