"""SpikeCounts against a list of counts: layers in turn, spikes as close as they may be."""

import random

import pytest

from coldspike.hw.forward.spike_counts import SpikeCounts
from coldspike.spec.config import CoreConfig

from ..cycles import play


@pytest.mark.parametrize("lanes, layers", [(2, (4, 5, 3, 2)), (4, (3, 9, 13, 5)), (8, (9, 1, 17, 3))])
def test_counts_of_layers(lanes, layers):
    """Two samples: each layer's counts are cleared and grow while the others' stay."""
    rng = random.Random(lanes)
    config = CoreConfig.for_network(layers, lanes=lanes, rules="sparse-bptt", rate_loss=True, max_steps=300)
    dut, cycles, expected, counts = SpikeCounts(config), [], {}, {}
    for _ in range(2):
        base = 0
        for size in layers[1:-1]:
            blocks, last = -(-size // lanes), {}
            counts |= {(base + b, k): 0 for b in range(blocks) for k in range(lanes)}
            cycles.append({"clear": 1, "base": base, "blocks": blocks})
            cycles += [{"base": base, "blocks": blocks}] * (blocks + 1)
            for _ in range(60):
                n = rng.randrange(size)
                while len(cycles) < last.get(n, -9) + 2:
                    cycles.append({})
                last[n] = len(cycles)
                cycles.append({"spike_en": 1, "index": n, "base": base})
                counts[base + n // lanes, n % lanes] += 1
            base += blocks
        cycles += [{}] * 2
        for _ in range(20):
            places = [rng.randrange(base) for _ in range(lanes)]
            expected[len(cycles) + 1] = [counts[place, k] for k, place in enumerate(places)]
            cycles.append({"r_en": 1, "r_addr": places})
    assert max(counts.values()) > 9
    trace = play(dut, cycles, ["counts"], rest=2)
    assert {n: trace[n]["counts"] for n in expected} == expected
