"""LaneRam against a list of words: lanes apart, signs kept, latency 1, holding, transparency, second port."""

import random

import pytest
from amaranth.hdl import signed

from coldspike.hw.memory.lane_ram import LaneRam

from ..cycles import play


@pytest.mark.parametrize("lanes, transparent, second", [(1, False, False), (4, True, True), (8, False, True)])
def test_random_accesses(lanes, transparent, second):
    rng = random.Random(lanes)
    depth, ports = 5, ("r", "s") if second else ("r",)
    cycles = []
    for _ in range(100):
        inputs = {"w_en": rng.random() < 0.6, "w_addr": rng.randrange(depth),
                  "w_data": [rng.randrange(-128, 128) for _ in range(lanes)]}
        for port in ports:
            inputs |= {f"{port}_en": rng.random() < 0.7, f"{port}_addr": rng.randrange(depth)}
        cycles.append(inputs)
    dut = LaneRam(signed(8), lanes, depth, transparent=transparent, second=second)
    trace = play(dut, cycles, [f"{port}_data" for port in ports])
    words, shown = [[0] * lanes] * depth, dict.fromkeys(ports, [0] * lanes)
    for inputs, seen in zip(cycles, trace, strict=True):
        assert seen == {f"{port}_data": shown[port] for port in ports}
        before = list(words)
        if inputs["w_en"]:
            words[inputs["w_addr"]] = inputs["w_data"]
        for port in ports:
            if inputs[f"{port}_en"]:
                shown[port] = (words if transparent and port == "r" else before)[inputs[f"{port}_addr"]]
