"""A SAMPLE's events written to the input tape. Golden model: tests/hw/io/packets.py."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ...spec.config import CoreConfig, bits_for
from ..forward.tape_writer import TapeWriter
from ..layouts import SLOTS, spike_layout

__all__ = ["InputEventLayout", "InputTape"]


class InputEventLayout(data.StructLayout):
    """An event word of a SAMPLE: ``time`` is in ticks before the window's end."""

    def __init__(self):
        super().__init__({"index": 16, "time": 16})


class InputTape(wiring.Component):
    """Spreads ascending events over the blocks of a tape slot and writes every block of the layer once.

    Latency: the write request of a block stands two cycles after the cycle that completes it. Throughput: each cycle
    takes one event or completes one block, so n events and b blocks need n + b cycles however they are spread.

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    start : In(1) pulse before the first event: begin with block 0 of ``slot``; ``slot``: In(slot number).
    i : In(stream of InputEventLayout) good events. Ready when the event lies in the current block; one of a later
        block is kept waiting while a block is completed. ``ready`` depends on the payload.
    finish : In(1) no more events: complete a block in this cycle.
    blocks : In(16) blocks of the layer.
    last : Out(1) the current block is the layer's last.
    en, address, data : Out(1), Out(slot, then block in the lower ``block_bits``), Out(spike_layout) write port.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        self.block_bits = bits_for(-(-config.max_neurons // config.lanes))
        address_bits = self.block_bits + bits_for(SLOTS)
        super().__init__({
            "start": In(1),
            "slot": In(range(SLOTS)),
            "i": In(stream.Signature(InputEventLayout())),
            "finish": In(1),
            "blocks": In(16),
            "last": Out(1),
            "en": Out(1),
            "address": Out(address_bits),
            "data": Out(spike_layout(config)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.writer = writer = TapeWriter(self.config, address_bits=len(self.address))

        block = Signal(self.block_bits)
        event = self.i.payload
        in_block = event.index[exact_log2(self.config.lanes):][:self.block_bits] == block  # a good event lies in the layer
        block_last = Signal()
        # Whether an event lies in the block, and which lane it goes to, are too much for one cycle.
        m.d.sync += [
            writer.start.eq(self.start),
            writer.base.eq(self.slot << self.block_bits),
            writer.fired.eq(self.i.valid & in_block),
            writer.lane.eq(event.index),
            writer.time.eq(event.time),
            writer.block_last.eq(block_last),
        ]
        m.d.comb += [
            self.i.ready.eq(in_block),
            block_last.eq(self.finish | (self.i.valid & ~in_block)),
            self.last.eq(block + 1 == self.blocks),
            self.en.eq(writer.en),
            self.address.eq(writer.address),
            self.data.eq(writer.data),
        ]
        with m.If(self.start):
            m.d.sync += block.eq(0)
        with m.Elif(block_last):
            m.d.sync += block.eq(block + 1)
        return m
