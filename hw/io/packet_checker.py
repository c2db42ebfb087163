"""The rules of spec/packets.py for one word of a packet. Golden model: tests/hw/io/packets.py."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig
from ...spec.errors import ErrorCode
from ...spec.packets import WRITABLE_SPACES, Kind, Space
from ..layouts import DescriptorLayout, NetworkLayout
from .input_tape import InputEventLayout

__all__ = ["HeaderLayout", "PacketChecker", "PacketWordLayout"]


class PacketWordLayout(data.StructLayout):
    """A word of the input stream."""

    def __init__(self):
        super().__init__({"data": 32, "last": 1})


class HeaderLayout(data.StructLayout):
    """Word 0 of a packet. ``middle`` is train (its lowest bit) or space, ``field`` label or layer."""

    def __init__(self):
        super().__init__({"kind": 8, "middle": 8, "field": 16})


class PacketChecker(wiring.Component):
    """Says what, if anything, is wrong with a word, taken as header, length or body word of a packet.

    Latency: none, combinational. An error of the word itself goes before SHORT and LONG.

    What means nothing in a packet is not checked: bits 1 to 7 of a SAMPLE's ``middle`` and the label of one that does
    not train, an UPDATE's ``middle``, ``field`` and word 1, the elements of a WRITE.

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    word : In(PacketWordLayout) the word.
    running : In(1), network : In(NetworkLayout) the network; without it every word is STOPPED.
    packet : In(DescriptorLayout) kind, space and layer of the packet, from its good header.
    remaining : In(16) body words left, this one included.
    minimum : In(16) smallest event index that is in order.
    header_error, length_error, body_error : Out(ErrorCode) NONE when the word is good in that place.
    count : Out(16) body words of the packet, when the word is a good length word.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "word": In(PacketWordLayout()),
            "running": In(1),
            "network": In(NetworkLayout(config)),
            "packet": In(DescriptorLayout()),
            "remaining": In(16),
            "minimum": In(16),
            "header_error": Out(ErrorCode),
            "length_error": Out(ErrorCode),
            "body_error": Out(ErrorCode),
            "count": Out(16),
        })

    def elaborate(self, platform):
        m = Module()
        self._check_header(m)
        self._check_length(m)
        self._check_body(m)
        return m

    def _conclude(self, error: Value, ends_here: ValueLike) -> Value:
        """``error`` of the word itself, else STOPPED, SHORT or LONG as the packet ends or goes on."""
        last = self.word.last
        ending = Mux(last & ~ends_here, ErrorCode.SHORT, Mux(~last & ends_here, ErrorCode.LONG, ErrorCode.NONE))
        return Mux(self.running, Mux(error != ErrorCode.NONE, error, ending), ErrorCode.STOPPED)

    def _check_header(self, m: Module):
        header = data.View(HeaderLayout(), self.word.data)
        space_legal = Signal()
        with m.Switch(header.middle):
            for space, (first, after) in self._layer_ranges().items():
                with m.Case(space):
                    in_range = (header.field >= first) & (header.field < after)
                    allowed = header.kind != Kind.WRITE if space not in WRITABLE_SPACES else Const(1)
                    m.d.comb += space_legal.eq(in_range & allowed)
        label_legal = ~header.middle[0] | (header.field < self.network.outputs)

        error = Signal(ErrorCode)
        with m.Switch(header.kind):
            with m.Case(Kind.SAMPLE):
                m.d.comb += error.eq(Mux(label_legal, ErrorCode.NONE, ErrorCode.LABEL))
            with m.Case(Kind.UPDATE):
                m.d.comb += error.eq(ErrorCode.NONE)
            with m.Case(Kind.WRITE, Kind.READ):
                m.d.comb += error.eq(Mux(space_legal, ErrorCode.NONE, ErrorCode.ADDRESS))
            with m.Default():
                m.d.comb += error.eq(ErrorCode.KIND)
        m.d.comb += self.header_error.eq(self._conclude(error, Const(0)))

    def _check_length(self, m: Module):
        value, packet, size = self.word.data, self.packet, self.network.size
        with_columns = [packet.space == space for space in (Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT)]
        columns = Mux(Cat(with_columns).any(), size[packet.layer], 1)

        error = Signal(ErrorCode)
        with m.Switch(packet.kind):
            with m.Case(Kind.SAMPLE):
                m.d.comb += [
                    error.eq(Mux(value > size[0], ErrorCode.LONG, ErrorCode.NONE)),
                    self.count.eq(value),
                ]
            with m.Case(Kind.WRITE):
                n_in = size[(packet.layer - 1)[:len(packet.layer)]]
                m.d.comb += [
                    error.eq(Mux(value >= columns, ErrorCode.ADDRESS, ErrorCode.NONE)),
                    self.count.eq(Mux(packet.space == Space.RANDOM, self.config.lanes, n_in)),
                ]
            with m.Case(Kind.READ):
                m.d.comb += error.eq(Mux(value >= columns, ErrorCode.ADDRESS, ErrorCode.NONE))
        m.d.comb += self.length_error.eq(self._conclude(error, self.count == 0))

    def _check_body(self, m: Module):
        event = data.View(InputEventLayout(), self.word.data)
        error = Signal(ErrorCode)
        with m.If(self.packet.kind == Kind.SAMPLE):
            with m.If(event.index >= self.network.size[0]):
                m.d.comb += error.eq(ErrorCode.INDEX)
            with m.Elif(event.index < self.minimum):
                m.d.comb += error.eq(ErrorCode.ORDER)
            with m.Elif(event.time > self.config.window):
                m.d.comb += error.eq(ErrorCode.TIME)
        m.d.comb += self.body_error.eq(self._conclude(error, self.remaining == 1))

    def _layer_ranges(self) -> dict[Space, tuple[ValueLike, ValueLike]]:
        """First layer, and the one after the last, of each space that this build has."""
        layers = self.network.layers
        ranges = {
            Space.WEIGHT: (1, layers + 1),
            Space.FEEDBACK: (2, layers + 1),
            Space.GRADIENT: (1, layers + 1),
            Space.RANDOM: (0, 1),
            Space.SLOPE: (1, layers + 1),
            Space.LEVEL: (1, layers + 1),
            Space.SPIKES: (0, layers + 1),
            Space.ERROR_SUM: (1, layers),
            Space.OUTPUT_ERROR: (0, 1),
        }
        if not self.config.gradient_memory:
            del ranges[Space.GRADIENT]
        return ranges
