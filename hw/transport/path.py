"""The way of weights into the feedback memory: read, chosen, brought into its format, written.
Golden model: model/exact/transport.py."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.transport import CHANGE_BITS, Values
from ..arithmetic.delay import delay, delays
from ..backward.lanes import GradientWordLayout
from ..layouts import shape_of
from ..memory.transposable import TransposableMemory
from .choice import WeightChoice
from .precision import decode, encode, with_sign

__all__ = ["TransportPath"]


class TransportPath(wiring.Component):
    """Takes a word (column block) a cycle; it is written WRITE_LATENCY cycles later.

    Members
    -------
    values, signs : In(1). Copy values (of the chosen weights), signs (of the others). scale : In. |B| of a build of signs.
        Stable from the first word to the last write.
    en, word, lanes : In. A word of the walk, and how many lanes of it hold weights. offset : In. What its feedback address lies
        below its gradient address.
    w_en, w_tile, w_index, w_data : column read port of the weight memory (latency TransposableMemory.READ_LATENCY).
    back_en, back_addr, back_data : read port of the feedback memory (latency 1).
    feedback_en, feedback_addr, feedback_data : write port of the feedback memory.
    read, moved, signed : Out. Lanes of a word that was read, whose value was copied, whose sign was.
    busy : Out(1). Words in the pipeline.

    With partial transport also: ``counting`` : In(1), words are for the histogram only; ``start``, ``mode``, ``select``, ``limit``,
    ``remaining``, ``bin_*``, ``random_*`` as in WeightChoice.
    """

    ASKED = ("select", "limit", "remaining", "start", "counting", "random_load")
    ANSWERED = ("bin_en", "bin_present")
    LANES = ("bin", "random_in", "random_state")

    def __init__(self, config: CoreConfig):
        self._config = config
        word, stored, lanes, count = GradientWordLayout(config), shape_of(config.feedback), config.lanes, bits_for(config.lanes + 1)
        self._choice = WeightChoice(config) if config.partial_transport else None
        passed = self._choice.signature.members if self._choice else {}
        super().__init__({
            "values": In(1), "signs": In(1), "scale": In(config.weight.bits), "en": In(1), "word": In(word), "lanes": In(count),
            "offset": In(bits_for(config.gradient_words)),
            "w_en": Out(1), "w_tile": Out(word["tile"].shape), "w_index": Out(bits_for(lanes)),
            "w_data": In(shape_of(config.weight)).array(lanes),
            "back_en": Out(1), "back_addr": Out(bits_for(config.feedback_words)), "back_data": In(stored).array(lanes),
            "feedback_en": Out(1), "feedback_addr": Out(bits_for(config.feedback_words)), "feedback_data": Out(stored).array(lanes),
            "read": Out(count), "moved": Out(count), "signed": Out(count), "busy": Out(1),
            **{name: passed[name] for name in ("mode", *self.ASKED, *self.ANSWERED, *self.LANES) if passed},
        })

    @staticmethod
    def write_latency(config: CoreConfig) -> int:
        """Cycles from a word to its write."""
        return TransposableMemory.READ_LATENCY + 1 + (1 + WeightChoice.LATENCY if config.partial_transport else 0)

    def elaborate(self, platform):
        m = Module()
        c, here = self._config, TransposableMemory.READ_LATENCY
        latency = self.write_latency(c)
        valid, counts = delays(m, self.en, latency, "valid"), delays(m, self.lanes, latency, "lanes")
        address = Signal.like(self.feedback_addr)
        m.d.comb += [
            address.eq(self.word.address - self.offset),
            self.w_en.eq(self.en), self.w_tile.eq(self.word.tile), self.w_index.eq(self.word.column),
            self.back_en.eq(valid[here - 2]), self.feedback_addr.eq(delay(m, address, latency, "address")),
            self.busy.eq(Cat(valid).any()), self.read.eq(Mux(self.en, self.lanes, 0)),
        ]
        m.d.comb += self.back_addr.eq(delay(m, address, here - 2, "back_address"))

        # The feedback weights arrive a cycle early: block memory and difference are too much for one.
        forms = []
        for k in range(c.lanes):
            back = Signal.like(self.back_data[k], name=f"back_{k}")
            code, other = (Signal.like(self.feedback_data[k], name=f"{name}_{k}") for name in ("code", "other"))
            with m.If(valid[here - 1]):
                m.d.sync += back.eq(self.back_data[k])
            with m.If(valid[here]):
                m.d.sync += [code.eq(encode(c, self.w_data[k])),
                             other.eq(Mux(self.signs, with_sign(c, back, self.w_data[k]), back))]
            forms.append((back, code, other))
        if self._choice is None:
            for k, (_, code, other) in enumerate(forms):
                m.d.comb += self.feedback_data[k].eq(Mux(self.values, code, other))
            m.d.comb += [
                self.feedback_en.eq(valid[-1]), self.moved.eq(Mux(valid[-1] & self.values, counts[-1], 0)),
                self.signed.eq(Mux(valid[-1] & ~self.values, counts[-1], 0)),
            ]
        else:
            self._choose(m, valid, counts, forms)
        return m

    def _choose(self, m, valid, counts, forms):
        """Change, choice, and the chosen weights' codes among the others."""
        c, here, choice = self._config, TransposableMemory.READ_LATENCY, self._choice
        m.submodules.choice = choice
        m.d.comb += [getattr(choice, name).eq(getattr(self, name)) for name in self.ASKED]
        m.d.comb += [getattr(self, name).eq(getattr(choice, name)) for name in self.ANSWERED]
        m.d.comb += choice.mode.eq(Mux(self.values, self.mode, Values.NONE))  # signs alone leave the generators as they are
        start = here + 2
        lanes, chosen = counts[start], Signal(c.lanes)
        m.d.comb += [choice.en.eq(valid[start]), choice.present.eq(Cat(k < lanes for k in range(c.lanes)))]
        for k, (back, code, other) in enumerate(forms):
            difference = Signal(signed(CHANGE_BITS + 1), name=f"difference_{k}")
            with m.If(valid[here]):
                m.d.sync += difference.eq(self.w_data[k] - decode(c, back, self.scale))
            with m.If(valid[here + 1]):
                m.d.sync += choice.change[k].eq(Mux(difference < 0, -difference, difference))
            m.d.comb += [
                self.bin[k].eq(choice.bin[k]), choice.random_in[k].eq(self.random_in[k]),
                self.random_state[k].eq(choice.random_state[k]),
            ]
            late = 1 + WeightChoice.LATENCY
            code, other = delay(m, code, late, f"code_{k}"), delay(m, other, late, f"other_{k}")
            m.d.comb += self.feedback_data[k].eq(Mux(chosen[k], code, other))
        moved, written = Signal.like(self.moved), valid[-1] & ~self.counting
        m.d.comb += [
            chosen.eq(Mux(self.values, choice.chosen, 0)), moved.eq(sum(chosen[k] for k in range(c.lanes))),
            self.feedback_en.eq(written & (self.signs | chosen.any())), self.moved.eq(Mux(written, moved, 0)),
            self.signed.eq(Mux(written & self.signs, counts[-1] - moved, 0)),
        ]
