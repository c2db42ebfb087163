"""Backward engine: a sample's errors through all layers, active neurons only. Golden models: model/exact/backward.py,
model/timing.py."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..lane_parts import Parts
from ..layouts import SLOT_BITS, ActiveLayout, NetworkLayout, block_count_bits, feedback_offset, shape_of, spike_layout
from .feed import ErrorFeed
from .lanes import BackwardLanes, GradientWordLayout, contribution_shape

__all__ = ["BackwardEngine"]


class BackwardEngine(wiring.Component):
    """Walks the active lists from the output layer down; stops early where a list is empty. Cycles: model/timing.py.

    Parameters
    ----------
    lent : what other rules' engines lend its lanes.

    Members
    -------
    network : In. Stable while busy.
    layer : Out. The layer in work as l - 1, from two cycles before its first feedback weights are read.
    start, slot : In. Begin a sample; not while ``busy``.
    list_slot, list_layer, list_base, list_count, list_en, list_index, list_entry : read side of the active lists.
    output_en, output_addr, output_data : read port of the output errors (latency 1).
    tape_en, tape_first, tape_block, tape_data : read the tape of the present slot: inputs if ``tape_first``, else the
        hidden layers' block (latency 1).
    feedback_en, feedback_addr, feedback_data : read port of the feedback memory (latency 1).
    word_en, word, contribution : Out. Gradient contributions (BackwardLanes.CONTRIBUTION_LATENCY cycles after their word).
    mark_en, mark : Out. Gradients reach the column of this neuron (block_base P + j).
    sum_en, sum_addr, sum_data : read port of the error accumulators for the host, while not busy.
    busy, done : Out(1).
    active : Out(max_layers). Bit l - 1: a neuron of layer l is being visited.
    saturated : Out(2). How many of its e, g, h saturated.
    """

    def __init__(self, config: CoreConfig, lent: Parts | None = None):
        self._config, self._lent = config, lent
        layer, count, block = bits_for(config.max_layers), bits_for(config.max_neurons + 1), bits_for(config.neuron_blocks)
        super().__init__({
            "network": In(NetworkLayout(config)), "layer": Out(layer), "start": In(1), "slot": In(SLOT_BITS),
            "list_slot": Out(SLOT_BITS), "list_layer": Out(layer), "list_base": Out(block),
            "list_count": In(count), "list_en": Out(1), "list_index": Out(count),
            "list_entry": In(ActiveLayout(config)),
            "output_en": Out(1), "output_addr": Out(bits_for(config.max_outputs) + SLOT_BITS),
            "output_data": In(shape_of(config.error)),
            "tape_en": Out(1), "tape_first": Out(1), "tape_block": Out(max(block, block_count_bits(config))),
            "tape_data": In(spike_layout(config)),
            "feedback_en": Out(1), "feedback_addr": Out(bits_for(config.feedback_words)),
            "feedback_data": In(shape_of(config.weight)).array(config.lanes),
            "word_en": Out(1), "word": Out(GradientWordLayout(config)),
            "mark_en": Out(1), "mark": Out(GradientWordLayout(config)["neuron"].shape),
            "contribution": Out(contribution_shape(config)).array(config.lanes),
            "sum_en": In(1), "sum_addr": In(block),
            "sum_data": Out(shape_of(config.error_sum)).array(config.lanes),
            "busy": Out(1), "done": Out(1), "active": Out(config.max_layers), "saturated": Out(2),
        })

    def elaborate(self, platform):
        m = Module()
        c, network = self._config, self.network
        m.submodules.feed = feed = ErrorFeed(c)
        m.submodules.lanes = lanes = BackwardLanes(c, self._lent)
        wiring.connect(m, feed.o_jobs, lanes.i_jobs)

        # The layer in work as l - 1, and how many of its jobs the lanes have not taken yet.
        layer, slot, left = self.layer, Signal.like(self.slot), Signal.like(self.list_count)
        # Length of the next layer's list, looked up before its turn.
        count = Signal.like(self.list_count)
        m.d.sync += count.eq(self.list_count)
        start_layer = Signal()
        below, is_first, taken = Signal.like(layer), Signal(), lanes.i_jobs.valid & lanes.i_jobs.ready
        m.d.comb += [is_first.eq(layer == 0), below.eq(Mux(is_first, 0, layer - 1))]
        m.d.comb += [
            self.list_slot.eq(slot), self.list_layer.eq(below), self.list_base.eq(network.block_base[layer]),
            self.list_en.eq(feed.list_en), self.list_index.eq(feed.list_index), feed.list_entry.eq(self.list_entry),
            feed.start.eq(start_layer), feed.count.eq(count), feed.slot.eq(slot),
            feed.output.eq(layer + 1 == network.layers), feed.base.eq(network.block_base[layer]),
            feed.column_base.eq(network.column_base[layer]), feed.in_blocks.eq(network.blocks[layer]),
            self.output_en.eq(feed.output_en), self.output_addr.eq(feed.output_addr), feed.output_data.eq(self.output_data),
            lanes.sum_en.eq(feed.sum_en | self.sum_en),
            lanes.layer.eq(layer), lanes.first_layer.eq(is_first), lanes.in_blocks.eq(network.blocks[layer]),
            lanes.out_blocks.eq(network.blocks[layer + 1]), lanes.tile_base.eq(network.tile_base[layer]),
            lanes.block_base.eq(network.block_base[layer]), lanes.sum_base.eq(network.block_base[below]),
            lanes.feedback_offset.eq(feedback_offset(c, network)), lanes.restart.eq(start_layer),
            self.tape_en.eq(lanes.spikes_en), self.tape_first.eq(is_first),
            self.tape_block.eq(lanes.block + Mux(is_first, 0, network.block_base[below])), lanes.spikes.eq(self.tape_data),
            self.feedback_en.eq(lanes.feedback_en), self.feedback_addr.eq(lanes.feedback_addr),
            self.word_en.eq(lanes.word_en), self.word.eq(lanes.word),
            self.mark_en.eq(lanes.word_en), self.mark.eq(lanes.word.neuron),
            self.saturated.eq(Mux(taken, lanes.i_jobs.payload.saturated, 0)), self.active.eq(taken << layer),
        ]

        for k in range(c.lanes):
            m.d.comb += [feed.sum_data[k].eq(lanes.sum_data[k]), self.sum_data[k].eq(lanes.sum_data[k]),
                         lanes.sum_addr[k].eq(Mux(self.busy, feed.sum_addr[k], self.sum_addr)),
                         lanes.feedback_data[k].eq(self.feedback_data[k]), self.contribution[k].eq(lanes.contribution[k])]

        m.d.comb += self.busy.eq(1)
        with m.If(taken):
            m.d.sync += left.eq(left - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.busy.eq(0), self.list_slot.eq(self.slot), self.list_layer.eq(network.layers - 1)]
                with m.If(self.start):
                    m.d.sync += [slot.eq(self.slot), layer.eq(network.layers - 1)]
                    m.next = "LAYER"
            with m.State("LAYER"):
                m.d.comb += start_layer.eq(count != 0)
                m.d.sync += left.eq(count)
                m.next = "WALK"
                with m.If(count == 0):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("WALK"):
                with m.If((left == 0) & lanes.idle):
                    m.d.sync += layer.eq(layer - 1)
                    m.next = "LAYER"
                    with m.If(is_first):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
        return m
