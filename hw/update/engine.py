"""Update engine: the walk over all columns that moved, or the backward engine's words as they come.
Golden models: model/exact/update.py, model/timing.py."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Optimizer, bits_for
from ..arithmetic.delay import delay
from ..backward.lanes import GradientWordLayout, contribution_shape
from ..control.column_walker import ColumnWalker
from ..layouts import NetworkLayout, SettingsLayout, shape_of
from .touched import TouchedColumns
from .unit import UpdateUnit

__all__ = ["UpdateEngine"]


class UpdateEngine(wiring.Component):
    """With a gradient memory: ``start`` updates every column that gradients reached since the last update (every column
    where momentum or decay moves the others too). Without: each word of contributions updates at once.

    Parameters
    ----------
    gradient_latency : of the gradient memory's reads; at most UpdateUnit.OPERAND_LATENCY.

    Members
    -------
    network, settings : In. Stable while busy.
    forget : In(1). Forget which columns moved; busy meanwhile.
    start : In(1). Update (gradient memory only).
    mark_en, mark : In. Gradients reach the column of this postsynaptic neuron (block_base P + j); gradient memory only.
    add_en, add_word, contribution : In. The backward engine's words, contributions UpdateUnit.OPERAND_LATENCY cycles later; without
        gradient memory only.
    gradient_en, gradient_word, gradient_data : read port of the gradient memory (latency ``gradient_latency``).
    kept_en, kept_word, kept : Out. Write port of the gradient memory.
    w_*, write_* : read and write ports of the weight memory, columns, as in UpdateUnit.
    random_load, random_in, random_state : generators' states, as in UpdateUnit.
    saturated : Out. Saturated weights.
    busy : Out(1). ``forgetting`` : Out(1), busy because of ``forget``.
    """

    def __init__(self, config: CoreConfig, gradient_latency: int):
        self._config, self._gradient_latency = config, gradient_latency
        word, weight, gradient = GradientWordLayout(config), shape_of(config.weight), shape_of(config.gradient)
        tile, index, lanes = bits_for(config.weight_tiles), bits_for(config.lanes), config.lanes
        passed = {
            "w_en": Out(1), "w_tile": Out(tile), "w_index": Out(index),
            "write_en": Out(1), "write_tile": Out(tile), "write_index": Out(index), "kept_en": Out(1),
            "kept_word": Out(word), "saturated": Out(bits_for(config.lanes + 1)),
        }
        passed_lanes = {"write_data": Out(weight).array(lanes), "kept": Out(gradient).array(lanes),
                        "random_state": Out(32).array(lanes)}
        self._passed, self._passed_lanes = tuple(passed), tuple(passed_lanes)
        super().__init__({
            "network": In(NetworkLayout(config)), "settings": In(SettingsLayout(config)),
            "forget": In(1), "start": In(1), "mark_en": In(1), "mark": In(word["neuron"].shape),
            "add_en": In(1), "add_word": In(word),
            "contribution": In(contribution_shape(config)).array(lanes),
            "gradient_en": Out(1), "gradient_word": Out(word), "gradient_data": In(gradient).array(lanes),
            "w_data": In(weight).array(lanes), "random_load": In(1), "random_in": In(32).array(lanes),
            "busy": Out(1), "forgetting": Out(1),
            **passed, **passed_lanes,
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.unit = unit = UpdateUnit(c)
        m.d.comb += [getattr(self, name).eq(getattr(unit, name)) for name in self._passed]
        m.d.comb += [unit.settings.eq(self.settings), unit.random_load.eq(self.random_load)]
        for k in range(c.lanes):
            m.d.comb += [getattr(self, name)[k].eq(getattr(unit, name)[k]) for name in self._passed_lanes]
            m.d.comb += [
                unit.w_data[k].eq(self.w_data[k]), unit.random_in[k].eq(self.random_in[k]),
                unit.gradient[k].eq(self.gradient_data[k] if c.gradient_memory else self.contribution[k]),
            ]
        if not c.gradient_memory:
            m.d.comb += [unit.word_en.eq(self.add_en), unit.word.eq(self.add_word),
                         self.busy.eq(unit.busy | self.add_en)]
            return m

        m.submodules.walker = walker = ColumnWalker(c)
        m.submodules.touched = touched = TouchedColumns(c)
        sparse, behind = Signal(), UpdateUnit.OPERAND_LATENCY - self._gradient_latency
        m.d.comb += [
            walker.network.eq(self.network), walker.start.eq(self.start), walker.first_layer.eq(0),
            touched.clear.eq(self.forget), touched.mark_en.eq(self.mark_en), touched.mark.eq(self.mark),
            touched.drop_en.eq(walker.valid), touched.drop.eq(walker.word.neuron),
            touched.peek_en.eq(walker.peek_en), touched.peek.eq(walker.peek),
            sparse.eq(c.optimizer is Optimizer.SGD and (self.settings.decay[walker.skip_layer] == 0 if c.weight_decay else 1)),
            walker.skip.eq(sparse & ~touched.marked),
            unit.word_en.eq(walker.valid), unit.word.eq(walker.word),
            self.gradient_en.eq(delay(m, walker.valid, behind, "gradient_en")),
            self.gradient_word.eq(delay(m, walker.word, behind, "gradient_word")),
            self.busy.eq(walker.busy | unit.busy | touched.busy), self.forgetting.eq(touched.busy),
        ]
        return m
