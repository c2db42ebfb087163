"""TouchedColumns against a set: marks, drops, forgetting, latency 1."""

import random

import pytest

from coldspike.hw.update.touched import TouchedColumns
from coldspike.spec.config import CoreConfig

from ..cycles import play

CONFIG = CoreConfig.for_network((3, 5, 4), lanes=2)  # 5 blocks of 2 neurons: 16 addresses
NEURONS = 16


def test_flags():
    rng = random.Random(0)
    cycles, expected, flags, shown = [], [], set(), False
    for _ in range(300):
        mark, drop, peek = (rng.randrange(NEURONS) for _ in range(3))
        looks = rng.random() < 0.8
        does = rng.choice(("mark", "mark", "drop", "nothing"))
        cycles.append({"mark_en": does == "mark", "mark": mark, "drop_en": does == "drop", "drop": drop, "peek_en": looks,
                       "peek": peek})
        expected.append({"marked": int(shown), "busy": 0})
        if does == "mark":
            flags.add(mark)
        elif does == "drop":
            flags.discard(drop)
        shown = peek in flags if looks else shown  # a flag of this cycle counts
    assert play(TouchedColumns(CONFIG), cycles, ["marked", "busy"]) == expected


@pytest.mark.parametrize("marked", [range(NEURONS), [0], [NEURONS - 1]])
def test_forgetting_takes_a_cycle_a_neuron(marked):
    marks = [{"mark_en": 1, "mark": n} for n in marked]
    looks = [{"peek_en": 1, "peek": n} for n in range(NEURONS)]
    begin = len(marks) + NEURONS + 1
    trace = play(TouchedColumns(CONFIG), [*marks, *looks, {"clear": 1}, *[{}] * NEURONS, *looks], ["marked", "busy"], rest=1)
    seen = [t["marked"] for t in trace[len(marks) + 1:begin]]
    assert seen == [n in marked for n in range(NEURONS)]
    assert [t["busy"] for t in trace[begin - 1:begin + NEURONS + 1]] == [0] + [1] * NEURONS + [0]
    assert not any(t["marked"] for t in trace[-NEURONS:])
