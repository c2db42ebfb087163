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


@pytest.mark.parametrize("lanes, ahead", [(1, 1), (4, 1), (8, 1), (2, 2), (8, 2), (16, 3), (32, 2)])
@pytest.mark.parametrize("transparent", [False, True])
def test_requests_ahead(lanes, ahead, transparent):
    """A word is read, changed and written back in every cycle, as an accumulator does: often the same as just before. The second
    port, not ahead, sees a word when it is written; a transparent memory takes a cycle more if requests come two ahead."""
    rng = random.Random(lanes)
    depth, requests = 3, [(rng.random() < 0.8, rng.randrange(3), rng.random() < 0.8, rng.randrange(3)) for _ in range(300)]
    if not transparent:  # then reads and writes must not meet
        requests = [(read and not (write and r_addr == w_addr), r_addr, write, w_addr) for read, r_addr, write, w_addr in requests]
    values = [[rng.randrange(-128, 128) for _ in range(lanes)] for _ in requests]
    looks = [rng.randrange(depth) for _ in requests]
    cycles = [{"r_en": read, "r_addr": r_addr, "w_en": write, "w_addr": w_addr, "w_data": data,
               "s_en": [1] * lanes, "s_addr": [look] * lanes}
              for (read, r_addr, write, w_addr), data, look in zip(requests, [values[0]] * ahead + values, looks, strict=False)]
    dut = LaneRam(signed(8), lanes, depth, transparent=transparent, second=True, ahead=ahead)
    trace = play(dut, cycles, ["r_data", "s_data"])
    words, behind = [[0] * lanes] * depth, ahead + (transparent and ahead > 1)
    shown = [list(words)]
    for (read, r_addr, write, w_addr), data, seen in zip(requests, values, trace[ahead + 1:], strict=False):
        before = list(words)
        if write:
            words[w_addr] = data
        if read:
            assert seen["r_data"] == (words if transparent else before)[r_addr]
        shown.append(list(words))
    for cycle, (look, seen) in enumerate(zip(looks, trace[1:], strict=False)):
        assert seen["s_data"] == shown[max(0, cycle - behind)][look]
