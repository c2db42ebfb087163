"""TransportController against docs/numerics.md, "Transport": position, due, what each layer's scheme copies; cycles."""

import random
from types import SimpleNamespace

import pytest

from coldspike.hw.memory.transposable import TransposableMemory
from coldspike.hw.transport.controller import TransportController
from coldspike.model.timing import transport
from coldspike.spec.config import CoreConfig
from coldspike.spec.network import layout
from coldspike.spec.random import lane_seeds
from coldspike.spec.transport import LayerTransport, Precision, Signs, Values

from ...model.oracle import Oracle
from ..cycles import read_port, set_all
from ..networks import network_of, settings_of
from ..support import simulate, watch

COUNTED = ("WEIGHTS_READ", "WEIGHTS_TRANSPORTED", "SIGNS_TRANSPORTED", "TRANSPORT_WORDS", "FEEDBACK_WORDS")
REST = 2
"""Cycles that must lie between load, update_done and update_done."""
ALL_ON = {"signs": 1, "every_update": 1, "values": 1}


def scheme(values=Values.ALL, every_update=False, signs=Signs.NEVER, select=0, scale=0):
    return LayerTransport(values=values, every_update=every_update, signs=signs, select=select, scale=scale)


class Counting(Oracle):
    """The oracle; ``moved`` says for each layer how often the last update's transport went through its words."""

    def after_update(self):
        self.moved = [SimpleNamespace(passes=0)]
        return super().after_update()

    def transport(self, l, ends):
        words = self.count["TRANSPORT_WORDS"]
        any_moved = super().transport(l, ends)
        self.moved.append(SimpleNamespace(passes=(self.count["TRANSPORT_WORDS"] - words) // len(self.words(l))))
        return any_moved

    def words(self, l):
        """The first (j, i) of each word."""
        return [(j, i) for j in range(self.n[l]) for i in range(0, self.n[l - 1], self.c.lanes)]


class Device:
    """The controller among memories, and the oracle beside it."""

    def __init__(self, layers, lanes, schemes, interval, position, *, fits=None, raw=None, seed=0, **build):
        """``schemes`` from layer 2 on. ``fits`` : the network that the build is made for. ``raw`` : layer -> code of values."""
        options = {"weight_bits": 8, "weight_fraction": 4} | build
        self.rng, self.layers, self.schemes, self.raw = random.Random(seed), layers, schemes, raw or {}
        self.config = c = CoreConfig.for_network(fits or layers, lanes=lanes, **options)
        self.places, self.dut, self.trace, self.weights = layout(layers, lanes), TransportController(c), [], {}
        self.oracle = Counting(c, layers, None, 0, 0, [], [], interval, position, [], [scheme(), *schemes])
        self.feedback = [self._random(c.feedback) for _ in range(c.feedback_words)]
        for p in self.places[1:]:
            for j, row in enumerate(self.oracle.b[p.index]):
                for i in range(p.n_in):
                    row[i] = self.feedback[self._word(p, j, i)][i % lanes]

    def _random(self, form):
        return [self.rng.choice((form.min, form.max, *[self.rng.randint(form.min, form.max)] * 4))
                for _ in range(self.config.lanes)]

    def _word(self, p, j, i):
        return p.feedback_base + j * p.in_blocks + i // self.config.lanes

    def settings(self):
        def code(l, scheme):
            return {"signs": scheme.signs, "every_update": scheme.every_update, "values": self.raw.get(l, int(scheme.values))}
        unused = self.config.max_layers - len(self.layers) + 1
        arrays = {"transport": [ALL_ON, *(code(l, s) for l, s in enumerate(self.schemes, 2)), *[ALL_ON] * unused]}
        c = self.config
        for name, there in (("select", c.partial_transport), ("scale", c.feedback_precision is Precision.SIGN)):
            arrays |= {name: [1, *(getattr(s, name) for s in self.schemes), *[1] * unused]} if there else {}
        return settings_of(self.config, self.layers, interval=self.oracle.phi, interval_start=self.oracle.position, **arrays)

    def draw(self):
        """New weights; some stay close to their feedback weights, in steps of a few sizes (ties)."""
        weight, rng, lanes = self.config.weight, self.rng, self.config.lanes
        self.weights = {(t, n): self._random(weight) for t in range(self.config.weight_tiles) for n in range(lanes)}
        for p in self.places:
            for j, row in enumerate(self.oracle.w[p.index]):
                for i in range(p.n_in):
                    place = (p.tile_base + i // lanes * p.out_blocks + j // lanes, j % lanes)
                    if p.index > 1 and rng.random() < 0.5:
                        near = self.oracle.decode(p.index, self.oracle.b[p.index][j][i]) + rng.choice((-9, -1, 0, 0, 1, 2, 9, 9))
                        self.weights[place][i % lanes] = max(weight.min, min(weight.max, near))
                    row[i] = self.weights[place][i % lanes]

    async def memory(self, ctx):
        """Writes of feedback words."""
        dut = self.dut
        while True:
            _, _, en, address, *data = await ctx.tick().sample(dut.feedback_en, dut.feedback_addr, *dut.feedback_data)
            if en:
                self.feedback[address] = [int(x) for x in data]

    async def update(self, ctx):
        """Makes one; checks all that follows. Returns whether anything was due."""
        dut, oracle, before = self.dut, self.oracle, dict(self.oracle.count)
        self.draw()
        old = [list(word) for word in self.feedback]
        assert ctx.get(dut.position) == oracle.position and not ctx.get(dut.busy) and not ctx.get(dut.due)
        due = oracle.after_update()
        ctx.set(dut.update_done, 1)
        assert ctx.get(dut.due) == due  # combinational
        await ctx.tick()
        ctx.set(dut.update_done, 0)
        begin = len(self.trace)
        assert ctx.get(dut.position) == oracle.position
        while ctx.get(dut.busy):
            await ctx.tick()
        part = self.trace[begin:]
        network, record = SimpleNamespace(layout=self.places, config=self.config), SimpleNamespace(due=due, moved=oracle.moved)
        assert len(part) == transport(network, record)
        counts = [sum(t[name] for t in part) for name in ("read", "moved", "signed", "w_en", "feedback_en")]
        assert counts == [oracle.count[name] - before[name] for name in COUNTED]
        written = [t["feedback_addr"] for t in part if t["feedback_en"]]
        assert written == sorted(set(written))
        assert all(word == old[n] for n, word in enumerate(self.feedback) if n not in written)
        for p in self.places[1:]:
            stored = [[self.feedback[self._word(p, j, i)][i % self.config.lanes] for i in range(p.n_in)] for j in range(p.n_out)]
            assert stored == oracle.b[p.index], p.index
        if self.config.partial_transport:
            assert [ctx.get(state) for state in dut.random_state] == oracle.transport_random
        for _ in range(self.rng.choice((0, 1)) if due else REST):
            await ctx.tick()
        return due

    def run(self, updates):
        """How many of ``updates`` are followed by a transport."""
        dut, self.dues = self.dut, 0
        if self.config.partial_transport:
            self.oracle.transport_random = lane_seeds(5, self.config.lanes)

        async def bench(ctx):
            set_all(ctx, dut, {"network": network_of(self.config, self.layers, 1), "settings": self.settings(), "load": 1})
            if self.config.partial_transport:
                set_all(ctx, dut, {"random_load": 1, "random_in": self.oracle.transport_random})
            await ctx.tick()
            set_all(ctx, dut, {"load": 0} | ({"random_load": 0} if self.config.partial_transport else {}))
            await ctx.tick().repeat(REST)
            for _ in range(updates):
                self.dues += await self.update(ctx)

        names = ("read", "moved", "signed", "w_en", "feedback_en", "feedback_addr")
        simulate(dut, bench, background=[
            read_port(dut.w_en, [dut.w_tile, dut.w_index], dut.w_data, lambda *place: self.weights[place],
                      latency=TransposableMemory.READ_LATENCY),
            read_port(dut.back_en, dut.back_addr, dut.back_data, lambda address: self.feedback[address]),
            self.memory, watch(self.trace, **{name: getattr(dut, name) for name in names})])
        return self.dues


BIG = (1 << 32) - 1
NONE, ALWAYS, BOTH = scheme(Values.NONE), scheme(every_update=True), scheme(signs=Signs.EVERY_UPDATE)
SIGNS, SIGNS_AT = scheme(Values.NONE, signs=Signs.EVERY_UPDATE), scheme(Values.NONE, signs=Signs.AT_INTERVAL)
TOP = scheme(Values.TOP_K, select=7)


@pytest.mark.parametrize("layers, lanes", [((5, 7, 3), 2), ((3, 5, 6, 2), 4), ((2, 9, 1), 8)])
@pytest.mark.parametrize("interval, position, dues", [(1, 0, 5), (3, 0, 1), (3, 2, 2), (0, 0, 0), (2, 5, 0), (5, 0, 1)])
def test_intervals(layers, lanes, interval, position, dues):
    assert Device(layers, lanes, [scheme()] * (len(layers) - 2), interval, position).run(5) == dues


@pytest.mark.parametrize("interval, position, dues", [(0, BIG - 1, 0), (1, BIG - 1, 2), (1, BIG, 3), (BIG, BIG - 1, 1)])
def test_position_wraps(interval, position, dues):
    assert Device((2, 2, 2), 2, [scheme()], interval, position).run(4) == dues


@pytest.mark.parametrize("precision, layers, lanes", [(Precision.FULL, (3, 5, 6, 2), 4), (Precision.SIGN, (2, 3, 1, 4), 2)])
@pytest.mark.parametrize("schemes, dues", [
    ([NONE, NONE], 0), ([ALWAYS, NONE], 6), ([NONE, ALWAYS], 6), ([SIGNS, scheme()], 6), ([SIGNS_AT, NONE], 2),
    ([BOTH, SIGNS_AT], 6), ([scheme(signs=Signs.AT_INTERVAL), SIGNS], 6), ([scheme(), NONE], 2)])
def test_schemes_of_layers(schemes, dues, precision, layers, lanes):
    schemes = [LayerTransport(**vars(s) | {"scale": 5 + 6 * n}) for n, s in enumerate(schemes)]
    assert Device(layers, lanes, schemes, 3, 0, feedback_precision=precision).run(6) == dues


@pytest.mark.parametrize("precision, bits, fraction", [(Precision.EIGHT, 12, 8), (Precision.FOUR, 8, 6)])
def test_narrow_feedback(precision, bits, fraction):
    build = {"feedback_precision": precision, "weight_bits": bits, "weight_fraction": fraction}
    assert Device((3, 5, 6, 2), 2, [BOTH, ALWAYS], 2, 0, **build).run(3) == 3
    assert Device((3, 9, 6, 2), 4, [BOTH, ALWAYS], 2, 0, partial_transport=True, **build).run(2) == 2
    assert Device((3, 9, 6, 2), 4, [TOP, scheme(Values.CHANGE, select=300)], 1, 0, partial_transport=True, **build).run(2) == 2


SMALL, WIDE, TALL = ((3, 5, 6, 2), 2), ((2, 9, 4, 3), 4), ((1, 17, 3), 8)


@pytest.mark.parametrize("network, schemes, dues", [
    (SMALL, [TOP, scheme(Values.TOP_K, True, Signs.EVERY_UPDATE, 1)], 3), (WIDE, [TOP, NONE], 1), (TALL, [TOP], 1),
    (TALL, [scheme(Values.TOP_K, True, select=30)], 3), (WIDE, [NONE, scheme(Values.TOP_K, True, Signs.AT_INTERVAL, 5)], 3),
    (SMALL, [scheme(Values.TOP_K, select=0), scheme(Values.TOP_K, select=BIG)], 1),
    (WIDE, [scheme(Values.RANDOM, True, select=1 << 22), TOP], 3), (SMALL, [scheme(Values.RANDOM, select=0), ALWAYS], 3),
    (SMALL, [SIGNS, scheme(Values.RANDOM, signs=Signs.EVERY_UPDATE, select=1 << 23)], 3),
    (WIDE, [scheme(Values.CHANGE, select=9000), scheme(Values.CHANGE, True, Signs.AT_INTERVAL, 900)], 3)])
def test_choice_of_weights(network, schemes, dues):
    """Layers with schemes of their own; a transport finds the histogram that the one before it left."""
    build = {"partial_transport": True, "weight_bits": 10, "weight_fraction": 6}
    assert Device(*network, schemes, 2, 0, **build, seed=len(schemes) + dues).run(3) == dues


@pytest.mark.parametrize("code", [5, 6, 7])
def test_values_without_a_meaning_copy_nothing(code):
    for schemes, dues in (([NONE, NONE], 0), ([SIGNS, NONE], 2), ([NONE, scheme()], 2))[:1 if code > 5 else None]:
        raw = {l: code for l, s in enumerate(schemes, 2) if s.values is Values.NONE}
        assert Device((2, 3, 4, 2), 2, schemes, 1, 0, raw=raw, partial_transport=True).run(2) == dues


@pytest.mark.parametrize("values", [Values.NONE, Values.ALL])
def test_signs_without_a_meaning_are_never_copied(values):
    assert Device((2, 3, 4, 2), 2, [scheme(values, signs=3), NONE], 2, 0).run(4) == (2 if values else 0)


def test_a_network_smaller_than_the_build():
    """What the registers say of layers that it does not have means nothing; a network of one layer has nothing to copy."""
    for partial in (False, True):
        build = {"fits": (4, 5, 6, 3), "partial_transport": partial}
        assert Device((4, 3), 2, [], 1, 0, **build).run(2) == 0
        assert Device((4, 3, 3), 2, [scheme()], 2, 0, **build).run(2) == 1
        assert Device((4, 3, 3), 2, [NONE], 1, 0, **build).run(2) == 0
        assert Device((4, 3), 2, [], 1, 0, partial_transport=partial).run(2) == 0
