"""An energy estimate of training from counted operations and memory accesses.

Per operation at 45 nm and 0.9 V: M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9:
integer addition 8 bits 0.03 pJ, 32 bits 0.1 pJ; multiplication 8 bits 0.2 pJ, 32 bits 3.1 pJ; 64 bits from an 8 KB memory 10 pJ.
Additions are scaled with their width, multiplications with the product of the widths, memory accesses with the bits. An FPGA takes
more; ratios between schemes are what the estimate is for.
"""

from ...spec.config import CoreConfig
from ...spec.transport import Precision

__all__ = ["TABLE", "energy"]

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
