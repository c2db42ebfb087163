"""Walks the weight columns of the started network, a word (P presynaptic neurons of one column) a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..backward.lanes import GradientWordLayout
from ..layouts import NetworkLayout

__all__ = ["ColumnLayout", "ColumnWalker"]


class ColumnLayout(data.StructLayout):
    """A column: its layer as l - 1, postsynaptic neuron (block_base P + j), first tile, first gradient word, and how many
    columns of the layer are left, itself included."""

    def __init__(self, config: CoreConfig):
        word = GradientWordLayout(config)
        super().__init__({"valid": 1, "layer": word["layer"].shape, "neuron": word["neuron"].shape, "tile": word["tile"].shape,
                          "address": word["address"].shape, "left": 16})



class ColumnWalker(wiring.Component):
    """Visits layer by layer, column by column, block by block. First word START_LATENCY cycles after ``start``, one a cycle;
    a skipped column costs one cycle.

    The columns come through three registers (ahead, next, present), so that neither where a column lies nor whether it is
    skipped is worked out in the cycle that needs it.

    Members
    -------
    network : In. Stable while busy.
    start, first_layer : In. Begin at layer ``first_layer`` (l - 1); beyond the last layer there is nothing to walk.
    single : In(1). End with the layer that it began with. Stable while busy.
    peek_en, peek : Out. Postsynaptic neuron (block_base P + j) whose ``skip`` is asked for.
    skip : In(1). The answer from the cycle after ``peek_en`` to that of the next one: skip this column;
        ``skip_layer`` : Out, its layer as l - 1.
    valid, word : Out. The present word.
    lanes : Out. How many lanes of it hold weights (the last block of a column may be partial).
    busy : Out(1).
    """

    START_LATENCY = 3

    def __init__(self, config: CoreConfig):
        self._config = config
        word = GradientWordLayout(config)
        super().__init__({
            "network": In(NetworkLayout(config)), "start": In(1), "first_layer": In(bits_for(config.max_layers)),
            "single": In(1), "peek_en": Out(1), "peek": Out(word["neuron"].shape), "skip": In(1),
            "skip_layer": Out(word["layer"].shape), "valid": Out(1), "word": Out(word),
            "lanes": Out(bits_for(config.lanes + 1)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, network = self._config, self.network
        layout = ColumnLayout(c)
        ahead, following, present = (Signal(layout, name=name) for name in ("ahead", "following", "present"))
        skipped, block, advance = Signal(), Signal.like(network.blocks[0]), Signal()
        last = Signal()  # of the present column's words
        m.d.comb += [
            advance.eq(~present.valid | skipped | last), self.peek_en.eq(advance), self.peek.eq(ahead.neuron),
            self.skip_layer.eq(following.layer),
            self.valid.eq(present.valid & ~skipped), self.word.address.eq(present.address), self.word.tile.eq(present.tile),
            self.word.column.eq(present.neuron), self.word.layer.eq(present.layer), self.word.neuron.eq(present.neuron),
            self.lanes.eq(Mux(last, ((network.size[present.layer] - 1) & (c.lanes - 1)) + 1, c.lanes)),
            self.busy.eq(ahead.valid | following.valid | present.valid),
        ]
        with m.If(advance):
            m.d.sync += [present.eq(following), skipped.eq(self.skip), block.eq(0), following.eq(ahead),
                         last.eq(network.blocks[following.layer] == 1)]
            with m.If(ahead.valid):  # what is idle stands still
                self._step(m, ahead)
        with m.Else():
            m.d.sync += [block.eq(block + 1), last.eq(block + 2 == network.blocks[present.layer]),
                         present.address.eq(present.address + 1), present.tile.eq(present.tile + network.blocks[present.layer + 1])]
        with m.If(self.start):
            self._enter(m, ahead, self.first_layer)
            m.d.sync += ahead.address.eq(network.column_base[self.first_layer])
        return m

    def _enter(self, m, column, layer):
        """``column`` becomes the first column of ``layer`` (l - 1), if there is such a layer."""
        network, low = self.network, bits_for(self._config.lanes)
        m.d.sync += [
            column.layer.eq(layer), column.left.eq(network.size[layer + 1]), column.tile.eq(network.tile_base[layer]),
            column.neuron.eq(network.block_base[layer] << low), column.valid.eq(layer < network.layers),
        ]

    def _step(self, m, column):
        """``column`` becomes the column after it; columns follow each other in the gradient memory."""
        m.d.sync += [
            column.address.eq(column.address + self.network.blocks[column.layer]), column.neuron.eq(column.neuron + 1),
            column.left.eq(column.left - 1),
            column.tile.eq(column.tile + column.neuron[:bits_for(self._config.lanes)].all()),
        ]
        with m.If(column.left == 1):
            self._enter(m, column, column.layer + 1)
            with m.If(self.single):
                m.d.sync += column.valid.eq(0)
