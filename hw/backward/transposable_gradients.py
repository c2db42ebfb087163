"""Transposable gradient memory: contributions to columns or to rows are accumulated over a batch, saturating. Golden model:
model/exact/sparse_bptt.py (accumulate)."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delays
from ..arithmetic.exchange import exchange_lanes
from ..arithmetic.rounding import overflows, saturate
from ..arithmetic.spread import spread
from ..layouts import shape_of
from ..memory.ram import Ram
from .lanes import GradientWordLayout, contribution_shape

__all__ = ["TileWordLayout", "TransposableGradients"]


class TileWordLayout(data.StructLayout):
    """P gradients: column ``index`` of a tile (hw/memory/transposable.py), or its row ``index`` if ``row``."""

    def __init__(self, config: CoreConfig):
        super().__init__({"tile": bits_for(config.weight_tiles), "index": bits_for(config.lanes), "row": 1})


class TransposableGradients(wiring.Component):
    """Gradients in tiles as the weights are. One accumulation a cycle; words in flight must differ in their places: the same one
    may come again 5 cycles later. Contributions are turned into the banks' order, so that what is accumulated stays in it.

    Members
    -------
    add_en, add_word, contribution : In. Accumulate; the contributions stand ADD_LATENCY cycles after the word.
    saturated : Out. How many lanes of an accumulation saturated, 7 cycles after its word, when the sum can be read, too.
    r_en, r_word, r_data : read port for columns (latency READ_LATENCY), for update and host; not while an accumulation is in
        flight.
    w_en, w_word, w_data : write port for columns, for update and host; not while an accumulation is in flight. It takes effect
        for reads issued 3 cycles later.
    """

    ADD_LATENCY = 3
    READ_LATENCY = 3
    """Bank, register, exchange, as of the weights."""

    def __init__(self, config: CoreConfig):
        self._config = config
        word, gradient, lanes = GradientWordLayout(config), shape_of(config.gradient), config.lanes
        super().__init__({
            "add_en": In(1), "add_word": In(TileWordLayout(config)), "contribution": In(contribution_shape(config)).array(lanes),
            "saturated": Out(bits_for(lanes + 1)),
            "r_en": In(1), "r_word": In(word), "r_data": Out(gradient).array(lanes),
            "w_en": In(1), "w_word": In(word), "w_data": In(gradient).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        lanes, low, gradient = c.lanes, bits_for(c.lanes), shape_of(c.gradient)
        banks = [Ram(gradient, c.weight_tiles * lanes, block=True) for _ in range(lanes)]
        for b, bank in enumerate(banks):
            m.submodules[f"bank_{b}"] = bank

        # Element n of each list: the accumulation, or the write, n cycles behind its word.
        here = self.ADD_LATENCY
        adds, words = delays(m, self.add_en, here + 3, "add"), delays(m, self.add_word, here + 3, "add_word")
        writes, written = delays(m, self.w_en, 2, "write"), delays(m, self.w_word, 2, "write_word")

        # To the banks: element k of line ``index`` lies in bank k ^ index. Without the enable: it comes from afar.
        wide, amount, taken = signed(max(contribution_shape(c).width, gradient.width)), Signal(low), Signal()
        given = [Signal(wide, name=f"given_{k}") for k in range(lanes)]
        turned = [Signal(wide, name=f"turned_{b}") for b in range(lanes)]
        m.d.comb += [amount.eq(Mux(adds[here], words[here].index, self.w_word.column)), taken.eq(adds[here] | self.w_en),
                     *(lane.eq(Mux(adds[here], new, old)) for lane, new, old in zip(given, self.contribution, self.w_data))]
        exchanged = exchange_lanes(m, given, [amount] * lanes, [taken] * lanes, "turn")

        # A bank: word, sum, its saturation and the write have a cycle of their own each.
        reads, fetched, over = self.r_en | adds[here - 1], Signal(), Signal(lanes)
        m.d.sync += fetched.eq(reads)
        shown = [Signal(gradient, name=f"shown_{b}") for b in range(lanes)]
        for b, bank in enumerate(banks):
            total, stored = Signal(signed(wide.width + 1), name=f"total_{b}"), Signal(gradient, name=f"stored_{b}")
            m.d.comb += [
                bank.r_en.eq(reads), bank.w_en.eq(adds[-1] | writes[-1]), bank.w_data.eq(stored),
                bank.r_addr.eq(Mux(adds[here - 1], self._place(words[here - 1], b), self._column(self.r_word, b))),
                bank.w_addr.eq(Mux(adds[-1], self._place(words[-1], b), self._column(written[-1], b))),
            ]
            with m.If(taken):
                m.d.sync += turned[b].eq(exchanged[b])
            with m.If(fetched):
                m.d.sync += shown[b].eq(bank.r_data)
            with m.If(adds[here + 1]):
                m.d.sync += total.eq(shown[b] + turned[b])
            with m.If(adds[here + 2]):
                m.d.sync += [stored.eq(saturate(total, c.gradient)), over[b].eq(overflows(total, c.gradient))]
            with m.Elif(writes[1]):
                m.d.sync += stored.eq(turned[b])
        m.d.sync += self.saturated.eq(0)
        with m.If(adds[-1] & over.any()):
            m.d.sync += self.saturated.eq(sum(over[b] for b in range(lanes)))

        # A column that was read comes back to its lanes.
        asked, columns = spread(m, self.r_en, lanes, "asked", 2), spread(m, self.r_word.column, lanes, "column", 2)
        for k, lane in enumerate(exchange_lanes(m, shown, columns, asked, "back")):
            with m.If(asked[k]):
                m.d.sync += self.r_data[k].eq(lane)
        return m

    def _column(self, word, bank):
        """Address in a bank of its element of a column."""
        return (word.tile << bits_for(self._config.lanes)) | (word.column[:bits_for(self._config.lanes)] ^ bank)

    def _place(self, word, bank):
        """Address in a bank of its element of a column or row."""
        low = bits_for(self._config.lanes)
        return (word.tile << low) | (word.index ^ Mux(word.row, 0, bank))
