"""The rules of spec/packets.py for one word of a packet in its place. Golden model: tests/hw/io/packets.py."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule
from ...spec.errors import ErrorCode
from ...spec.packets import COLUMN_SPACES, Kind, Space, random_columns
from ..layouts import DescriptorLayout, NetworkLayout, coded_port, rule_port, runs, steps_port
from .word_checker import CheckedWordLayout

__all__ = ["PacketChecker"]


class PacketChecker(wiring.Component):
    """Says what, if anything, is wrong with a word, taken as header, length or body word of a packet.

    Latency: none, combinational. An error of the word itself goes before SHORT and LONG.

    What means nothing in a packet is not checked: an UPDATE's word 1, the elements of a WRITE.

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    word : In(CheckedWordLayout) the word, with what WordChecker says of it.
    running : In(1), network : In(NetworkLayout) the network; without it every word is STOPPED.
    packet : In(DescriptorLayout) kind, space and layer of the packet, from its good header.
    final : In(1) it is the body's last word.
    sample : In(1) the packet is a SAMPLE.
    first : In(1) it is the body's first word: any index is in order.
    header_error, length_error, body_error : Out(ErrorCode) NONE when the word is good in that place.
    body_good : Out(1) ``body_error`` is NONE.
    rule, steps, coded : In. As of PacketDecoder.
    count : Out(16) body words of the packet, when the word is a good length word.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "word": In(CheckedWordLayout()),
            "running": In(1),
            "network": In(NetworkLayout(config)),
            "packet": In(DescriptorLayout()),
            "final": In(1),
            "sample": In(1),
            "first": In(1),
            "header_error": Out(ErrorCode),
            "length_error": Out(ErrorCode),
            "body_error": Out(ErrorCode),
            "body_good": Out(1),
            "count": Out(16),
            **rule_port(config), **steps_port(config), **coded_port(config),
        })

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.header_error.eq(Mux(self.running, self.word.header_error, ErrorCode.STOPPED))
        self._check_length(m)
        self._check_body(m)
        return m

    def _conclude(self, error: Value, ends_here: ValueLike) -> Value:
        """``error`` of the word itself, else STOPPED, SHORT or LONG as the packet ends or goes on."""
        last = self.word.last
        ending = Mux(last & ~ends_here, ErrorCode.SHORT, Mux(~last & ends_here, ErrorCode.LONG, ErrorCode.NONE))
        return Mux(self.running, Mux(error != ErrorCode.NONE, error, ending), ErrorCode.STOPPED)

    def _check_length(self, m: Module):
        value, packet, size = self.word.data, self.packet, self.network.size
        with_columns = [packet.space == space for space in COLUMN_SPACES]
        coded = runs(self.config, self, Rule.RATE) & self.coded if Rule.RATE in self.config.rules else 0
        most = Mux(runs(self.config, self, Rule.SPARSE_BPTT) | coded, self.config.spike_entries, self.network.size[0])
        columns = Mux(Cat(with_columns).any(), size[packet.layer], 1)
        if self.config.partial_transport:
            columns = Mux(packet.space == Space.RANDOM, random_columns(self.config), columns)

        error = Signal(ErrorCode)
        with m.Switch(packet.kind):
            with m.Case(Kind.SAMPLE):
                m.d.comb += [
                    error.eq(Mux(value > most, ErrorCode.LONG, ErrorCode.NONE)),
                    self.count.eq(value),
                ]
            with m.Case(Kind.WRITE):
                n_in = size[(packet.layer - 1)[:len(packet.layer)]]
                m.d.comb += [
                    error.eq(Mux(value >= columns, ErrorCode.ADDRESS, ErrorCode.NONE)),
                    self.count.eq(Mux(packet.space == Space.RANDOM, self.config.lanes, n_in)),
                ]
                if hasattr(self, "steps"):
                    with m.If(packet.space == Space.DECAY):
                        m.d.comb += self.count.eq(self.steps + 1)
            with m.Case(Kind.READ):
                m.d.comb += error.eq(Mux(value >= columns, ErrorCode.ADDRESS, ErrorCode.NONE))
        m.d.comb += self.length_error.eq(self._conclude(error, self.count == 0))

    def _check_body(self, m: Module):
        error = Signal(ErrorCode)
        with m.If(self.sample):
            with m.If(self.word.beyond):
                m.d.comb += error.eq(ErrorCode.INDEX)
            with m.Elif(self.word.descends & ~self.first):
                m.d.comb += error.eq(ErrorCode.ORDER)
            with m.Elif(self.word.late):
                m.d.comb += error.eq(ErrorCode.TIME)
        # Whether it is good decides in the same cycle who moves; which error it is may take longer.
        bad = self.sample & (self.word.bad | (self.word.descends & ~self.first))
        m.d.comb += [self.body_error.eq(self._conclude(error, self.final)),
                     self.body_good.eq(self.running & ~bad & (self.word.last == self.final))]
