"""An energy estimate of training from counted operations and memory accesses, and what share of them sparse BPTT saves.

Per operation at 45 nm and 0.9 V: M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9:
integer addition 8 bits 0.03 pJ, 32 bits 0.1 pJ; multiplication 8 bits 0.2 pJ, 32 bits 3.1 pJ; 64 bits from an 8 KB memory 10 pJ.
Additions are scaled with their width, multiplications with the product of the widths, memory accesses with the bits. An FPGA takes
more; ratios between schemes are what the estimate is for.

Savings: Perez-Nieves & Goodman, "Sparse Spiking Gradient Descent", table 2.
"""

from ...spec.config import CoreConfig
from ...spec.lif import LifSettings
from ...spec.transport import Precision

__all__ = ["TABLE", "energy", "saved"]

ADD, MULTIPLY, MEMORY = 0.1 / 32, 3.1 / 32**2, 10 / 64
TABLE = {"addition, a bit": ADD, "multiplication, a bit x bit": MULTIPLY, "memory access, a bit": MEMORY}
"""Picojoules."""


def energy(config: CoreConfig, layers: tuple[int, ...], counters: dict[str, int]) -> dict[str, float]:
    """Microjoules of each phase, logic and memory apart: ``{"forward logic": ..., "forward memory": ..., ...}``."""
    w, b, s, a = config.weight.bits, config.feedback.bits, config.slope.bits, config.level.bits
    e, g, sums, t = config.error.bits, config.gradient.bits, config.error_sum.bits, config.time.bits
    edges = list(zip(layers, layers[1:], strict=False))
    integrated = sum(counters[f"EVENTS_{l}"] * n_out for l, (_, n_out) in enumerate(edges))
    learnt = sum(counters[f"ACTIVE_{l}"] * n_in for l, (n_in, _) in enumerate(edges, start=1))
    passed_on = sum(counters[f"ACTIVE_{l}"] * n_in for l, (n_in, _) in enumerate(edges, start=1) if l > 1)
    weights = counters["UPDATES"] * sum(n_in * n_out for n_in, n_out in edges)  # every weight after every batch
    read, signs = counters["WEIGHTS_READ"], counters["SIGNS_TRANSPORTED"]
    written = counters["FEEDBACK_WORDS"] * config.lanes
    compared = read if config.partial_transport else signs  # B is looked at, too
    picojoules = {
        "forward logic": integrated * (ADD * (s + a) + MULTIPLY * w * t),
        "forward memory": integrated * MEMORY * (w + 2 * (s + a)),
        "backward logic": learnt * (MULTIPLY * e * t + ADD * g) + passed_on * (MULTIPLY * w * e + ADD * sums),
        "backward memory": learnt * MEMORY * 2 * g + passed_on * MEMORY * (b + 2 * sums),
        "update logic": weights * (MULTIPLY * 8 * g + ADD * 2 * w),
        "update memory": weights * MEMORY * 2 * (w + g),
        "transport logic": compared * ADD * (w + 1) if config.feedback_precision is not Precision.SIGN else 0.0,
        "transport memory": MEMORY * (read * w + compared * b + written * b),
    }
    return {name: value * 1e-6 for name, value in picojoules.items()}


def saved(config: CoreConfig, settings: LifSettings, layers: tuple[int, ...], counters: dict[str, int],
          dense_words: int) -> dict[str, list[float] | float]:
    """Shares of a dense backward pass's operations, and so of their energy, that training with rule sparse-bptt saved.

    Parameters
    ----------
    layers : of a network with two hidden layers at least. counters : of training.
    dense_words : words of P gradients that a sample adds to by active neuron where every neuron is active in each step but the
        first.

    Returns
    -------
    w_bound, s_bound : as in table 2, the most that hardware can save which makes the required sums and products only. ``w_bound``
        1 - rho_l of the gradients of W of layers l = 2 to L - 1, each from one hidden layer to the next, ``s_bound`` 1 - rho_l of
        the gradients of spikes S of hidden layers 1 to L - 2. rho_l is the share of the layer's neurons and steps that is active.
    w_all_bound : ``w_bound`` over the gradients of all W, the first and the last included: words of the columns of all active
        neurons, against ``dense_words``.
    w_counted : the same of the words that register GRADIENT_WORDS counted, of all layers. By active neuron that is
        ``w_all_bound``, but for jobs before a layer's first input spike, which add nothing: outputs have such jobs, hidden layers
        only with w > 1. Samples that are summed by input spike have fewer additions than by active neuron, and so may lie above
        ``w_all_bound``; in a layer narrower than P they may have more words, and lie below it.
    s_counted : words of P error sums that the error sweeps of layers 2 to L - 1 add to, against those of a dense pass in the same
        form. They follow from ACTIVE_l exactly: each job adds to the sums of all neurons of the layer before, but that of a V[1],
        which comes after all looks. V[1] is 0 in these layers: with w > 1 active in all neurons, else in none. Looks, which are one
        neuron's and not a layer's, are left out. These sums go by the jobs of layer l + 1, the paper's by the active neurons of
        layer l: with w <= 1 ``s_counted`` is not above ``w_bound``, but may be above ``s_bound``.
    """
    samples, steps, hidden = counters["SAMPLES_TRAINED"] - counters["OVERFLOWS"], settings.steps, range(1, len(layers) - 1)
    blocks = [-(-size // config.lanes) for size in layers]
    active = {l: counters[f"ACTIVE_{l}"] for l in range(1, len(layers))}
    left_out = [1 - active[l] / (samples * layers[l] * steps) for l in hidden]
    at_rest = settings.window > config.weight.one and steps > 1
    swept = sum((active[l] - samples * layers[l] * at_rest) * blocks[l - 1] for l in hidden[1:])
    dense_swept = samples * sum(layers[l] * max(1, steps - 2) * blocks[l - 1] for l in hidden[1:])
    return {
        "w_bound": left_out[1:], "s_bound": left_out[:-1],
        "w_all_bound": 1 - sum(active[l] * blocks[l - 1] for l in active) / (samples * dense_words),
        "w_counted": 1 - counters["GRADIENT_WORDS"] / (samples * dense_words),
        "s_counted": 1 - swept / dense_swept,
    }
