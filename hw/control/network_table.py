"""Network table: checks the network description and lays it out in the memories. Golden model: spec/network.py."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule, bits_for
from ..layouts import NetworkLayout, SettingsLayout, runs

__all__ = ["NetworkTable"]


class NetworkTable(wiring.Component):
    """Takes 5 L + 7 cycles from ``start`` to ``done`` (fewer for a network that does not fit).

    Members
    -------
    settings : In. Stable from ``start`` on.
    start : In(1).
    network : Out. The layout; stable until the next ``start``.
    busy : Out(1). Checking. ``done``, ``fits`` : Out(1). One cycle; whether the network fits this build.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({"settings": In(SettingsLayout(config)), "start": In(1), "network": Out(NetworkLayout(config)),
                          "done": Out(1), "fits": Out(1), "busy": Out(1)})

    def _bad_rule(self, layer):
        """Whether the build has no such rule, or a sample over time would have no step, or more than there is room for, or an error
        would not be shifted."""
        c = self._config
        known = Cat(runs(c, self.settings, rule) for rule in c.rules).any()
        if not c.runs_over_time:
            return ~known
        steps, bad_shift = self.settings.steps, 0
        for l in range(2, c.max_layers + 1 if Rule.SPARSE_BPTT in c.rules else 2):
            bad_shift |= (layer == l) & (self.settings.error_shift[l - 2] == 0)
        bad_steps = (steps == 0) | (steps > c.max_steps)
        return (~known | (~runs(c, self.settings, Rule.TTFS) & bad_steps)
                | (runs(c, self.settings, Rule.SPARSE_BPTT) & bad_shift))

    def elaborate(self, platform):
        m = Module()
        c, low, settings, network = self._config, bits_for(self._config.lanes), self.settings, self.network
        layer = Signal(range(c.max_layers + 2))
        size = Signal(16)
        blocks, blocks_before = Signal(17), Signal(17)
        tiles, words, first_words, neuron_blocks = (Signal(32, name=n) for n in ("tiles", "words", "first_words", "neuron_blocks"))
        new_tiles, new_words = Signal(32), Signal(32)
        factors = [Signal.like(factor, name=f"factor_{n}") for n, factor in enumerate((size, blocks, blocks))]
        above = Signal.like(layer)
        m.d.comb += above.eq(layer - 1)
        bad_layer = (size == 0) | (size > c.max_neurons)
        overfull = Signal()
        m.d.sync += overfull.eq((tiles > c.weight_tiles) | (words > c.gradient_words) | (words - first_words > c.feedback_words)
                                | (neuron_blocks > c.neuron_blocks))
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.sync += [layer.eq(0), tiles.eq(0), words.eq(0), first_words.eq(0), neuron_blocks.eq(0),
                                 network.layers.eq(settings.layers)]
                    m.next = "LOOK"
            with m.State("LOOK"):
                m.d.sync += size.eq(settings.size[layer])
                m.next = "ROUND"
            with m.State("ROUND"):
                m.d.sync += [blocks_before.eq(blocks), blocks.eq((size + (c.lanes - 1)) >> low)]
                m.next = "FACTORS"
            with m.State("FACTORS"):  # registers of their own, because a multiplier may be far away
                m.d.sync += [factor.eq(now) for factor, now in zip(factors, (size, blocks_before, blocks), strict=True)]
                m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += [network.size[layer].eq(size), network.outputs.eq(size),
                             network.blocks[layer].eq(blocks), new_tiles.eq(factors[1] * factors[2]),
                             new_words.eq(factors[0] * factors[1])]
                m.next = "PLACE"
                with m.If(bad_layer | (settings.layers == 0) | (settings.layers > c.max_layers) | overfull
                          | ((layer == settings.layers) & (size > c.max_outputs)) | self._bad_rule(layer)):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
            with m.State("PLACE"):
                m.d.sync += layer.eq(layer + 1)
                with m.If(layer != 0):
                    m.d.sync += [
                        network.tile_base[above].eq(tiles), network.column_base[above].eq(words),
                        network.block_base[above].eq(neuron_blocks),
                        tiles.eq(tiles + new_tiles), words.eq(words + new_words), neuron_blocks.eq(neuron_blocks + blocks),
                        first_words.eq(Mux(layer == 1, new_words, first_words)),
                    ]
                m.next = "LOOK"
                with m.If(layer == settings.layers):
                    m.next = "SUM"
            with m.State("SUM"):  # overfull is a cycle behind
                m.next = "VERDICT"
            with m.State("VERDICT"):
                m.d.comb += [self.done.eq(1), self.fits.eq(~overfull)]
                m.next = "IDLE"
        return m
