"""What can be said of a packet's word by itself. Golden model: tests/hw/io/packets.py."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule
from ...spec.errors import ErrorCode
from ...spec.packets import SPIKE_BIT, WRITABLE_SPACES, Kind, Space, layer_ranges
from ..layouts import NetworkLayout, coded_port, rule_port, runs, steps_port
from .input_tape import InputEventLayout

__all__ = ["CheckedWordLayout", "HeaderLayout", "PacketWordLayout", "WordChecker"]


class PacketWordLayout(data.StructLayout):
    """A word of the input stream."""

    def __init__(self):
        super().__init__({"data": 32, "last": 1})


class CheckedWordLayout(data.StructLayout):
    """A word and what is wrong with it as header, or as event: index beyond the input layer, time outside the window, one
    of these, event not above that of the word before."""

    def __init__(self):
        super().__init__({"data": 32, "last": 1, "header_error": ErrorCode, "beyond": 1, "late": 1, "bad": 1, "descends": 1})


class HeaderLayout(data.StructLayout):
    """Word 0 of a packet. ``middle`` is train (its lowest bit) or space, ``field`` label or layer."""

    def __init__(self):
        super().__init__({"kind": 8, "middle": 8, "field": 16})


class WordChecker(wiring.Component):
    """Checks a word as header and as event, before its place in the packet is known.

    Latency: none, combinational.

    What means nothing in a packet is not checked: bits 1 to 7 of a SAMPLE's ``middle`` and the label of one that does
    not train, an UPDATE's ``middle`` and ``field``.

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    word : In(PacketWordLayout) the word. previous : In(32) the word before.
    network : In(NetworkLayout) the network. rule, steps, coded : In. As of PacketDecoder.
    checked : Out(CheckedWordLayout) the word with its marks.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({"word": In(PacketWordLayout()), "previous": In(32), "network": In(NetworkLayout(config)),
                          "checked": Out(CheckedWordLayout()),
                          **rule_port(config), **steps_port(config), **coded_port(config)})

    def elaborate(self, platform):
        m = Module()
        event, checked = data.View(InputEventLayout(), self.word.data), self.checked  # ``time`` is the step over time
        m.d.comb += [
            checked.data.eq(self.word.data), checked.last.eq(self.word.last),
            checked.beyond.eq(event.index >= self.network.size[0]), checked.bad.eq(checked.beyond | checked.late),
        ]
        if Rule.TTFS in self.config.rules:
            with m.If(runs(self.config, self, Rule.TTFS)):
                m.d.comb += [checked.late.eq(event.time > self.config.window),
                             checked.descends.eq(event.index <= self.previous[:16])]
        if Rule.SPARSE_BPTT in self.config.rules:
            with m.If(runs(self.config, self, Rule.SPARSE_BPTT)):  # by step, then index
                m.d.comb += [checked.late.eq(event.time >= self.steps), checked.descends.eq(self.word.data <= self.previous)]
        if Rule.RATE in self.config.rules:
            spike = self.coded & self.word.data[SPIKE_BIT]
            with m.If(runs(self.config, self, Rule.RATE)):  # levels by index, then spikes by step and index
                m.d.comb += [
                    checked.late.eq(Mux(spike, event.time[:-1] >= self.steps, event.time > self.config.window)),
                    checked.descends.eq(Mux(spike, self.word.data <= self.previous,
                                            (event.index <= self.previous[:16]) | (self.coded & self.previous[SPIKE_BIT]))),
                ]
        self._check_header(m)
        return m

    def _check_header(self, m: Module):
        header = data.View(HeaderLayout(), self.word.data)
        space_legal = Signal()
        for rule in self.config.rules:
            with m.If(runs(self.config, self, rule)), m.Switch(header.middle):
                for space, (first, after) in layer_ranges(self.config, rule, self.network.layers).items():
                    with m.Case(space):
                        in_range = (header.field >= first) & (header.field < after)
                        allowed = (header.kind != Kind.WRITE if space not in WRITABLE_SPACES else
                                   header.kind != Kind.READ if space is Space.DECAY else Const(1))
                        m.d.comb += space_legal.eq(in_range & allowed)
        label_legal = ~header.middle[0] | (header.field < self.network.outputs)

        good = Mux(self.word.last, ErrorCode.SHORT, ErrorCode.NONE)
        m.d.comb += self.checked.header_error.eq(ErrorCode.KIND)
        with m.Switch(header.kind):
            with m.Case(Kind.SAMPLE):
                m.d.comb += self.checked.header_error.eq(Mux(label_legal, good, ErrorCode.LABEL))
            with m.Case(Kind.UPDATE):
                m.d.comb += self.checked.header_error.eq(good)
            with m.Case(Kind.WRITE, Kind.READ):
                m.d.comb += self.checked.header_error.eq(Mux(space_legal, good, ErrorCode.ADDRESS))
