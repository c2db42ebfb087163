"""Transposable weight memory: a row block or a column block of lanes weights in one access."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ..arithmetic.delay import delay, delays
from ..arithmetic.exchange import exchange_lanes
from ..arithmetic.spread import spread
from ..layouts import shape_of
from .ram import Ram

__all__ = ["TransposableMemory"]


class TransposableMemory(wiring.Component):
    """Weights in tiles of P x P; element (r, c) of a tile lies in bank r ^ c at word tile P + r, so the P elements of a row, and
    those of a column, lie in P different banks.

    Read latency 3 cycles (bank, register, exchange: a block memory is too slow for both in one cycle); the data hold until
    the next read arrives. A write takes effect for reads issued 3 cycles later (register, exchange, bank). One read and one
    write a cycle; reads and writes of one word within 3 cycles of each other are the user's to avoid. While nothing is
    written, columns can be read through the write port and its exchange: a forward pass and a transport read side by side.

    Members
    -------
    r_en, r_tile, r_index, r_column : In. Read row ``r_index`` of the tile, or column ``r_index`` if ``r_column``.
    r_data : Out, P weights. Lane k: element (index, k) of a row, (k, index) of a column.
    w_en, w_tile, w_index, w_data : In. Write column ``w_index`` of the tile.
    s_en, s_tile, s_index : In. Read a column through the write port, latency 3 as well; not within 3 cycles of a write.
    s_data : Out, P weights; they hold for a cycle only.
    """

    READ_LATENCY = 3

    def __init__(self, config: CoreConfig):
        self._config = config
        word, lanes = shape_of(config.weight), config.lanes
        tile, index = bits_for(config.weight_tiles), bits_for(config.lanes)
        super().__init__({
            "r_en": In(1), "r_tile": In(tile), "r_index": In(index), "r_column": In(1), "r_data": Out(word).array(lanes),
            "w_en": In(1), "w_tile": In(tile), "w_index": In(index), "w_data": In(word).array(lanes),
            "s_en": In(1), "s_tile": In(tile), "s_index": In(index), "s_data": Out(word).array(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        lanes, low = self._config.lanes, len(self.r_index)
        banks = [Ram(shape_of(self._config.weight), self._config.weight_tiles * lanes, shared=True, block=True)
                 for _ in range(lanes)]
        for bank, ram in enumerate(banks):
            m.submodules[f"bank_{bank}"] = ram

        # Write: register, exchange, bank. Or read by the same way: bank, register, exchange.
        writing, w_tiles, w_indices = (delays(m, now, 2, name) for now, name in (
            (self.w_en, "writing"), (self.w_tile, "w_tile"), (self.w_index, "w_index")))
        reading, index = delays(m, self.s_en, 2, "reading"), delay(m, self.s_index, 1, "s_index")
        data = [Signal.like(self.w_data[k], name=f"w_data_{k}") for k in range(lanes)]
        # Without the enable: it comes from afar, and what is not written or read is not exchanged.
        m.d.sync += [late.eq(Mux(reading[1], ram.s_data, now)) for late, ram, now in zip(data, banks, self.w_data)]
        amounts = spread(m, Mux(reading[1], index, self.w_index), lanes, "write_amount")
        passing = spread(m, self.w_en | reading[1], lanes, "passing")
        exchanged = exchange_lanes(m, data, amounts, passing, "write")
        for bank, ram in enumerate(banks):
            # The row within the tile that bank b holds of column c is b ^ c.
            r_row, w_row = Signal(low, name=f"r_row_{bank}"), Signal(low, name=f"w_row_{bank}")
            m.d.comb += [
                r_row.eq(self.r_index ^ Mux(self.r_column, bank, 0)),
                w_row.eq(Mux(writing[2], w_indices[2], self.s_index) ^ bank),
                ram.r_en.eq(self.r_en), ram.r_addr.eq((self.r_tile << low) | r_row),
                ram.w_en.eq(writing[2]), ram.w_addr.eq((Mux(writing[2], w_tiles[2], self.s_tile) << low) | w_row),
                ram.s_en.eq(self.s_en), self.s_data[bank].eq(ram.w_data),
            ]
            with m.If(passing[bank]):
                m.d.sync += ram.w_data.eq(exchanged[bank])

        # Read: bank, register, exchange.
        fetched, arrived = Signal(), spread(m, self.r_en, lanes, "arrived", 2)
        words = [Signal.like(ram.r_data, name=f"word_{bank}") for bank, ram in enumerate(banks)]
        read = exchange_lanes(m, words, spread(m, self.r_index, lanes, "read_amount", 2), arrived, "read")
        m.d.sync += fetched.eq(self.r_en)
        with m.If(fetched):
            m.d.sync += [word.eq(ram.r_data) for word, ram in zip(words, banks)]
        for k, lane in enumerate(read):
            with m.If(arrived[k]):
                m.d.sync += self.r_data[k].eq(lane)
        return m
