"""Ram against a list: latency 1, holding, transparency, second port, second port at the write address."""

import random

import pytest
from amaranth.lib import data

from coldspike.hw.memory.ram import Ram

from ..cycles import play


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("depth, second", [(1, ""), (5, "second"), (8, "second"), (1, "shared"), (6, "shared")])
def test_random_accesses(depth, second, transparent):
    rng = random.Random(depth + transparent)
    ports = ("r", "s") if second else ("r",)
    dut = Ram(12, depth, transparent=transparent, **{second: True} if second else {})
    cycles = []
    for _ in range(200):
        inputs = {"w_en": rng.random() < 0.6, "w_addr": rng.randrange(depth), "w_data": rng.randrange(1 << 12)}
        for port in ports:
            inputs |= {f"{port}_en": rng.random() < 0.7, f"{port}_addr": rng.randrange(depth)}
        if second == "shared":  # at the write port's address, and not together with a write
            inputs["s_en"] &= not inputs["w_en"]
            del inputs["s_addr"]
        cycles.append(inputs)
    trace = play(dut, cycles, [f"{port}_data" for port in ports])
    words, shown = [0] * depth, dict.fromkeys(ports, 0)
    for inputs, seen in zip(cycles, trace, strict=True):
        assert seen == {f"{port}_data": shown[port] for port in ports}
        before = list(words)
        if inputs["w_en"]:
            words[inputs["w_addr"]] = inputs["w_data"]
        for port in ports:
            if inputs[f"{port}_en"]:
                address = inputs.get(f"{port}_addr", inputs["w_addr"])
                shown[port] = (words if transparent and port == "r" else before)[address]


def test_words_of_a_layout():
    layout = data.StructLayout({"low": 3, "high": 5})
    trace = play(Ram(layout, 4), [{"w_en": 1, "w_addr": 2, "w_data": {"low": 5, "high": 17}}, {"r_en": 1, "r_addr": 2}],
                 ["r_data"], rest=1)
    assert (trace[2]["r_data"].low, trace[2]["r_data"].high) == (5, 17)
