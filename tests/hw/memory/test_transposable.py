"""TransposableMemory against a matrix: written by columns, read by rows and columns, one of each a cycle; columns
also through the write port."""

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


APART = TransposableMemory.READ_LATENCY
"""A column read through the write port keeps at least this many cycles from a write."""


@pytest.mark.parametrize("lanes, tiles", [(2, 5), (4, 3), (8, 2), (16, 1)])
def test_columns_through_the_write_port(lanes, tiles):
    """Turns of writes and of such reads, at the least distance; rows and columns are read by the other port all the while."""
    rng = random.Random(lanes * tiles)
    config = CoreConfig(lanes=lanes, weight_tiles=tiles)
    places = [(tile, index) for tile in range(tiles) for index in range(lanes)]
    matrix = [[[0] * lanes for _ in range(lanes)] for _ in range(tiles)]  # tile, row, column
    cycles, shown = [], {}  # shown: cycle -> (r_data, s_data), each if there are any

    def anywhere(port):
        return {f"{port}_tile": rng.randrange(tiles), f"{port}_index": rng.randrange(lanes)}

    def cycle(inputs, written=()):
        """One with a read by the row port, of a tile not among ``written``; says what both ports are to show."""
        free, expected = [tile for tile in range(tiles) if tile not in written], [None, None]
        if free and rng.random() < 0.8:
            inputs |= {"r_en": 1, "r_column": rng.random() < 0.5} | anywhere("r") | {"r_tile": rng.choice(free)}
            tile, n = matrix[inputs["r_tile"]], inputs["r_index"]
            expected[0] = [row[n] for row in tile] if inputs["r_column"] else list(tile[n])
        if "s_en" in inputs:
            expected[1] = [row[inputs["s_index"]] for row in matrix[inputs["s_tile"]]]
        shown[len(cycles) + APART] = expected
        cycles.append(inputs)

    for _ in range(3):
        recent = []
        for tile, index in rng.sample(places, rng.randint(1, len(places))):
            data = [rng.randint(config.weight.min, config.weight.max) for _ in range(lanes)]
            recent = [*recent[1 - APART:], tile]
            cycle({"w_en": 1, "w_tile": tile, "w_index": index, "w_data": data} | anywhere("s"), recent)
            for row, weight in zip(matrix[tile], data, strict=True):
                row[index] = weight
        for n in range(1, APART):
            cycle(anywhere("s"), recent[n - APART:])
        for tile, index in rng.sample(places, len(places)):  # every column of every tile
            while rng.random() < 0.15:
                cycle(anywhere("w"))
            cycle({"s_en": 1, "s_tile": tile, "s_index": index, "w_data": [77] * lanes} | anywhere("w"))
        for _ in range(1, APART):
            cycle({})
    trace = play(TransposableMemory(config), cycles, ["r_data", "s_data"], rest=APART)
    for n, (read, column) in shown.items():
        assert read is None or trace[n]["r_data"] == read
        assert column is None or trace[n]["s_data"] == column
    assert sum(column is not None for _, column in shown.values()) == 3 * len(places)
