"""SampleTapes against dictionaries: two memories, four slots, one read port."""

import random

import pytest

from coldspike.hw.layouts import SLOTS
from coldspike.hw.memory.tapes import SampleTapes
from coldspike.spec.config import CoreConfig, bits_for

from ..cycles import play


def plain(word):
    return [(int(lane.time), int(lane.fired)) for lane in word]


@pytest.mark.parametrize("layers", [(9, 3, 2), (2, 9, 11)])  # more input blocks, more blocks of other layers
def test_random_accesses(layers):
    rng = random.Random(layers[0])
    config = CoreConfig.for_network(layers, lanes=2)
    blocks = {1: -(-config.max_neurons // 2), 0: config.neuron_blocks}
    bits = {kind: bits_for(count) for kind, count in blocks.items()}
    cycles, expected, words, shown = [], [], {}, [(0, 0)] * 2
    for _ in range(250):
        inputs, written = {}, {}
        for kind, name in ((1, "input"), (0, "spike")):
            slot, block = rng.randrange(SLOTS), rng.randrange(blocks[kind])
            word = [{"time": rng.randrange(config.window + 1), "fired": rng.randrange(2)} for _ in range(2)]
            enabled = rng.random() < 0.6
            inputs |= {f"{name}_en": enabled, f"{name}_address": slot << bits[kind] | block, f"{name}_data": word}
            if enabled:
                written[kind, slot, block] = [(lane["time"], lane["fired"]) for lane in word]
        kind, slot = rng.randrange(2), rng.randrange(SLOTS)
        block = rng.randrange(blocks[kind])
        reads = rng.random() < 0.7 and (kind, slot, block) not in written
        inputs |= {"r_en": reads, "r_input": kind, "r_slot": slot, "r_block": block}
        cycles.append(inputs)
        expected.append(shown)
        if reads:
            shown = words.get((kind, slot, block), [(0, 0)] * 2)
        words |= written
    trace = play(SampleTapes(config), cycles, ["r_data"])
    assert [plain(t["r_data"]) for t in trace] == expected
