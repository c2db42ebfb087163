"""Weight update: W' = sat(W - stochastic_round(step / 2**(16 + s))). Golden model: model/exact/update.py."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.random import ROUNDING_BITS
from ..arithmetic.delay import delays
from ..arithmetic.random_lanes import RandomLanes
from ..arithmetic.rounding import overflows, saturate
from ..arithmetic.spread import spread
from ..backward.lanes import GradientWordLayout
from ..layouts import SettingsLayout, shape_of
from ..memory.transposable import TransposableMemory
from .optimizers import SignMomentumRule, optimizer_rule, step_shape

__all__ = ["UpdateUnit"]


class UpdateUnit(wiring.Component):
    """Updates a word (column block) a cycle; a weight is written WRITE_LATENCY cycles after its word, takes effect 3 cycles later.

    Members
    -------
    settings : In. Learning rates and decays.
    word_en, word : In. Word to update; ``gradient`` : In, its gradients OPERAND_LATENCY cycles later.
    w_en, w_tile, w_index, w_data : column read port of the weight memory (latency OPERAND_LATENCY).
    write_en, write_tile, write_index, write_data : column write port of the weight memory.
    kept_en, kept_word, kept : Out. What the gradient memory is to hold after the update, KEPT_LATENCY cycles after the word.
    random_load, random_in, random_state : load, a cycle ahead of the states, and see the generators' states.
    saturated : Out. How many weights of an earlier word saturated.
    busy : Out(1). Words in the pipeline.
    """

    OPERAND_LATENCY = TransposableMemory.READ_LATENCY
    KEPT_LATENCY = OPERAND_LATENCY + SignMomentumRule.LATENCY
    WRITE_LATENCY = KEPT_LATENCY + 2

    def __init__(self, config: CoreConfig):
        self._config = config
        word, weight, gradient = GradientWordLayout(config), shape_of(config.weight), shape_of(config.gradient)
        tile, index, lanes = bits_for(config.weight_tiles), bits_for(config.lanes), config.lanes
        super().__init__({
            "settings": In(SettingsLayout(config)), "word_en": In(1), "word": In(word), "gradient": In(gradient).array(lanes),
            "w_en": Out(1), "w_tile": Out(tile), "w_index": Out(index), "w_data": In(weight).array(lanes),
            "write_en": Out(1), "write_tile": Out(tile), "write_index": Out(index),
            "write_data": Out(weight).array(lanes),
            "kept_en": Out(1), "kept_word": Out(word), "kept": Out(gradient).array(lanes),
            "random_load": In(1), "random_in": In(32).array(lanes), "random_state": Out(32).array(lanes),
            "saturated": Out(bits_for(config.lanes + 1)), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        m.submodules.rule = rule = optimizer_rule(c)
        m.submodules.random = random = RandomLanes(c.lanes)
        valid, word = (delays(m, now, self.WRITE_LATENCY, name) for now, name in ((self.word_en, "valid"), (self.word, "word")))
        here, kept = self.OPERAND_LATENCY, self.KEPT_LATENCY

        # Operands are here, then steps and what the gradient memory keeps.
        rate = self.settings.rate
        m.d.comb += [
            self.w_en.eq(self.word_en), self.w_tile.eq(self.word.tile), self.w_index.eq(self.word.column),
            rule.enable.eq(valid[here]),
            self.kept_en.eq(valid[kept]), self.kept_word.eq(word[kept]),
        ]

        # The settings of a word's layer, looked up a cycle ahead of their use.
        layer = word[here - 1].layer
        m.d.sync += [rule.mantissa.eq(rate[layer].mantissa), rule.shift.eq(rate[layer].shift)]
        if c.weight_decay:
            m.d.sync += rule.decay.eq(self.settings.decay[layer])

        # Rounded and subtracted; the generators step. Saturated.
        over = Signal(c.lanes)
        steps, loads = spread(m, valid[kept - 2], c.lanes, "step", 2), spread(m, self.random_load, c.lanes, "load")
        for k in range(c.lanes):
            weights = [self.w_data[k]]
            for stage in range(here, kept):
                weights.append(Signal.like(self.w_data[k], name=f"weight_{k}_{stage + 1}"))
                with m.If(valid[stage]):
                    m.d.sync += weights[-1].eq(weights[-2])
            moved = Signal(signed(step_shape(c).width + 1), name=f"moved_{k}")
            m.d.comb += [
                rule.weight[k].eq(self.w_data[k]), rule.gradient[k].eq(self.gradient[k]), self.kept[k].eq(rule.kept[k]),
                random.step[k].eq(steps[k]), random.load[k].eq(loads[k]), random.state_in[k].eq(self.random_in[k]),
                self.random_state[k].eq(random.state[k]),
            ]
            with m.If(valid[kept]):
                m.d.sync += moved.eq(weights[-1] - ((rule.step[k] + random.value[k]) >> ROUNDING_BITS))
            with m.If(valid[kept + 1]):
                m.d.sync += [self.write_data[k].eq(saturate(moved, c.weight)), over[k].eq(overflows(moved, c.weight))]
        m.d.comb += [
            self.write_en.eq(valid[-1]), self.write_tile.eq(word[-1].tile), self.write_index.eq(word[-1].column),
        ]
        m.d.sync += [self.saturated.eq(Mux(valid[-1], sum(over[k] for k in range(c.lanes)), 0)),
                     self.busy.eq(Cat(valid).any())]
        return m
