"""Memory access for the host: carries out READ and WRITE packets. Golden model: model/device.py."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule, bits_for
from ...spec.packets import LIST_SPACES, SINGLE_SPACES, TWO_WORD_SPACES, Kind, Space
from ..arithmetic.delay import delay
from ..arithmetic.spread import spread
from ..layouts import DescriptorLayout, NetworkLayout, ResultLayout, feedback_offset, rule_port, runs

__all__ = ["AccessLayout", "MemoryAccess"]


class AccessLayout(data.StructLayout):
    """The word being accessed: ``space`` and the addresses it may have there (one is meant)."""

    def __init__(self, config: CoreConfig):
        super().__init__({
            "space": Space, "input_layer": 1, "tile": bits_for(config.weight_tiles), "column": bits_for(config.lanes),
            "address": max(bits_for(config.gradient_words), bits_for(config.neuron_blocks), bits_for(config.max_neurons),
                           *((bits_for(config.spike_entries), bits_for(config.job_entries))
                             if Rule.SPARSE_BPTT in config.rules else ()),
                           *((bits_for(config.max_steps + 1),) if config.runs_over_time else ())),
        })


class MemoryAccess(wiring.Component):
    """Reads a column, or all neurons of a layer, block by block: 5 cycles a block, 5 for each element and one for each word
    sent. Writes take a cycle a word and two a block.

    Members
    -------
    network : In. Stable while busy.
    start, packet : In. Begin a READ or WRITE; ``packet`` is stable while busy.
    i_payload : In(stream 32). Elements to write.
    r_en, w_en : Out(1). Read (data up to 4 cycles later, held) and write the word of ``access``.
    access : Out(AccessLayout).
    w_data : Out, P x 32 bits, the elements in their lower bits; they hold for a cycle after ``w_en``.
    lane : Out; r_data : In(64), that lane's element of the word last read, four cycles later, sign- or zero-extended.
    o_result : Out(stream ResultLayout).
    rule : In. Which one runs, in a build of several. entries : In. In a build with rule sparse-bptt: length of the list that the
        packet names, three cycles after ``start``.
    busy : Out(1).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._over_time = Rule.SPARSE_BPTT in config.rules
        super().__init__({
            **rule_port(config), **({"entries": In(16)} if self._over_time else {}),
            "network": In(NetworkLayout(config)), "start": In(1), "packet": In(DescriptorLayout()),
            "i_payload": In(stream.Signature(32)), "r_en": Out(1), "w_en": Out(1), "access": Out(AccessLayout(config)),
            "w_data": Out(32).array(config.lanes), "lane": Out(bits_for(config.lanes)), "r_data": In(signed(64)),
            "o_result": Out(stream.Signature(ResultLayout())), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, network, packet, access = self._config, self.network, self.packet, self.access
        low = bits_for(c.lanes)
        left, lane, high, word = Signal(16), Signal(low), Signal(), Signal(1)
        two_words, element = Signal(), Signal(64)
        address, tile = Signal.like(access.address), Signal.like(access.tile)
        words = Signal.like(access.address)
        space = packet.space
        listed = runs(c, self, Rule.SPARSE_BPTT) & Cat(space == s for s in LIST_SPACES).any()
        single = listed | Cat(space == s for s in SINGLE_SPACES).any()
        m.d.sync += two_words.eq(sum(space == s for s in TWO_WORD_SPACES))
        m.d.comb += [
            access.space.eq(space), access.input_layer.eq(packet.layer == 0), access.column.eq(packet.column[:low]),
            access.address.eq(address), access.tile.eq(tile),
        ]
        result = self.o_result.payload
        m.d.comb += [self.lane.eq(lane), result.data.eq(Mux(high, element[32:], element[:32]))]
        count, start, stride, first_tile = self._place(m, listed)
        column = delay(m, packet.column, 1, "column")
        self._collect(m, lane)

        # A register, because it switches the addresses of all memories.
        def idle():
            m.d.sync += self.busy.eq(0)
            m.next = "IDLE"

        # A READ gives elements, but for an empty list's.
        nothing = (packet.kind == Kind.WRITE) | ((left == 0) if self._over_time else 0)

        def next_word():
            m.d.sync += [lane.eq(0), address.eq(address + 1), tile.eq(tile + network.blocks[packet.layer])]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += self.busy.eq(1)
                    m.next = "PLACE"
            with m.State("PLACE"):  # the packet has a cycle for its place
                m.next = "COLUMN"
            with m.State("COLUMN"):
                m.d.sync += [words.eq(column * stride), left.eq(count), tile.eq(first_tile)]
                m.next = "LOCATE"
            with m.State("LOCATE"):
                m.d.sync += address.eq(start + words)
                m.d.sync += [lane.eq(0), high.eq(0), word.eq(0)]
                m.next = "HEADER"
                with m.If(packet.kind == Kind.WRITE):
                    m.next = "GATHER"
            self._write(m, left, lane, single, next_word)
            with m.State("HEADER"):
                m.d.comb += self.o_result.valid.eq(1)
                with m.If(word == 0):
                    m.d.comb += result.data.eq(packet.kind)
                with m.Else():
                    m.d.comb += [result.data.eq(packet.sequence), result.last.eq(nothing)]
                with m.If(self.o_result.ready):
                    m.d.sync += word.eq(1)
                    with m.If(word == 1):
                        m.next = "FETCH"
                        with m.If(nothing):
                            idle()
            self._read(m, left, lane, high, two_words, element, single, next_word, idle)
        return m

    def _read(self, m, left, lane, high, two_words, element, single, next_word, idle):
        """A word is fetched, then each of its lanes shown and sent."""
        result, wait = self.o_result.payload, Signal(2)
        with m.State("FETCH"):
            m.d.comb += self.r_en.eq(1)
            m.d.sync += wait.eq(3)
            m.next = "WAIT"
        with m.State("WAIT"):
            m.d.sync += wait.eq(wait - 1)
            with m.If(wait == 0):
                m.next = "SELECT"
        with m.State("SELECT"):
            m.next = "JOIN"
        with m.State("JOIN"):
            m.next = "SHOW"
        with m.State("SHOW"):
            m.next = "CHOOSE"
        with m.State("CHOOSE"):
            m.next = "TAKE"
        with m.State("TAKE"):
            m.d.sync += element.eq(self.r_data)
            m.next = "SEND"
        with m.State("SEND"):
            m.d.comb += [self.o_result.valid.eq(1), result.last.eq((left == 1) & (high | ~two_words))]
            with m.If(self.o_result.ready):
                m.d.sync += high.eq(~high & two_words)
                with m.If(high | ~two_words):
                    m.d.sync += [left.eq(left - 1), lane.eq(lane + 1)]
                    m.next = "SELECT"
                    with m.If(lane.all() | single):
                        next_word()
                        m.next = "FETCH"
                    with m.If(left == 1):
                        idle()

    def _write(self, m, left, lane, single, next_word):
        """Words are gathered from the payload, then stored."""
        with m.State("GATHER"):
            m.d.comb += self.i_payload.ready.eq(1)
            with m.If(self.i_payload.valid):
                m.d.sync += [lane.eq(lane + 1), left.eq(left - 1)]
                with m.If((left == 1) | lane.all() | single):
                    m.next = "GATHERED"
        with m.State("GATHERED"):  # the last element reaches its lane
            m.next = "STORE"
        with m.State("STORE"):
            m.d.comb += self.w_en.eq(1)
            next_word()
            m.next = "GATHER"
            with m.If(left == 0):
                m.next = "HEADER"

    def _collect(self, m, lane):
        """Elements reach their lanes a cycle after they left the payload."""
        taken, taken_lane, word = Signal(), Signal.like(lane), Signal(32)
        m.d.sync += [taken.eq(self.i_payload.valid & self.i_payload.ready), taken_lane.eq(lane), word.eq(self.i_payload.payload)]
        # Lanes without an element are zero: a word that was written is forgotten as soon as nobody needs it.
        for element, stored in zip(self.w_data, spread(m, self.w_en, self._config.lanes, "stored"), strict=True):
            with m.If(stored):
                m.d.sync += element.eq(0)
        with m.If(taken):
            m.d.sync += Array(self.w_data)[taken_lane].eq(word)

    def _place(self, m, listed):
        """Elements, first address, words of a column and first tile, of the packet's space, a cycle after the packet;
        single-lane output errors are one "block" each."""
        c, network, packet, space = self._config, self.network, self.packet, self.packet.space
        count, start, stride, tile = (Signal(16), Signal.like(self.access.address), Signal.like(network.blocks[0]),
                                      Signal.like(self.access.tile))
        above, below = Signal.like(packet.layer), Signal.like(packet.layer)
        m.d.comb += [above.eq(packet.layer - 1), below.eq(Mux(packet.layer == 0, 0, above))]
        m.d.sync += [tile.eq(network.tile_base[above] + (packet.column >> bits_for(c.lanes))), stride.eq(0)]
        with m.Switch(space):
            with m.Case(Space.WEIGHT, Space.FEEDBACK, Space.GRADIENT):
                m.d.sync += [
                    count.eq(network.size[above]), stride.eq(network.blocks[above]),
                    start.eq(network.column_base[above] - Mux(space == Space.FEEDBACK, feedback_offset(c, network), 0)),
                ]
            with m.Case(Space.RANDOM):
                m.d.sync += [count.eq(c.lanes), start.eq(0)]
            with m.Case(Space.OUTPUT_ERROR):
                m.d.sync += [count.eq(network.outputs), start.eq(0)]
            if c.runs_over_time:
                with m.Case(Space.DECAY):
                    m.d.sync += [count.eq(packet.count), start.eq(0)]
            with m.Default():
                m.d.sync += [count.eq(network.size[packet.layer]),
                             start.eq(Mux(packet.layer == 0, 0, network.block_base[below]))]
        if self._over_time:
            with m.If(listed):
                m.d.sync += [count.eq(self.entries), start.eq(0)]
        return count, start, stride, tile
