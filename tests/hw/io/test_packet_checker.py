"""WordChecker and PacketChecker: every header, length word and event near the borders against the model."""

import itertools

import pytest
from amaranth.hdl import Elaboratable, Module

from coldspike.hw.io.packet_checker import PacketChecker
from coldspike.hw.io.word_checker import WordChecker
from coldspike.spec.config import CoreConfig
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Kind, Space, header

from ..networks import network_of
from ..support import simulate
from .packets import judge, sample

BUILDS = {
    "small": (CoreConfig.for_network((5, 3, 2), lanes=2), (5, 3, 2)),
    "smaller network": (CoreConfig.for_network((9, 7, 5, 4), lanes=4), (6, 2)),
    "partial transport": (CoreConfig.for_network((5, 3, 2), lanes=2, partial_transport=True), (5, 3, 2)),
    "no gradient memory": (CoreConfig.for_network((5, 3, 4, 2), lanes=2, gradient_memory=False), (5, 3, 4, 2)),
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
    config, layers = build
    both = Checkers(config)
    dut = both.packet

    async def bench(ctx):
        ctx.set(both.word.network, network_of(config, layers, unused=1))
        ctx.set(dut.running, running)
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
             itertools.product([*range(7), 15, 17, 255], [*range(11), 16, 129], [*range(6), 16, 17, 1 << 15])]
    steps = []
    for word, last in itertools.product(words, (0, 1)):
        verdict = judge([word] if last else [word, 0xFFFFFFFF], *build)
        judged_here = verdict.words == 0
        steps.append((word, last, {}, "header_error", verdict.status if judged_here else ErrorCode.NONE))
    check(build, steps)


def test_lengths(build):
    config, layers = build
    headers = [header(Kind.SAMPLE), header(Kind.SAMPLE, 1, 1), header(Kind.UPDATE)]
    headers += [header(kind, space, layer) for kind, space, layer in
                itertools.product((Kind.READ, Kind.WRITE), Space, range(len(layers)))]
    headers = [word for word in headers if judge([word], *build).status is ErrorCode.SHORT]
    assert len(headers) > 10
    steps = []
    for word, length, last in itertools.product(headers, [*range(11), 1 << 16, 1 << 31], (0, 1)):
        verdict = judge([word, length] if last else [word, length, 0], *build)
        if length <= layers[0] and not last and word & 15 == Kind.SAMPLE and length:
            verdict = judge([word, length, 0, 1][:3], *build)
            expected = ErrorCode.NONE
        else:
            expected = verdict.status if verdict.words == 1 else ErrorCode.NONE
        inputs = {"packet": packet_fields(word)}
        steps.append((length, last, inputs, "length_error", expected))
        if expected is ErrorCode.NONE:
            good = word & 15 == Kind.SAMPLE and length or 0
            if word & 15 == Kind.WRITE:
                good = config.lanes if word >> 8 & 255 == Space.RANDOM else layers[(word >> 16) - 1]
            steps.append((length, last, inputs, "count", good))
    check(build, steps)


def test_events(build):
    config, layers = build
    inputs = layers[0]
    steps = []
    for index, previous, time, remaining, last in itertools.product(
            [0, 1, inputs - 1, inputs, 0xFFFF], [-1, 0, inputs - 2, inputs - 1],
            [0, 1, config.window, config.window + 1, 0xFFFF], (1, 2, 3), (0, 1)):
        event = [index | time << 16]
        before = [] if previous < 0 else [(previous, 0)]
        packet = sample(before) + event + [0] * (not last)
        packet[1] = len(before) + remaining
        verdict = judge(packet, config, (*layers[:1], *layers[1:]))
        if packet[1] > inputs:  # the model would stop at the length: judge the event alone
            continue
        here = verdict.words == 2 + len(before)
        steps.append((event[0], last, {"sample": 1, "final": remaining == 1,
                                       "first": previous < 0, "previous": max(previous, 0)}, "body_error",
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
