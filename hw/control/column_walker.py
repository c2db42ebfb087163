"""Walks the weight columns of the started network, a word (P presynaptic neurons of one column) a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..backward.lanes import GradientWordLayout
from ..layouts import NetworkLayout

__all__ = ["ColumnWalker"]


class ColumnWalker(wiring.Component):
    """Visits layer by layer, column by column, block by block. First word 2 cycles after ``start``, one a cycle; a
    skipped column costs one cycle.

    Members
    -------
    network : In. Stable while busy.
    start, first_layer : In. Begin at layer ``first_layer`` (l - 1); beyond the last layer there is nothing to walk.
    peek : Out. Postsynaptic neuron (block_base P + j) whose ``skip`` is needed in the next cycle.
    skip : In(1). Skip the present column (answer to the ``peek`` one cycle before); looked at in its first block only.
    valid, word : Out. The present word.
    lanes : Out. How many lanes of it hold weights (the last block of a column may be partial).
    busy : Out(1).
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        word = GradientWordLayout(config)
        super().__init__({
            "network": In(NetworkLayout(config)), "start": In(1), "first_layer": In(bits_for(config.max_layers)),
            "peek": Out(word["neuron"].shape), "skip": In(1), "valid": Out(1), "word": Out(word),
            "lanes": Out(bits_for(config.lanes + 1)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c, network, low = self._config, self.network, bits_for(self._config.lanes)
        layer, column, block = Signal(bits_for(c.max_layers + 1)), Signal(16), Signal.like(network.blocks[0])
        address, tile = Signal.like(self.word.address), Signal.like(self.word.tile)
        in_blocks, out_blocks = network.blocks[layer], network.blocks[layer + 1]
        walking, skip, column_done, layer_done = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            skip.eq(self.skip & (block == 0)), self.valid.eq(walking & ~skip),
            column_done.eq(skip | (block + 1 == in_blocks)),
            layer_done.eq(column_done & (column + 1 == network.size[layer + 1])),
            self.word.address.eq(address), self.word.tile.eq(tile), self.word.column.eq(column[:low]),
            self.word.layer.eq(layer), self.word.neuron.eq((network.block_base[layer] << low) + column),
            self.lanes.eq(Mux(block + 1 == in_blocks, ((network.size[layer] - 1) & (c.lanes - 1)) + 1, c.lanes)),
        ]
        next_layer, next_column = Signal.like(layer), Signal.like(column)
        m.d.comb += [
            next_layer.eq(layer + (walking & layer_done)),
            next_column.eq(Mux(walking & column_done, Mux(layer_done, 0, column + 1), column)),
            self.peek.eq((network.block_base[next_layer] << low) + next_column),
        ]
        # ``prime`` gives the first column's skip its cycle.
        prime = Signal()
        m.d.sync += prime.eq(self.start)
        with m.If(self.start):
            m.d.sync += [layer.eq(self.first_layer), column.eq(0), block.eq(0),
                         address.eq(network.column_base[self.first_layer]), tile.eq(network.tile_base[self.first_layer])]
        with m.If(prime):
            m.d.sync += walking.eq(layer < network.layers)
        with m.If(walking):
            m.d.sync += [
                layer.eq(next_layer), column.eq(next_column), block.eq(Mux(column_done, 0, block + 1)),
                address.eq(address + Mux(skip, in_blocks, 1)), tile.eq(tile + out_blocks),
            ]
            with m.If(column_done):
                m.d.sync += tile.eq(network.tile_base[next_layer] + (next_column >> low))
            with m.If(layer_done & (next_layer == network.layers)):
                m.d.sync += walking.eq(0)
        m.d.comb += self.busy.eq(walking | prime)
        return m
