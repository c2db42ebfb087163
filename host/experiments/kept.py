"""What a sample keeps from its forward to its backward pass, in bits: what of it is used, and the room that builds have for it."""

from ...spec import pipeline as at
from ...spec.config import CoreConfig, Rule, Schedule, bits_for
from ...spec.rate import RateFormats
from .activity import built_tape_bits, entry_bits

__all__ = ["dense_tape_bits", "learning_bits", "room_bits", "used_bits"]


def one_shot_bits(config: CoreConfig) -> tuple[int, int, int]:
    """Of rules ttfs and rate, bits of a neuron's time or rate, of an entry of a list, and of a neuron's traces."""
    formats = RateFormats(config)
    return (config.time.bits + 1, bits_for(config.max_neurons) + 2 * config.factor.bits,
            formats.count.bits + formats.eligibility.bits)


def learning_bits(config: CoreConfig, layers: tuple[int, ...]) -> dict[str, int]:
    """The most bits that a sample of rule rate can use: ``rates`` of inputs and hidden neurons, ``lists`` of all hidden and output
    neurons with their factors, ``traces`` of hidden neurons; and ``spikes`` between layers, by schedule."""
    rate, entry, traces = one_shot_bits(config)
    heard = sum(layers[1:-2])
    return {"rates": rate * sum(layers[:-1]), "lists": entry * sum(layers[1:]), "traces": traces * sum(layers[1:-1]),
            "spikes": {str(Schedule.SINGLE_STEP): heard, str(Schedule.MULTI_STEP): heard * config.max_steps}}


def dense_tape_bits(config: CoreConfig, layers: tuple[int, ...], steps: int) -> int:
    """Bits on the tape of the engine that goes back through time, of a sample whose neurons all fire and are active in every
    step."""
    spike, job = entry_bits(config)
    return steps * sum(layers[:-1]) * spike + ((steps - 1) * sum(layers[1:-1]) + layers[-1]) * job


def used_bits(config: CoreConfig, rule: Rule, result: dict) -> float:
    """Bits that training samples of a run of ``rule`` used on average: of lists the entries that its counters tell of, of memories
    with a place for each neuron the places of the network's."""
    layers, counters = result["layers"], result["counters"]
    depth = len(layers) - 1
    events, active = (sum(counters[f"{what}_{l}"] for l in range(first, first + depth)) / counters["SAMPLES_TRAINED"]
                      for what, first in (("EVENTS", 0), ("ACTIVE", 1)))
    if rule == Rule.SPARSE_BPTT:
        spike, job = entry_bits(config)
        return events * spike + active * job
    rate, entry, traces = one_shot_bits(config)
    kept = rate * sum(layers[:-1]) + entry * active
    return kept + (traces * sum(layers[1:-1]) if rule == Rule.RATE else 0)


def room_bits(config: CoreConfig) -> int:
    """Bits of the memories that a build has for the same, for all samples in flight, four of rules ttfs and rate, one of
    sparse-bptt; of several rules, of all of them."""
    rate, entry, traces = one_shot_bits(config)
    bits = built_tape_bits(config) if Rule.SPARSE_BPTT in config.rules else 0
    if {Rule.TTFS, Rule.RATE} & set(config.rules):
        # Addresses are {slot, block}: powers of two.
        inputs, others = (1 << bits_for(blocks) for blocks in (-(-config.max_neurons // config.lanes), config.neuron_blocks))
        bits += at.SLOTS * config.lanes * ((inputs + others) * rate + others * entry)
    if Rule.RATE in config.rules:
        bits += config.neuron_blocks * config.lanes * traces
    return bits
