"""WordChecker and PacketChecker: every header, length word and event near the borders against the model."""

import itertools

import pytest
from amaranth.hdl import Elaboratable, Module

from coldspike.hw.io.packet_checker import PacketChecker
from coldspike.hw.io.word_checker import WordChecker
from coldspike.spec.config import CoreConfig, Rule
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Kind, Space, header

from ..networks import network_of
from ..support import simulate
from .packets import elements, judge, last_time, most_events, sample, set_rule

BOTH = CoreConfig.for_network((5, 3, 2), lanes=2, rules=list(Rule), max_steps=9, spike_entries=8)
BUILDS = {  # build, network, T (0: rule ttfs)
    "small": (CoreConfig.for_network((5, 3, 2), lanes=2), (5, 3, 2), 0),
    "smaller network": (CoreConfig.for_network((9, 7, 5, 4), lanes=4), (6, 2), 0),
    "partial transport": (CoreConfig.for_network((5, 3, 2), lanes=2, partial_transport=True), (5, 3, 2), 0),
    "no gradient memory": (CoreConfig.for_network((5, 3, 4, 2), lanes=2, gradient_memory=False), (5, 3, 4, 2), 0),
    "over time": (CoreConfig.for_network((5, 3, 2), lanes=2, rules="sparse-bptt", max_steps=9, spike_entries=8), (5, 3, 2), 7),
    "over time, one step": (
        CoreConfig.for_network((9, 7, 5, 4), lanes=4, rules="sparse-bptt", max_steps=4096, spike_entries=3, partial_transport=True),
        (6, 5, 2), 1),
    "both rules, single spikes": (BOTH, (5, 3, 2), 0), "both rules, over time": (BOTH, (5, 3, 2), 7),
}


class Checkers(Elaboratable):
    """Both, without the register between them."""

    def __init__(self, config):
        self.word, self.packet = WordChecker(config), PacketChecker(config)

    def elaborate(self, platform):
        m = Module()
        m.submodules.word, m.submodules.packet = self.word, self.packet
        m.d.comb += [self.packet.word.eq(self.word.checked), self.packet.network.eq(self.word.network)]
        return m


def check(build, steps, running=1):
    """Sets each step's inputs and compares the named output."""
    config, layers, time_steps = build
    both = Checkers(config)
    dut = both.packet

    async def bench(ctx):
        ctx.set(both.word.network, network_of(config, layers, unused=1))
        ctx.set(dut.running, running)
        for checker in (both.word, dut):
            set_rule(ctx, checker, config, time_steps)
        for word, last, inputs, output, expected in steps:
            ctx.set(both.word.word, {"data": word, "last": last})
            for name, value in inputs.items():
                ctx.set(both.word.previous if name == "previous" else getattr(dut, name), value)
            assert ctx.get(getattr(dut, output)) == expected, (hex(word), last, inputs, output)
            if output == "body_error":
                assert ctx.get(dut.body_good) == (expected == ErrorCode.NONE)

    simulate(both, bench)


@pytest.fixture(params=BUILDS)
def build(request):
    return BUILDS[request.param]


def packet_fields(word):
    return {"kind": word & 15, "space": word >> 8 & 15, "layer": word >> 16 & 15}


def test_headers(build):
    words = [header(kind, middle, value) for kind, middle, value in
             itertools.product([*range(7), 15, 17, 255], [*range(12), 16, 129], [*range(6), 16, 17, 1 << 15])]
    steps = []
    for word, last in itertools.product(words, (0, 1)):
        verdict = judge([word] if last else [word, 0xFFFFFFFF], *build)
        judged_here = verdict.words == 0
        steps.append((word, last, {}, "header_error", verdict.status if judged_here else ErrorCode.NONE))
    check(build, steps)


def test_lengths(build):
    config, layers, time_steps = build
    headers = [header(Kind.SAMPLE), header(Kind.SAMPLE, 1, 1), header(Kind.UPDATE)]
    headers += [header(kind, space, layer) for kind, space, layer in
                itertools.product((Kind.READ, Kind.WRITE), Space, range(len(layers)))]
    headers = [word for word in headers if judge([word], *build).status is ErrorCode.SHORT]
    assert len(headers) > 10
    steps = []
    for word, length, last in itertools.product(headers, [*range(11), 1 << 16, 1 << 31], (0, 1)):
        verdict = judge([word, length] if last else [word, length, 0], *build)
        if length <= most_events(config, layers, time_steps) and not last and word & 15 == Kind.SAMPLE and length:
            verdict = judge([word, length, 0, 1][:3], *build)
            expected = ErrorCode.NONE
        else:
            expected = verdict.status if verdict.words == 1 else ErrorCode.NONE
        inputs = {"packet": packet_fields(word)}
        steps.append((length, last, inputs, "length_error", expected))
        if expected is ErrorCode.NONE:
            good = word & 15 == Kind.SAMPLE and length or 0
            if word & 15 == Kind.WRITE:
                good = elements(Space(word >> 8 & 255), word >> 16, config, layers, time_steps)
            steps.append((length, last, inputs, "count", good))
    check(build, steps)


def test_events(build):
    config, layers, time_steps = build
    inputs, latest = layers[0], last_time(config, time_steps)
    steps = []
    for index, previous, time, remaining, last in itertools.product(
            [0, 1, inputs - 1, inputs, 0xFFFF],
            [None, (0, 0), (inputs - 2, latest), (inputs - 1, latest // 2), (inputs - 1, latest)],
            [0, latest // 2, latest, latest + 1, 0xFFFF], (1, 2, 3), (0, 1)):
        event = [index | time << 16]
        before = [] if previous is None else [previous]
        packet = sample(before) + event + [0] * (not last)
        packet[1] = len(before) + remaining
        verdict = judge(packet, *build)
        if packet[1] > most_events(config, layers, time_steps):  # the model would stop at the length: judge the event alone
            continue
        here = verdict.words == 2 + len(before)
        inputs_here = {"sample": 1, "final": remaining == 1, "first": previous is None}
        steps.append((event[0], last, inputs_here | {"previous": previous[0] | previous[1] << 16 if previous else 0}, "body_error",
                      verdict.status if here else ErrorCode.NONE))
    assert {step[-1] for step in steps} == {ErrorCode.NONE, ErrorCode.INDEX, ErrorCode.ORDER, ErrorCode.TIME,
                                            ErrorCode.SHORT, ErrorCode.LONG}
    check(build, steps)


def test_elements_may_be_anything(build):
    write = {"sample": 0, "first": 0, "previous": 3}
    check(build, [(word, remaining == 1, write | {"final": remaining == 1}, "body_error", ErrorCode.NONE)
                  for word in (0, 1 << 31, 0xFFFFFFFF) for remaining in (1, 2)])


def test_stopped_goes_first(build):
    words = [header(Kind.UPDATE), 0, header(Kind.SAMPLE, 1, 99), 0xFFFFFFFF]
    check(build, [(word, last, {"packet": {"kind": Kind.SAMPLE}, "sample": 1}, output, ErrorCode.STOPPED)
                  for word in words for last in (0, 1) for output in ("header_error", "length_error", "body_error")],
          running=0)
