"""Chooses single weights for transport: the K most changed, at random, or the more likely the more changed.
Golden model: model/exact/transport.py. Source: Frozen Backpropagation, section 4 (partial transport)."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.transport import (
    BIN_MANTISSA,
    BINS,
    CHANGE_BITS,
    NEGLOG_FRACTION,
    NEGLOG_TABLE,
    PROBABILITY_BITS,
    TEMPERATURE_BITS,
    TEMPERATURE_FRACTION,
    Values,
)
from ..arithmetic.delay import delay, delays
from ..arithmetic.priority import bit_length
from ..arithmetic.random_lanes import RandomLanes
from ..arithmetic.spread import spread

__all__ = ["WeightChoice"]

_NEGLOG_BITS = 5 + 1 + NEGLOG_FRACTION


class WeightChoice(wiring.Component):
    """A word of P weights a cycle; ``chosen`` stands LATENCY cycles after its changes.

    Members
    -------
    mode, select : In. How, and the number that belongs to it (spec/transport.py). Stable from ``start`` to the last word.
    limit, remaining : In. The histogram's result. start : In(1). Load ``remaining`` for the words that follow.
    en, counting : In(1). A word; it is for the histogram, and nothing is chosen. present : In(P). Lanes that hold weights.
    change : In(array of P). |W - B|.
    bin_en, bin_present, bin : Out. For the histogram, a cycle later.
    chosen : Out(P).
    random_load, random_in, random_state : load, a cycle ahead of the states, and see the generators' states.
    """

    LATENCY = 4

    def __init__(self, config: CoreConfig):
        self._config = config
        lanes = config.lanes
        super().__init__({
            "mode": In(Values), "select": In(32), "limit": In(bits_for(BINS)), "remaining": In(32), "start": In(1),
            "en": In(1), "counting": In(1), "present": In(lanes), "change": In(CHANGE_BITS).array(lanes),
            "bin_en": Out(1), "bin_present": Out(lanes), "bin": Out(bits_for(BINS)).array(lanes), "chosen": Out(lanes),
            "random_load": In(1), "random_in": In(32).array(lanes), "random_state": Out(32).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        lanes = self._config.lanes
        m.submodules.random = random = RandomLanes(lanes)
        choosing = delays(m, self.en & ~self.counting, self.LATENCY - 1, "choosing")
        present = delays(m, self.present, self.LATENCY - 1, "present")
        m.d.sync += [self.bin_en.eq(self.en & self.counting), self.bin_present.eq(self.present)]
        step = choosing[0] & ((self.mode == Values.RANDOM) | (self.mode == Values.CHANGE))
        loads = spread(m, self.random_load, lanes, "load")
        above, ties, drawn, likely, left = Signal(lanes), Signal(lanes), Signal(lanes), Signal(lanes), Signal(32)
        for k in range(lanes):
            m.d.comb += [random.step[k].eq(step), random.load[k].eq(loads[k]), random.state_in[k].eq(self.random_in[k]),
                         self.random_state[k].eq(random.state[k])]
            with m.If(self.en):
                self._bin(m, k)
            with m.If(choosing[0]):
                m.d.sync += drawn[k].eq(random.state[k] >> 32 - PROBABILITY_BITS < self.select)
            with m.If(choosing[1]):
                m.d.sync += [above[k].eq(self.bin[k] > self.limit), ties[k].eq((self.bin[k] == self.limit) & present[1][k])]
            m.d.comb += likely[k].eq(self._likely(m, k, random.state[k], choosing))
        before, count = self._rank(m, ties, choosing[2])
        with m.If(choosing[3]):
            m.d.sync += left.eq(Mux(count >= left, 0, left - count))
        with m.If(self.start):
            m.d.sync += left.eq(self.remaining)

        above, ties, drawn = delay(m, above, 1, "above"), delay(m, ties, 1, "ties"), delay(m, drawn, 2, "drawn")
        largest = Cat(above[k] | (ties[k] & (before[k] < left)) for k in range(lanes))
        m.d.sync += self.chosen.eq(0)
        for mode, mask in ((Values.ALL, -1), (Values.TOP_K, largest), (Values.RANDOM, drawn), (Values.CHANGE, likely)):
            with m.If(self.mode == mode):
                m.d.sync += self.chosen.eq(mask & present[3])
        return m

    def _bin(self, m, k):
        """Place of the leading one beyond a bin's mantissa, and what is left of the change when it is shifted there."""
        place = Signal(range(CHANGE_BITS - BIN_MANTISSA), name=f"place_{k}")
        m.d.comb += place.eq(bit_length(self.change[k][BIN_MANTISSA + 1:]))
        m.d.sync += self.bin[k].eq((place << BIN_MANTISSA) + (self.change[k] >> place))

    def _likely(self, m, k, state, choosing):
        """Whether |W - B| exceeds -alpha ln(u), three cycles after the generator's state u."""
        leading, mantissa = Signal(5, name=f"leading_{k}"), Signal(6, name=f"mantissa_{k}")
        negative_log = Signal(_NEGLOG_BITS, name=f"negative_log_{k}")
        limit = Signal(_NEGLOG_BITS + TEMPERATURE_BITS, name=f"limit_{k}")
        with m.If(choosing[0]):
            place = bit_length(state[1:])
            m.d.sync += [leading.eq(place), mantissa.eq(Cat(Const(0, 6), state) >> place)]
        with m.If(choosing[1]):
            table = Array(Const(value, NEGLOG_FRACTION) for value in NEGLOG_TABLE)
            m.d.sync += negative_log.eq(((32 - leading) << NEGLOG_FRACTION) - table[mantissa])
        with m.If(choosing[2]):
            m.d.sync += limit.eq(negative_log * self.select[:TEMPERATURE_BITS])
        change = delay(m, self.change[k], 3, f"change_{k}")
        return change << (TEMPERATURE_FRACTION + NEGLOG_FRACTION - self._config.weight_fraction) > limit

    def _rank(self, m, ties, enable):
        """How many ties lie in the lanes before each, and how many there are, a cycle later."""
        lanes = self._config.lanes
        before = [Signal(range(lanes), name=f"before_{k}") for k in range(lanes)]
        count, sums = Signal(range(lanes + 1)), [Const(0, 1)]
        for k in range(lanes):
            sums.append(sum(ties[j] for j in range(k + 1)))
        with m.If(enable):
            m.d.sync += [count.eq(sums[-1]), *(before[k].eq(sums[k]) for k in range(lanes))]
        return before, count
