"""Estimated paths of netlists small enough to add up by hand."""

import json
from math import log2

import pytest

from coldspike.fpga.paths import DOUBLING, NET, paths


def cell(kind, **pins):
    return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}


def module(cells, nets, ports=(), top=False):
    return {"attributes": {"top": 1} if top else {}, "cells": cells,
            "ports": {name: {"bits": [bit]} for name, bit in ports}, "netnames": {name: {"bits": [bit]} for name, bit in nets}}


def write(tmp_path, **modules):
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": modules}))
    return path


def test_a_path_through_two_modules(tmp_path):
    """Register, table in a module of its own, carry chain, register; the table's output goes to two pins."""
    table = module({"lut": cell("LUT4", A=5, Z=6)}, [("a", 5), ("z", 6)], [("a", 5), ("z", 6)])
    top = module({
        "from": cell("TRELLIS_FF", CLK=1, DI="0", Q=2), "part": {"type": "table", "connections": {"a": [2], "z": [3]}},
        "low": cell("CCU2C", A0=3, COUT=4), "high": cell("CCU2C", CIN=4, A0="0", S0=7), "to": cell("TRELLIS_FF", DI=7, CE=3, Q=8),
    }, [("q", 2), ("middle", 3), ("sum", 7)], top=True)
    slow, *rest = paths(write(tmp_path, chip=top, table=table), 5)
    net = NET + DOUBLING * log2(2)
    assert slow.end == "to.DI" and slow.delay == pytest.approx(0.52 + NET + 0.24 + net + 0.45 + 0.07 + NET)
    assert [(kind, name, fanout) for _, kind, name, fanout in slow.steps] == [
        ("CCU2C", "sum[0]", 1), ("CCU2C", "", 1), ("LUT4", "middle[0]", 2), ("TRELLIS_FF", "q[0]", 1)]
    assert [path.end for path in rest] == ["to.CE"]
    assert rest[0].delay == pytest.approx(0.52 + NET + 0.24 + net)


def test_a_memory_is_slow_and_a_pin_is_no_beginning(tmp_path):
    top = module({"ram": cell("DP16KD", CLKA=1, ADA0=2, DOA0=3), "to": cell("TRELLIS_FF", DI=3, CE=2, Q=4)}, [("pin", 2)], top=True)
    only, = paths(write(tmp_path, chip=top), 5)
    assert (only.end, only.delay) == ("to.DI", pytest.approx(5.6 + NET))


def test_a_multiplier_with_a_register_ends_a_path_and_begins_one(tmp_path):
    times = cell("MULT18X18D", A0=2, P0=3, CLK0=9) | {"parameters": {"REG_OUTPUT_CLK": "CLK0"}}
    top = module({"from": cell("TRELLIS_FF", CLK=9, DI="0", Q=2), "times": times, "to": cell("TRELLIS_FF", CLK=9, DI=3, Q=4)},
                 [("q", 2), ("product", 3)], top=True)
    found = {path.end: path.delay for path in paths(write(tmp_path, chip=top), 5)}
    assert found == pytest.approx({"times.A0": 0.52 + NET + 3.49, "to.DI": 0.74 + NET})
