"""Packets in: checked, split into descriptors and payload. Golden model: tests/hw/io/packets.py."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule, bits_for
from ...spec.errors import ErrorCode
from ...spec.packets import SPIKE_BIT, Kind
from ..layouts import SLOTS, DescriptorLayout, NetworkLayout, coded_port, rule_port, runs, spike_layout, steps_port
from ..memory.packet_fifo import PacketFifo
from .input_tape import InputTape
from .packet_checker import PacketChecker
from .stream_buffer import StreamBuffer
from .stream_register import StreamRegister
from .word_checker import CheckedWordLayout, HeaderLayout, PacketWordLayout, WordChecker

__all__ = ["PacketDecoder"]


class PacketDecoder(wiring.Component):
    """Turns each packet into one descriptor, in order; only good packets leave payload behind.

    Latency, from the cycle that transfers word 0 to the first in which the descriptor is valid, with a source that
    never waits, a free slot and room in both outputs: 6 + n + b cycles for a good packet, with n body words and b the
    blocks of the input layer in a SAMPLE, 0 otherwise. Payload follows one cycle after the descriptor. Throughput:
    word 0 of the next packet is examined n + b + 4 cycles after this one's. A bad packet of w words has its descriptor
    4 + w + c cycles after word 0 (one more if word 0 was good), with c the blocks completed before the error.

    Each block of the input layer is written to the tape once per good SAMPLE, in a cycle of its own (spikes of the
    block taken in the cycles before), which makes the time independent of how events spread over blocks. A dropped
    SAMPLE may leave blocks in its slot, but the slot stays free. The last write stands when the descriptor becomes valid.

    There is no deadlock, if work that has a descriptor never waits for a later packet: then all committed payload
    and all slots become free without the decoder's help, and what is not committed belongs to one packet, whose
    words (checked against the network before they are stored) fit the queue twice.

    A fall of ``running`` drops the packet that is being received as STOPPED. A packet of which word 0 came three or
    more cycles before ``running`` rose counts for the time before; its descriptor has the sequence number of that time.

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    i : In(stream of PacketWordLayout) AXI4-Stream TDATA and TLAST.
    running : In(1), network : In(NetworkLayout) the started network, steady while running.
    slots_busy : In(SLOTS) bit s: slot s of the input tape is in use; a SAMPLE waits for its slot before word 1.
    o_payload : Out(stream of 32 bits) body words of good packets.
    o_descriptor : Out(stream of DescriptorLayout) one for each packet; a bad one has kind ERROR, a status and a
        sequence number, and the rest means nothing. ``count`` is the number of payload words.
    slot_claimed : Out(1) pulse in the cycle before a SAMPLE's descriptor becomes valid; ``slot``: Out(slot number).
    sequence : Out(32) packets of which word 0 came since ``running`` rose.
    idle : Out(1) no packet is being received and no descriptor waits. Payload may wait.
    tape_en, tape_address, tape_data : Out(1), Out(slot, then block in the lower ``block_bits``), Out(spike_layout)
        write port of the input tape. Rule sparse-bptt has none: b is 0 then, and no slot is ever busy. Of rule rate
        levels alone are written there.
    rule : In. Which one runs, in a build of several. steps : In. T, in a build with a rule over time steps. coded : In.
        Register CODING, in a build with rule rate. All steady while running.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        self.block_bits = bits_for(-(-config.max_neurons // config.lanes))
        longest = max(config.spike_entries, config.max_steps + 1) if config.runs_over_time else 1
        self.payload_depth = 2 << bits_for(max(config.max_neurons, config.lanes, longest))
        self.address_bits = bits_for(SLOTS) + self.block_bits
        super().__init__({
            "i": In(stream.Signature(PacketWordLayout())),
            "running": In(1),
            "network": In(NetworkLayout(config)),
            "slots_busy": In(SLOTS),
            "o_payload": Out(stream.Signature(32)),
            "o_descriptor": Out(stream.Signature(DescriptorLayout())),
            "slot_claimed": Out(1),
            "slot": Out(range(SLOTS)),
            "sequence": Out(32),
            "idle": Out(1),
            "tape_en": Out(1),
            "tape_address": Out(self.address_bits),
            "tape_data": Out(spike_layout(config)),
            **rule_port(config), **steps_port(config), **coded_port(config),
        })

    def elaborate(self, platform):
        m = Module()
        # The checks get two cycles: of the word by itself, and in its place. Whether a word is taken ends at the buffer.
        m.submodules.raw = raw = StreamRegister(PacketWordLayout())
        m.submodules.word_checker = word_checker = WordChecker(self.config)
        m.submodules.words = words = StreamBuffer(CheckedWordLayout())
        m.submodules.checker = checker = PacketChecker(self.config)
        tape = None
        if {Rule.TTFS, Rule.RATE} & set(self.config.rules):
            m.submodules.tape = tape = InputTape(self.config)
        m.submodules.payload = payload = PacketFifo(32, depth=self.payload_depth)
        # Whether the core takes a descriptor depends on all its units; that ends here.
        m.submodules.descriptors = descriptors = StreamRegister(DescriptorLayout(), cut=True)
        wiring.connect(m, wiring.flipped(self.i), raw.i)
        wiring.connect(m, payload.o, wiring.flipped(self.o_payload))
        wiring.connect(m, descriptors.o, wiring.flipped(self.o_descriptor))

        m.d.comb += [
            word_checker.word.eq(raw.o.payload),
            word_checker.previous.eq(words.o.payload.data),  # a word is taken only when none waits behind it
            word_checker.network.eq(self.network),
            words.i.payload.eq(word_checker.checked),
            words.i.valid.eq(raw.o.valid),
            raw.o.ready.eq(words.i.ready),
            checker.word.eq(words.o.payload),
            checker.running.eq(self.running),
            checker.network.eq(self.network),
            payload.i.payload.eq(words.o.payload.data),
            descriptors.i.payload.eq(checker.packet),
        ]
        for check in (word_checker, checker):
            m.d.comb += [getattr(check, name).eq(getattr(self, name)) for name in ("rule", "steps", "coded") if hasattr(self, name)]
        if tape:
            m.d.comb += [tape.slot.eq(self.slot), tape.blocks.eq(self.network.blocks[0]), tape.i.payload.eq(words.o.payload.data),
                         self.tape_en.eq(tape.en), self.tape_address.eq(tape.address), self.tape_data.eq(tape.data)]
        self._control(m, words.o, checker, tape, payload.i, descriptors.i)
        with m.If(raw.o.valid):
            m.d.comb += self.idle.eq(0)
        m.d.sync += self.slot.eq(self.slot + self.slot_claimed)
        m.d.comb += [
            payload.commit.eq(descriptors.i.valid & descriptors.i.ready),
            payload.rewind.eq(payload.commit & (checker.packet.kind == Kind.ERROR)),
            self.slot_claimed.eq(payload.commit & (checker.packet.kind == Kind.SAMPLE)),
        ]
        return m

    def _control(self, m, words, checker, tape, payload, descriptors):
        """One packet after another: what is known of it stands in registers that are the checker's inputs."""
        packet, remaining = checker.packet, Signal(16)
        length_error = Signal(ErrorCode)
        taped = checker.sample & ~runs(self.config, self, Rule.SPARSE_BPTT)
        level = ~(self.coded & words.payload.data[SPIKE_BIT]) if hasattr(self, "coded") else 1  # not a spike behind the levels
        header = data.View(HeaderLayout(), words.payload.data)
        sample = checker.sample
        slot_busy = self.slots_busy.bit_select(self.slot, 1)
        was_running = Signal()
        starting = self.running & ~was_running
        m.d.sync += was_running.eq(self.running)
        with m.If(starting):
            m.d.sync += self.sequence.eq(0)

        def drop(error, state="DROP"):
            m.d.sync += [packet.kind.eq(Kind.ERROR), packet.status.eq(error)]
            m.next = state

        def body_done():
            m.next = "OFFER"
            if tape:
                with m.If(taped):
                    m.next = "FLUSH"

        with m.FSM() as fsm:
            with m.State("HEADER"):
                with m.If(words.valid & ~starting):
                    m.d.sync += [
                        self.sequence.eq(self.sequence + 1),
                        packet.kind.eq(header.kind),
                        sample.eq(header.kind == Kind.SAMPLE),
                        packet.status.eq(ErrorCode.NONE),
                        packet.train.eq(header.middle),
                        packet.space.eq(header.middle),
                        packet.layer.eq(header.field),
                        packet.label.eq(header.field),
                        packet.slot.eq(self.slot),
                        packet.sequence.eq(self.sequence),
                    ]
                    with m.If(checker.header_error == ErrorCode.NONE):
                        m.d.comb += words.ready.eq(1)
                        m.next = "LENGTH"
                    with m.Else():
                        drop(checker.header_error)

            with m.State("LENGTH"):
                if tape:
                    m.d.comb += tape.start.eq(1)
                m.d.sync += [
                    packet.column.eq(words.payload.data),
                    packet.count.eq(checker.count),
                    remaining.eq(checker.count),
                    checker.first.eq(1),
                    length_error.eq(checker.length_error),
                ]
                with m.If(~self.running):
                    drop(ErrorCode.STOPPED)
                with m.Elif(words.valid & ~(sample & slot_busy)):
                    m.next = "MEASURED"

            with m.State("MEASURED"):
                m.d.sync += checker.final.eq(remaining == 1)
                with m.If(length_error == ErrorCode.NONE):
                    m.d.comb += words.ready.eq(1)
                    m.next = "BODY"
                    with m.If(remaining == 0):
                        body_done()
                with m.Else():
                    drop(length_error)

            with m.State("BODY"):
                good = words.valid & checker.body_good
                # A spike may reach the tape in several cycles while the payload queue is full: it stays the same.
                m.d.comb += [payload.valid.eq(good & (tape.i.ready | ~(taped & level) if tape else 1)),
                             words.ready.eq(payload.valid & payload.ready)]
                if tape:
                    m.d.comb += tape.i.valid.eq(good & taped & level)
                with m.If(words.ready):
                    m.d.sync += [remaining.eq(remaining - 1), checker.first.eq(0), checker.final.eq(remaining == 2)]
                    with m.If(checker.final):
                        body_done()
                with m.If(~self.running | (words.valid & ~good)):
                    drop(checker.body_error)

            if tape:
                with m.State("FLUSH"):
                    m.d.comb += tape.finish.eq(1)
                    with m.If(~self.running):
                        drop(ErrorCode.STOPPED, "OFFER")
                    with m.Elif(tape.last):
                        m.next = "OFFER"

            with m.State("DROP"):
                m.d.comb += words.ready.eq(1)
                with m.If(words.valid & words.payload.last):
                    m.next = "OFFER"

            with m.State("OFFER"):
                m.d.comb += descriptors.valid.eq(1)
                with m.If(descriptors.ready):
                    m.next = "HEADER"

        m.d.comb += self.idle.eq(fsm.ongoing("HEADER") & ~words.valid & ~self.o_descriptor.valid)
