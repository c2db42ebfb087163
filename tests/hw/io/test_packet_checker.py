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
from .packets import SPIKE_TIME, TTFS, Mode, elements, judge, last_time, most_events, sample, set_mode

OVER_TIME = Mode(Rule.SPARSE_BPTT, steps=7)
CURRENTS, CODED = Mode(Rule.RATE, steps=7), Mode(Rule.RATE, steps=7, coded=True)
LEFT_OVER = Mode(Rule.TTFS, steps=7, coded=True)
"""What other rules' registers hold means nothing."""

ALL = CoreConfig.for_network((5, 3, 2), lanes=2, rules=list(Rule), max_steps=9, spike_entries=8)
ONE_SHOT = CoreConfig.for_network((5, 3, 2), lanes=2, rules=("ttfs", "rate"), max_steps=9, spike_entries=4)
RATE = CoreConfig.for_network((5, 3, 2), lanes=2, rules="rate", max_steps=9, spike_entries=8)
BUILDS = {  # build, network, mode
    "small": (CoreConfig.for_network((5, 3, 2), lanes=2), (5, 3, 2), TTFS),
    "smaller network": (CoreConfig.for_network((9, 7, 5, 4), lanes=4), (6, 2), TTFS),
    "partial transport": (CoreConfig.for_network((5, 3, 2), lanes=2, partial_transport=True), (5, 3, 2), TTFS),
    "no gradient memory": (CoreConfig.for_network((5, 3, 4, 2), lanes=2, gradient_memory=False), (5, 3, 4, 2), TTFS),
    "over time": (CoreConfig.for_network((5, 3, 2), lanes=2, rules="sparse-bptt", max_steps=9, spike_entries=8), (5, 3, 2),
                  OVER_TIME),
    "over time, one step": (
        CoreConfig.for_network((9, 7, 5, 4), lanes=4, rules="sparse-bptt", max_steps=4096, spike_entries=3, partial_transport=True),
        (6, 5, 2), Mode(Rule.SPARSE_BPTT, steps=1)),
    "rate, currents": (RATE, (5, 3, 2), CURRENTS), "rate, coded": (RATE, (5, 3, 2), CODED),
    "rate of one step, coded, room for few": (
        CoreConfig.for_network((9, 7, 5, 4), lanes=4, rules="rate", max_steps=1, spike_entries=3, gradient_memory=False),
        (6, 5, 4, 2), Mode(Rule.RATE, steps=1, coded=True)),
    "rate of many steps, coded, no hidden layer": (
        CoreConfig.for_network((9, 7, 5, 4), lanes=4, rules="rate", max_steps=4096, spike_entries=65535, partial_transport=True),
        (6, 2), Mode(Rule.RATE, steps=4096, coded=True)),
    "ttfs and rate, single spikes": (ONE_SHOT, (5, 3, 2), LEFT_OVER), "ttfs and rate, currents": (ONE_SHOT, (5, 3, 2), CURRENTS),
    "ttfs and rate, coded": (ONE_SHOT, (5, 3, 2), CODED), "all rules, single spikes": (ALL, (5, 3, 2), LEFT_OVER),
    "all rules, over time": (ALL, (5, 3, 2), Mode(Rule.SPARSE_BPTT, steps=7, coded=True)),
    "all rules, currents": (ALL, (5, 3, 2), CURRENTS), "all rules, coded": (ALL, (5, 3, 2), CODED),
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
    config, layers, mode = build
    both = Checkers(config)
    dut = both.packet

    async def bench(ctx):
        ctx.set(both.word.network, network_of(config, layers, unused=1))
        ctx.set(dut.running, running)
        for checker in (both.word, dut):
            set_mode(ctx, checker, config, mode)
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
             itertools.product([*range(7), 15, 17, 255], [*range(15), 16, 129], [*range(6), 16, 17, 1 << 15])]
    steps = []
    for word, last in itertools.product(words, (0, 1)):
        verdict = judge([word] if last else [word, 0xFFFFFFFF], *build)
        judged_here = verdict.words == 0
        steps.append((word, last, {}, "header_error", verdict.status if judged_here else ErrorCode.NONE))
    check(build, steps)


def test_lengths(build):
    config, layers, mode = build
    headers = [header(Kind.SAMPLE), header(Kind.SAMPLE, 1, 1), header(Kind.UPDATE)]
    headers += [header(kind, space, layer) for kind, space, layer in
                itertools.product((Kind.READ, Kind.WRITE), Space, range(len(layers)))]
    headers = [word for word in headers if judge([word], *build).status is ErrorCode.SHORT]
    assert len(headers) > 10
    steps, most = [], most_events(config, layers, mode)
    for word, length, last in itertools.product(headers, sorted({*range(11), most, most + 1, 1 << 16, 1 << 31}), (0, 1)):
        verdict = judge([word, length] if last else [word, length, 0], *build)
        if length <= most and not last and word & 15 == Kind.SAMPLE and length:
            verdict = judge([word, length, 0, 1][:3], *build)
            expected = ErrorCode.NONE
        else:
            expected = verdict.status if verdict.words == 1 else ErrorCode.NONE
        inputs = {"packet": packet_fields(word)}
        steps.append((length, last, inputs, "length_error", expected))
        if expected is ErrorCode.NONE:
            good = word & 15 == Kind.SAMPLE and length or 0
            if word & 15 == Kind.WRITE:
                good = elements(Space(word >> 8 & 255), word >> 16, config, layers, mode)
            steps.append((length, last, inputs, "count", good))
    check(build, steps)


def border_words(config, layers, mode):
    """(index, time) at the borders of the input layer, of the window and of the steps."""
    latest = last_time(config, mode)
    times = {0, latest // 2, latest, latest + 1, SPIKE_TIME, 0xFFFF}
    times |= {SPIKE_TIME | step for step in (mode.steps // 2, mode.steps - 1, mode.steps, 1 << 14)} if mode.spikes_follow else set()
    return [(index, time) for index in (0, 1, layers[0] - 1, layers[0], 0xFFFF) for time in sorted(times)]


def test_events(build):
    config, layers, mode = build
    words = border_words(*build)
    before = [None, *(word for word in words if word[0] < layers[0] and not mode.is_late(word[1], config))]
    steps, most = [], most_events(config, layers, mode)
    for event, previous, remaining, last in itertools.product(words, before, (1, 2, 3), (0, 1)):
        packet = sample([each for each in (previous, event) if each]) + [0] * (not last)
        count = packet[1] = (previous is not None) + remaining
        if count > most:  # the model would stop at the length: judge the event alone
            continue
        verdict = judge(packet, *build)
        here = verdict.words == 1 + (previous is not None) + 1
        inputs_here = {"sample": 1, "final": remaining == 1, "first": previous is None}
        steps.append((event[0] | event[1] << 16, last,
                      inputs_here | {"previous": previous[0] | previous[1] << 16 if previous else 0xFFFFFFFF}, "body_error",
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
