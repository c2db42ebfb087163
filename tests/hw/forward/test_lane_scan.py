"""LaneScan against the list of wanted lanes: order, values, markers, cycles."""

import itertools
import random

import pytest
from amaranth.hdl import ResetInserter, Signal, signed, unsigned
from amaranth.lib import data

from coldspike.hw.forward.lane_scan import LaneScan

from ..cycles import play, read_port

LATENCY, DONE = 6, 3
NOTHING, PAIR = unsigned(0), data.StructLayout({"low": signed(5), "high": unsigned(2)})


def random_value(rng, shape):
    if isinstance(shape, data.StructLayout):
        return {name: random_value(rng, field) for name, field in shape.members.items()}
    return rng.randrange(-1 << shape.width - 1, 1 << shape.width - 1) if shape.signed else rng.randrange(1 << shape.width)


def expected_slots(lanes, walk):
    slots, masks = [], walk["masks"]
    for block, mask in enumerate(masks):
        wanted = [k for k in range(lanes) if mask >> k & 1]
        for k in wanted or [None]:
            block_last = k is None or k == wanted[-1]
            slots.append({"item": int(k is not None), "block_last": int(block_last),
                          "layer_last": int(block_last and block == len(masks) - 1), **walk["tag"]})
            if k is not None:
                slots[-1] |= {"index": block * lanes + k, **({"value": walk["values"][block][k]} if walk["values"] else {})}
    return slots


def plain(value):
    return {name: plain(value[name]) for name in value.shape().members} if isinstance(value, data.Const) else int(value)


def check(lanes, masks_of_walks, *, shape=NOTHING, tag=4, depth=11, blocks=5, seed=0, pauses=(0,)):
    """Walks over blocks of the given wanted lanes, each as close to the one before, or as many cycles later, as ``pauses`` say."""
    rng = random.Random(seed)
    dut, cycles, walks = LaneScan(lanes, shape, depth=depth, blocks=blocks, tag=tag), [], []
    for masks in masks_of_walks:
        cycles += [{}] * rng.choice(pauses)
        walk = {"masks": masks, "base": rng.randrange(depth - len(masks) + 1), "start": len(cycles),
                "tag": {"tag": rng.randrange(1 << tag)} if tag else {},
                "values": [[random_value(rng, shape) for _ in range(lanes)] for _ in masks] if shape != NOTHING else []}
        walk["slots"] = expected_slots(lanes, walk)
        walk["done"] = len(cycles) + DONE + len(walk["slots"])
        # The tag is taken as slots are chosen: the next walk's may come from the cycle of its start on.
        cycles += [{"start": 1, "blocks": len(masks), "base": walk["base"], **walk["tag"]}]
        cycles += [walk["tag"]] * (DONE + len(walk["slots"]))
        walks.append(walk)
    reads = iter([(walk, n) for walk in walks for n in range(len(walk["masks"]))])

    def lookup(*addresses):
        walk, n = next(reads)
        assert addresses == (walk["base"] + n,) * lanes
        return [*(walk["values"][n] if walk["values"] else []), walk["masks"][n]]

    port = [*(dut.values if shape != NOTHING else []), dut.wanted]
    trace = play(dut, cycles, ["slot", "done", "busy", "r_en", "number", "last"], rest=LATENCY,
                 background=[read_port(dut.r_en[0], list(dut.r_addr), port, lookup)])
    filled = {walk["start"] + LATENCY + n: slot for walk in walks for n, slot in enumerate(walk["slots"])}
    for n, record in enumerate(trace):
        slot = filled.get(n, {"item": 0, "block_last": 0, "layer_last": 0})
        assert slot == {name: plain(record["slot"][name]) for name in slot}
    assert max(filled) == walks[-1]["done"] + 2 < len(trace)
    assert [n for n, t in enumerate(trace) if t["done"]] == [walk["done"] for walk in walks]
    busy = [n for walk in walks for n in range(walk["start"] + 1, walk["done"] + 2)]
    assert [n for n, t in enumerate(trace) if t["busy"]] == sorted(set(busy))
    # What is said of a block is true for as long as the block is at ``values``: at least until the next read.
    assert all(len(set(t["r_en"])) == 1 for t in trace)
    read = [n for n, t in enumerate(trace) if t["r_en"][0]]
    of_block = [(walk, n) for walk in walks for n in range(len(walk["masks"]))]
    for (walk, block), here, after in zip(of_block, read, [*read[1:], None], strict=True):
        assert walk["start"] < here < walk["done"]
        until = here + 1 if block == len(walk["masks"]) - 1 else after
        assert {(t["number"], t["last"]) for t in trace[here + 1:until + 1]} == {(block, int(block == len(walk["masks"]) - 1))}


