"""Figures of merit from counters: what the accelerator did, per sample and against the ideal."""

import numpy as np

__all__ = ["active_fraction", "add", "cross_entropy", "cycles", "events_per_sample", "feedback_weights",
           "ideal_interval", "lane_utilization", "transport_reduction"]

PHASES = ("total", "forward", "readout", "backward", "update", "transport")
LOGIT_SCALE = 2.0**-10

Counters = dict[str, int]


def add(*parts: Counters) -> Counters:
    """Sum of counters; one that is missing counts as 0."""
    return {name: sum(part.get(name, 0) for part in parts) for name in dict.fromkeys(n for part in parts for n in part)}


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Sum over the samples of the softmax cross-entropy, in nats; logits (samples, outputs) as results carry them."""
    z = logits * LOGIT_SCALE
    z = z - z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels]).sum())


def cycles(counters: Counters) -> dict[str, int]:
    """Clock cycles: total and each phase (phases overlap, so they add up to more than the total)."""
    return {phase: counters[f"{phase.upper()}_CYCLES"] for phase in PHASES}


def samples(counters: Counters) -> int:
    """Samples that passed through, at least 1 so that it can divide."""
    return max(1, counters["SAMPLES_TRAINED"] + counters["SAMPLES_INFERRED"])


def events_per_sample(counters: Counters, layers: tuple[int, ...]) -> list[float]:
    """Spikes of layers 0 to L - 1, mean per sample."""
    return [counters[f"EVENTS_{l}"] / samples(counters) for l in range(len(layers) - 1)]


def active_fraction(counters: Counters, layers: tuple[int, ...], steps: int = 1) -> list[float]:
    """Share of the neurons of weight layers 1 to L, each in ``steps`` time steps, that the backward engine walked, mean per
    training sample."""
    trained = max(1, counters["SAMPLES_TRAINED"]) * steps
    return [counters[f"ACTIVE_{l}"] / trained / layers[l] for l in range(1, len(layers))]


def lane_utilization(counters: Counters, layers: tuple[int, ...], lanes: int) -> dict[str, float]:
    """Useful multiply-accumulates / (lanes x busy cycles) of both engines.

    Useful: each event of layer l meets N_{l+1} weights; each active neuron of layer l meets N_{l-1} inputs. Of rule sparse-bptt
    not every one does: its words of gradients are counted, idle lanes of a layer's last word included.
    """
    forward = sum(counters[f"EVENTS_{l}"] * layers[l + 1] for l in range(len(layers) - 1))
    backward = sum(counters[f"ACTIVE_{l}"] * layers[l - 1] for l in range(1, len(layers)))
    if words := counters.get("GRADIENT_WORDS"):
        backward = words * lanes
    return {"forward": forward / max(1, lanes * counters["FORWARD_CYCLES"]),
            "backward": backward / max(1, lanes * counters["BACKWARD_CYCLES"])}


def ideal_interval(counters: Counters, layers: tuple[int, ...], lanes: int) -> float:
    """Cycles per training sample of engines that never wait: the busier one's words, with P = lanes,
    max(sum_l events_l ceil(N_{l+1} / P), sum_l active_l ceil(N_{l-1} / P))."""
    blocks = [-(-size // lanes) for size in layers]
    forward = sum(counters[f"EVENTS_{l}"] * blocks[l + 1] for l in range(len(layers) - 1)) / samples(counters)
    backward = sum(counters[f"ACTIVE_{l}"] * blocks[l - 1] for l in range(1, len(layers)))
    return max(forward, backward / max(1, counters["SAMPLES_TRAINED"]))


def feedback_weights(layers: tuple[int, ...]) -> int:
    """Weights of layers 2 to L: what one full transport copies."""
    return sum(n_in * n_out for n_in, n_out in zip(layers[1:], layers[2:], strict=False))


def transport_reduction(counters: Counters, layers: tuple[int, ...]) -> float | None:
    """How many times more weights BP would have transported; None when nothing was."""
    moved = counters["WEIGHTS_TRANSPORTED"]
    return counters["UPDATES"] * feedback_weights(layers) / moved if moved else None
