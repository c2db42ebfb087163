"""Looks of the error sweep: the error c of an active neuron from its error sum. Golden model: model/exact/sparse_bptt.py."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.lif import DECAY, DROPPED_BITS, STRENGTH_BITS, SURROGATE, LifFormats
from ..arithmetic.delay import delay, delays
from ..arithmetic.rounding import overflows, round_shift, saturate
from ..arithmetic.spread import spread
from ..arithmetic.wide_product import wide_product
from ..layouts import RateBoundsLayout, RateLossLayout, StepJobLayout, shape_of
from .error_lanes import error_sum_shape

__all__ = ["ErrorLook", "LookLayout"]


class LookLayout(data.StructLayout):
    """An active neuron (its list's ``entry``, and where that stands in it), the ``steps`` n that its sum decays, and whether no job
    came before (``fresh``: its sum is zero)."""

    def __init__(self, config: CoreConfig):
        super().__init__({"entry": StepJobLayout(config), "place": bits_for(config.job_entries),
                          "steps": bits_for(config.max_steps + 1), "fresh": 1})


class ErrorLook(wiring.Component):
    """c = sat((decay(operand, n) g + half) >> p, error) in place of g. In a build with losses of firing rates what the neuron's
    count of spikes costs is added to the decayed operand, and the sum saturates. Latency LATENCY from a look to its replaced entry,
    a look a cycle, no stalls.

    Members
    -------
    sum_base, shift : In. First block of the looked at layer in the sums; p, 1 to 64 (as 0). Stable from the cycle before the first
        look until its entry is replaced.
    en, look : In(1), In(LookLayout).
    power_addr : Out; power : In. B[n], read in every cycle (latency 1).
    sum_en, sum_addr (of each lane), sum_data : read port of the sums (latency 1), asked READ cycles after the look.
    counts, bounds, strength : In, with losses of rates only. The spikes of the looked at block's neurons, in the cycle of
        ``sum_data``; registers RATE_BOUNDS and RATE_LOSS of the layer, stable as ``shift``.
    replace_en, replace_index, replace_entry : Out. Step and index stay.
    saturated : Out(2). How many operands and errors saturated.
    """

    READ = 1
    LATENCY = 11

    def __init__(self, config: CoreConfig):
        self._config = config
        block, entry = bits_for(config.neuron_blocks), StepJobLayout(config)
        super().__init__({
            "sum_base": In(block), "shift": In(6), "en": In(1), "look": In(LookLayout(config)),
            "power_addr": Out(bits_for(config.max_steps + 1)), "power": In(DECAY.bits),
            "sum_en": Out(1), "sum_addr": Out(block).array(config.lanes),
            "sum_data": In(error_sum_shape(config)).array(config.lanes),
            "replace_en": Out(1), "replace_index": Out(bits_for(config.job_entries)), "replace_entry": Out(entry),
            "saturated": Out(2),
            **({"counts": In(bits_for(config.max_steps + 1)).array(config.lanes), "bounds": In(RateBoundsLayout()),
                "strength": In(RateLossLayout())} if config.rate_loss else {}),
        })

    def elaborate(self, platform):
        m = Module()
        c, low, operands = self._config, bits_for(self._config.lanes), LifFormats(self._config).operand
        valid, looks = delays(m, self.en, self.LATENCY, "valid"), delays(m, self.look, self.LATENCY, "look")
        # Stage 1: each lane's sum of the neuron's block is asked for. Stage 2: they are here, one is chosen.
        block, summed = Signal.like(self.sum_base), Signal(error_sum_shape(c))
        m.d.comb += [block.eq(self.look.entry.index >> low), self.sum_en.eq(valid[1])]
        m.d.comb += [address.eq(self.sum_base + here)
                     for address, here in zip(self.sum_addr, spread(m, block, c.lanes, "block"), strict=True)]
        with m.If(valid[2]), m.Switch(looks[2].entry.index[:low]):
            for k in range(c.lanes):
                with m.Case(k):
                    m.d.sync += summed.eq(self.sum_data[k])

        # Stage 3: operand. Stages 4 and 5: product with B[n]; 2^16 needs no case of its own, that product rounds to the operand.
        rounded, operand, lost = round_shift(summed, DROPPED_BITS), Signal(shape_of(operands)), Signal()
        m.d.comb += self.power_addr.eq(looks[2].steps)
        m.d.sync += lost.eq(valid[3] & ~looks[3].fresh & overflows(rounded, operands))
        with m.If(valid[3]):
            m.d.sync += operand.eq(Mux(looks[3].fresh, 0, saturate(rounded, operands)))
        power = delay(m, self.power, 1, "powers")
        product = wide_product(m, operand, power, valid[4:6], "product")

        # Stage 6: decayed. Stages 7 and 8: product with g. Stage 9: >> (p - 1). Stage 10: rounding and the last place, which is the
        # same as + half and >> p, without a limit to p.
        decayed, places, limited, clipped = Signal(shape_of(operands)), Signal.like(self.shift), Signal(shape_of(c.error)), Signal()
        total, over = round_shift(product, DECAY.fraction), Signal()
        if c.rate_loss:
            costly = (product + self._rate_error(m, looks)) >> DECAY.fraction
            total = saturate(costly, operands)
            m.d.sync += over.eq(valid[6] & overflows(costly, operands))
        with m.If(valid[6]):
            m.d.sync += decayed.eq(total)
        change = wide_product(m, decayed, looks[7].entry.value[:SURROGATE.bits].as_unsigned(), valid[7:9], "change")
        shifted = Signal.like(change)
        m.d.sync += places.eq(self.shift - 1)
        with m.If(valid[9]):
            m.d.sync += shifted.eq(change >> places)
        error = round_shift(shifted, 1)
        m.d.sync += clipped.eq(valid[10] & overflows(error, c.error))
        with m.If(valid[10]):
            m.d.sync += limited.eq(saturate(error, c.error))

        done = looks[self.LATENCY]
        m.d.comb += [
            self.replace_en.eq(valid[self.LATENCY]), self.replace_index.eq(done.place), self.replace_entry.step.eq(done.entry.step),
            self.replace_entry.index.eq(done.entry.index), self.replace_entry.value.eq(limited),
            self.saturated.eq(lost + over + clipped),
        ]
        return m

    def _rate_error(self, m, looks):
        """What is added to the product in stage 6: the neuron's loss in the product's format, half of the operand's last bit."""
        low, count, excess = bits_for(self._config.lanes), Signal.like(self.counts[0]), Signal(signed(17))
        strength, cost = Signal(STRENGTH_BITS), Signal(signed(17 + STRENGTH_BITS))
        addend = Signal(signed(cost.shape().width + DECAY.fraction + 1))
        with m.Switch(looks[2].entry.index[:low]):
            for k in range(self._config.lanes):
                with m.Case(k):
                    m.d.sync += count.eq(self.counts[k])
        m.d.sync += [excess.eq(0), strength.eq(self.strength.lower), cost.eq(excess * strength),
                     addend.eq((cost << DECAY.fraction) + (1 << (DECAY.fraction - 1)))]
        with m.If(count > self.bounds.most):
            m.d.sync += [excess.eq(count - self.bounds.most), strength.eq(self.strength.upper)]
        with m.Elif(count < self.bounds.least):
            m.d.sync += excess.eq(count - self.bounds.least)
        return addend