@pytest.mark.parametrize("lanes", [2, 4, 8, 32])
@pytest.mark.parametrize("shape", [NOTHING, signed(7), PAIR], ids=["no value", "number", "layout"])
@pytest.mark.parametrize("density", [0.0, 0.15, 0.6, 1.0])
def test_walks(lanes, shape, density):
    rng = random.Random(lanes + density)
    walks = [[sum((rng.random() < density) << k for k in range(lanes)) for _ in range(rng.randint(1, 5))] for _ in range(12)]
    check(lanes, walks, shape=shape, seed=lanes, pauses=(0, 0, 1, 2, 9))


@pytest.mark.parametrize("lanes, blocks", [(2, 3), (4, 2)])
def test_all_masks(lanes, blocks):
    """Every way in which neighbouring blocks may be wanted, without a pause between the walks."""
    check(lanes, [list(masks) for masks in itertools.product(range(1 << lanes), repeat=blocks)], blocks=blocks)


@pytest.mark.parametrize("lanes", [2, 8, 16])
def test_blocks_empty_full_and_of_one_lane(lanes):
    full, lowest, highest = (1 << lanes) - 1, 1, 1 << lanes - 1
    check(lanes, [[0], [full], [lowest], [highest], [0, 0, 0], [full, full, full], [full, 0, full], [0, full, 0],
                  [highest, lowest, highest], [0, 0, 0, 0, highest], [lowest, 0, 0, 0, 0]], shape=unsigned(6))


@pytest.mark.parametrize("depth, blocks", [(1, 1), (2, 1), (2, 2), (4, 4), (5, 4), (9, 8)])
def test_memories(depth, blocks):
    """Memories that are walked as a whole, and of one block."""
    rng = random.Random(depth)
    walks = [[rng.randrange(16) for _ in range(n)] for n in (blocks, 1, blocks, blocks)]
    check(4, walks, shape=unsigned(3), depth=depth, blocks=blocks, tag=1)


def test_without_a_tag():
    check(4, [[5, 0, 15], [8]], shape=unsigned(3), tag=0)


def test_the_idle_address():
    """On every lane a cycle later; a start goes before it."""
    dut, idle = LaneScan(8, NOTHING, depth=16, blocks=3), [3, 15, 0, 7]
    cycles = [{"idle": 1, "idle_addr": address} for address in idle]
    cycles += [{"idle": 1, "idle_addr": 9, "start": 1, "base": 5, "blocks": 1}, {}]
    trace = play(dut, cycles, ["r_addr", "r_en"], rest=2)
    assert [t["r_addr"] for t in trace[1:6]] == [[address] * 8 for address in (*idle, 5)]
    assert [t["r_en"] for t in trace] == [[asked] * 8 for asked in (0, 0, 0, 0, 0, 1, 0, 0)]


class Resettable(LaneScan):
    """A scan with a reset."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.reset = Signal()

    def elaborate(self, platform):
        return ResetInserter(self.reset)(super().elaborate(platform))


@pytest.mark.parametrize("moment", range(1, 20))
def test_a_reset_ends_a_walk(moment):
    """Four cycles of reset leave nothing of it, though copies near to lanes have none; the next walk is as any."""
    shown = ["r_en", "number", "last", "slot", "done", "busy"]

    def walk(*before):
        dut = Resettable(8, unsigned(3), depth=8, blocks=3)
        start = {"wanted": 0b10010110, "values": list(range(8)), "blocks": 3, "base": 2}
        cycles = [*before, {**start, "start": 1}, *[{**start, "start": 0}] * 25]
        return play(dut, cycles, shown, rest=2)[len(before):], start

    fresh, start = walk()
    assert sum(plain(record["slot"])["item"] for record in fresh) == 12
    broken = [{**start, "start": 1}, *[{**start, "start": 0}] * moment, *[{"reset": 1}] * 4, {"reset": 0}]
    again, _ = walk(*broken)
    kinds = ("item", "block_last", "layer_last")
    for now, then in zip(again, fresh, strict=True):
        assert all(now[name] == then[name] for name in shown if name != "slot")
        assert all(plain(now["slot"])[kind] == plain(then["slot"])[kind] for kind in kinds)


def test_ports():
    dut = LaneScan(8, PAIR, depth=20, blocks=6, tag=3)
    widths = {name: len(getattr(dut, name)) for name in ("base", "blocks", "number", "wanted", "idle_addr", "tag")}
    assert widths == {"base": 5, "blocks": 3, "number": 3, "wanted": 8, "idle_addr": 5, "tag": 3}
    assert len(dut.slot.index) == 6 and dut.values[7].shape() == dut.slot.value.shape() == PAIR


def test_there_are_no_ports_without_bits():
    dut = LaneScan(8, NOTHING, depth=20, blocks=6)
    assert not {"values", "tag"} & dut.signature.members.keys() and not {"value", "tag"} & dut.slot.shape().members.keys()
