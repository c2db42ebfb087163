"""StepList against Python lists: behind each other, counts, overflow, both read ports, replacement, clearing."""

import random

import pytest
from amaranth.lib import data

from coldspike.hw.memory.step_list import StepList

from ..cycles import play

BITS = 12


class Lists:
    """What the lists hold; ``used`` entries are gone until ``clear``, also those of a list that began anew."""

    def __init__(self, depth, lists):
        self.depth, self.lists, self.used, self.last, self.overflow = depth, [[] for _ in range(lists)], 0, None, 0

    def step(self, inputs):
        """A clock edge."""
        if inputs.get("replace_en"):
            self.lists[inputs["s_list"]][inputs["replace_index"]] = inputs["replace_entry"]
        if inputs.get("clear"):
            self.__init__(self.depth, len(self.lists))
        elif inputs.get("w_begin"):
            self.last = inputs["w_list"]
            self.lists[self.last] = []
        elif inputs.get("w_en") and self.used == self.depth:
            self.overflow = 1
        elif inputs.get("w_en"):
            self.lists[self.last].append(inputs["w_entry"])
            self.used += 1


def check(depth, lists, cycles, *, second=True):
    """Plays ``cycles``; every count, the report and every entry read are those of ``Lists``."""
    ports = ("r", "s") if second else ("r",)
    trace = play(StepList(BITS, depth, lists, second=second), cycles,
                 ["overflow", *(f"{port}_{name}" for port in ports for name in ("count", "entry"))], rest=1)
    golden, shown = Lists(depth, lists), dict.fromkeys(ports, 0)
    for n, (inputs, seen) in enumerate(zip([*cycles, {}], trace, strict=True)):
        expected = {"overflow": golden.overflow}
        for port in ports:
            here = golden.lists[inputs.get(f"{port}_list", 0)]
            expected |= {f"{port}_count": len(here), f"{port}_entry": shown[port]}
            if inputs.get(f"{port}_en"):
                shown[port] = here[inputs[f"{port}_index"]]
        assert seen == expected, n
        golden.step(inputs)
    return golden


def operations(rng, depth, lists, count, *, second):
    """Random cycles within the contract; each reads what ``Lists`` then holds."""
    golden, cycles = Lists(depth, lists), []
    for _ in range(count):
        what = rng.choices(("clear", "begin", "write", "nothing"), (1, 3, 12, 5))[0] if golden.last is not None else "begin"
        inputs = {"clear": what == "clear", "w_begin": what == "begin", "w_en": what == "write", "w_list": rng.randrange(lists),
                  "w_entry": rng.randrange(1 << BITS), "r_index": rng.randrange(depth)}
        if second:
            inputs |= {"s_index": rng.randrange(depth), "replace_index": rng.randrange(depth),
                       "replace_entry": rng.randrange(1 << BITS)}
        for port in ("r", "s") if second else ("r",):
            inputs[f"{port}_list"] = which = rng.randrange(lists)
            if golden.lists[which] and rng.random() < 0.8:
                inputs |= {f"{port}_en": 1, f"{port}_index": rng.randrange(len(golden.lists[which]))}
        if second and what in ("nothing", "begin") and golden.lists[inputs["s_list"]] and rng.random() < 0.7:
            index = rng.randrange(len(golden.lists[inputs["s_list"]]))
            read = [(inputs[f"{port}_list"], inputs[f"{port}_index"]) for port in ("r", "s") if inputs.get(f"{port}_en")]
            if (inputs["s_list"], index) not in read:
                inputs |= {"replace_en": 1, "replace_index": index}
        golden.step(inputs)
        cycles.append(inputs)
    return cycles


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("depth, lists", [(1, 1), (1, 3), (5, 2), (8, 3), (13, 4), (40, 5)])
def test_random_operations(depth, lists, second):
    rng = random.Random(depth + lists)
    cycles = operations(rng, depth, lists, 400, second=second)
    check(depth, lists, cycles, second=second)
    assert any(c.get("replace_en") for c in cycles) == second


def begin(which):
    return {"w_list": which, "w_begin": 1}


def write(*entries):
    return [{"w_en": 1, "w_entry": entry} for entry in entries]


def read(which, count):
    """Both ports, in opposite order, every entry of a list of ``count``."""
    return [{"r_list": which, "r_en": 1, "r_index": n, "s_list": which, "s_en": 1, "s_index": count - 1 - n} for n in range(count)]


@pytest.mark.parametrize("depth", [1, 4, 7])
def test_overflow_stays_until_cleared(depth):
    """What finds no room changes nothing: neither the first entries nor counts, and no list that begins then."""
    full = [begin(0), *write(*range(100, 100 + depth))]
    later = [*write(7, 8), *read(0, depth), begin(1), *write(9), *read(0, depth), {"r_list": 1}]
    golden = check(depth, 3, full + later)
    assert golden.overflow and golden.lists == [list(range(100, 100 + depth)), [], []]
    again = [{"clear": 1}, {}, begin(1), *write(*range(200, 200 + depth)), *read(1, depth), {"r_list": 0}]
    golden = check(depth, 3, full + later + again)
    assert not golden.overflow and golden.lists == [[], list(range(200, 200 + depth)), []]


def test_lists_lie_behind_each_other():
    """In any order, with empty ones; one that begins anew leaves its entries behind, one that is full is not too full."""
    cycles = [begin(2), *write(1, 2), begin(0), begin(3), *write(3), begin(2), *write(4, 5), begin(1), *write(6)]
    golden = check(6, 4, cycles + read(2, 2) + read(3, 1) + read(1, 1) + [{"r_list": 0, "s_list": 0}])
    assert golden.lists == [[], [6], [4, 5], [3]] and golden.used == 6 and not golden.overflow


def test_replaced_entries():
    """One list's entry; its neighbours, also of other lists, stay, and so does the count."""
    def replace(which, index, entry):
        return {"s_list": which, "replace_en": 1, "replace_index": index, "replace_entry": entry}

    cycles = [begin(0), *write(1, 2, 3), begin(1), *write(4, 5), replace(0, 2, 30), replace(1, 0, 40)]
    golden = check(5, 2, cycles + read(0, 3) + read(1, 2))
    assert golden.lists == [[1, 2, 30], [40, 5]]
    check(5, 2, cycles + write(6) + [replace(1, 1, 50)] + read(0, 3) + read(1, 2))  # full, and over


def test_entries_of_a_layout():
    dut = StepList(data.StructLayout({"low": 3, "high": 5}), 3, 1)
    trace = play(dut, [begin(0), {"w_en": 1, "w_entry": {"low": 5, "high": 17}}, {"r_en": 1}], ["r_entry"], rest=1)
    assert (trace[3]["r_entry"].low, trace[3]["r_entry"].high) == (5, 17)
