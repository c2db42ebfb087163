"""GradientMemory against clamped Python sums: every cycle an accumulation, counts, reads and writes."""

import random

import pytest

from coldspike.hw.backward.gradient_memory import GradientMemory
from coldspike.spec.config import CoreConfig

from ..cycles import play

WRITTEN = 6
"""Cycles from a word to its sum in the memory, and to its count of saturated lanes."""


@pytest.mark.parametrize("gradient_bits, lanes", [(8, 2), (24, 4), (32, 2)])
def test_accumulation_saturation_and_ports(gradient_bits, lanes):
    rng = random.Random(gradient_bits)
    config = CoreConfig(lanes=lanes, gradient_words=6, gradient_bits=gradient_bits, error_bits=10, error_fraction=6,
                        time_bits=4, max_neurons=4)
    q = config.gradient
    reach = (1 << 15) - 1  # contribution: 10 + 4 + 2 bits
    words = [[0] * lanes for _ in range(6)]
    cycles, changes, counts, reads, extremes = [], {}, {}, {}, set()
    late = GradientMemory.READ_LATENCY

    def word(address):
        """Only its address matters."""
        return {"address": address, "tile": rng.randrange(6), "column": rng.randrange(lanes), "neuron": rng.randrange(lanes)}

    for _ in range(40):
        for address in rng.sample(range(6), rng.randint(1, 6)):  # words in flight differ
            change = [rng.choice((-reach - 1, reach, rng.randint(-200, 200), rng.randint(-40, 40))) for _ in range(lanes)]
            n = len(cycles)
            cycles.append({"add_en": 1, "add_word": word(address)})
            changes[n + GradientMemory.ADD_LATENCY] = change
            totals = [word + part for word, part in zip(words[address], change, strict=True)]
            words[address] = [q.clamp(total) for total in totals]
            extremes |= {word for word in words[address] if word in (q.min, q.max)}
            counts[n + WRITTEN] = sum(q.clamp(total) != total for total in totals)
        cycles += [{} for _ in range(WRITTEN - 1)]  # no word: no accumulation
        # The first cycle in which the last sum is readable; a write of the host or of the update beside the read.
        address = rng.choice((address, rng.randrange(6)))
        reads[len(cycles) + late] = list(words[address])
        value = [rng.choice((q.min, q.max, rng.randint(q.min, q.max), 0)) for _ in range(lanes)]
        cycles.append({"r_en": 1, "r_word": word(address), "w_en": 1, "w_word": word((address + 1) % 6), "w_data": value})
        words[(address + 1) % 6] = value
    for address in range(6):
        reads[len(cycles) + late] = words[address]
        cycles.append({"r_en": 1, "r_word": word(address)})
    for n, inputs in enumerate(cycles):
        inputs["contribution"] = changes.get(n, [reach] * lanes)
        for port in ("add_word", "r_word", "w_word"):
            inputs.setdefault(port, word(rng.randrange(6)))
    trace = play(GradientMemory(config), cycles, ["saturated", "r_data"], rest=WRITTEN)
    assert [t["saturated"] for t in trace] == [counts.get(n, 0) for n in range(len(trace))]
    for n, expected in reads.items():
        assert trace[n]["r_data"] == expected, n
    assert gradient_bits == 32 or extremes == {q.min, q.max}
