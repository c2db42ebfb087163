"""TransposableMemory against a matrix: written by columns, read by rows and columns, one of each a cycle."""

import random

import pytest

from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.spec.config import CoreConfig

from ..cycles import play


@pytest.mark.parametrize("lanes, tiles", [(2, 5), (4, 3), (8, 2), (4, 1)])
def test_rows_and_columns(lanes, tiles):
    rng = random.Random(lanes * tiles)
    config = CoreConfig(lanes=lanes, weight_tiles=tiles)
    low, high = config.weight.min, config.weight.max
    cycles = []
    for n in range(160):
        inputs = {}
        if rng.random() < (0.7 if tiles > 1 else 0.3):
            data = [rng.choice((low, high, rng.randint(low, high))) for _ in range(lanes)]
            inputs = {"w_en": 1, "w_tile": rng.randrange(tiles), "w_index": rng.randrange(lanes), "w_data": data}
        elif n % 2:
            inputs = {"w_tile": rng.randrange(tiles), "w_index": rng.randrange(lanes), "w_data": [77] * lanes}  # no write
        recent = {c["w_tile"] for c in [*cycles[-2:], inputs] if c.get("w_en")}  # not to be read in this cycle
        free = sorted(set(range(tiles)) - recent)
        if free and rng.random() < 0.7:
            inputs |= {"r_en": 1, "r_tile": rng.choice(free), "r_index": rng.randrange(lanes), "r_column": rng.random() < 0.5}
        else:
            inputs |= {"r_tile": rng.randrange(tiles), "r_index": rng.randrange(lanes), "r_column": 1}  # no read
        cycles.append(inputs)
    trace = play(TransposableMemory(config), cycles, ["r_data"], rest=3)

    assert TransposableMemory.READ_LATENCY == 3
    matrix = [[[0] * lanes for _ in range(lanes)] for _ in range(tiles)]  # tile, row, column
    shown, kinds = [0] * lanes, set()
    for inputs, seen in zip(cycles, trace[3:], strict=True):
        if inputs.get("r_en"):
            tile, n = matrix[inputs["r_tile"]], inputs["r_index"]
            shown = [tile[k][n] if inputs["r_column"] else tile[n][k] for k in range(lanes)]
            kinds.add(inputs["r_column"])
        assert seen["r_data"] == shown
        if inputs.get("w_en"):
            for row, weight in zip(matrix[inputs["w_tile"]], inputs["w_data"], strict=True):
                row[inputs["w_index"]] = weight
    assert kinds == {False, True}


@pytest.mark.parametrize("column", [0, 1])
def test_write_takes_effect_three_cycles_later(column):
    config = CoreConfig(lanes=4, weight_tiles=2)
    write = {"w_en": 1, "w_tile": 1, "w_index": 2, "w_data": [5, 6, 7, 8]}
    read = {"r_en": 1, "r_tile": 1, "r_index": 2, "r_column": column}
    trace = play(TransposableMemory(config), [write, {}, {}, read], ["r_data"], rest=4)
    assert [t["r_data"] for t in trace[5:]] == [[0] * 4, [5, 6, 7, 8] if column else [0, 0, 7, 0], trace[6]["r_data"]]
