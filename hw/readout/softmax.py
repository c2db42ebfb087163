"""Readout: prediction and softmax cross-entropy errors of the output layer. Golden model: model/exact/readout.py."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.packets import Kind
from ..arithmetic.delay import delay
from ..arithmetic.reciprocal import Reciprocal
from ..forward.rule import SpikeLayout
from ..layouts import SLOTS, ResultLayout, shape_of
from ..memory.ram import Ram
from .exponential import DISTANCE_BITS, VALUE_BITS, Exponential

__all__ = ["SoftmaxReadout"]

_DIVIDE_WAIT = 4 + Reciprocal.LATENCY
"""The last exponential reaches the sum 4 cycles after its read, the quotient follows."""

_ERROR_WAIT = 3
"""The last error is written 3 cycles after its read."""


class SoftmaxReadout(wiring.Component):
    """Collects a sample's logits, computes eps = [k = label] - softmax, hands training samples to the backward engine
    and sends the result packet. Readout cycles of a training sample with K outputs: 2 K + 31.

    Members
    -------
    start, slot, train, label, sequence, count : In. Take over a sample with ``count`` outputs, while ``ready``.
    ready : Out(1).
    spike : In(SpikeLayout); spike_output : In(1). The forward engine's neurons.
    backward_ready : In(1); backward_start : Out(1), backward_slot : Out. Errors are complete; start when ready.
    error_en, error_addr, error_data : read port of the output errors, address {slot, k} (latency 1).
    o_result : Out(stream ResultLayout).
    working : Out(1). Computing errors.
    pending : Out(1). A training sample is here and not yet handed over.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        slot, output = bits_for(SLOTS), bits_for(config.max_outputs)
        super().__init__({
            "start": In(1), "slot": In(slot), "train": In(1), "label": In(16), "sequence": In(32), "count": In(16),
            "ready": Out(1), "spike": In(SpikeLayout(config)), "spike_output": In(1),
            "backward_ready": In(1), "backward_start": Out(1), "backward_slot": Out(slot),
            "error_en": In(1), "error_addr": In(output + slot), "error_data": Out(shape_of(config.error)),
            "o_result": Out(stream.Signature(ResultLayout())), "working": Out(1), "pending": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        output = bits_for(c.max_outputs)
        m.submodules.logits = logits = Ram(shape_of(c.logit), c.max_outputs)
        m.submodules.values = values = Ram(VALUE_BITS, c.max_outputs)
        m.submodules.errors = errors = Ram(shape_of(c.error), SLOTS << output)
        m.submodules.exponential = exponential = Exponential()
        reciprocal = Reciprocal(VALUE_BITS + output)
        m.submodules.reciprocal = EnableInserter(self.working)(reciprocal)
        m.d.comb += [errors.r_en.eq(self.error_en), errors.r_addr.eq(self.error_addr), self.error_data.eq(errors.r_data)]

        sample = Signal(data.StructLayout({"slot": len(self.slot), "train": 1, "label": 16, "sequence": 32, "count": 16}))
        best, prediction, total = Signal(shape_of(c.logit)), Signal(16), Signal(VALUE_BITS + output)
        index, first, wait = Signal(16), Signal(), Signal(range(_DIVIDE_WAIT + 1))
        m.d.comb += [self.backward_slot.eq(sample.slot), reciprocal.value.eq(total)]

        # Collect: logits and their first maximum.
        item = self.spike.item & self.spike_output
        m.d.comb += [logits.w_en.eq(item), logits.w_addr.eq(self.spike.index), logits.w_data.eq(self.spike.logit)]
        with m.If(item & (first | (self.spike.logit > best))):
            m.d.sync += [best.eq(self.spike.logit), prediction.eq(self.spike.index), first.eq(0)]

        # Exponentials: logit read, distance, two table stages; the sum on the way.
        reading, fetching, dividing = Signal(), Signal(), Signal()
        distance, gap = Signal(DISTANCE_BITS), Signal(len(best) + 1)
        value_valid = delay(m, reading, 2 + Exponential.LATENCY, "value_valid")
        value_index = delay(m, index, 2 + Exponential.LATENCY, "value_index")
        m.d.comb += [gap.eq(best - logits.r_data), exponential.distance.eq(distance),
                     values.w_en.eq(value_valid), values.w_addr.eq(value_index), values.w_data.eq(exponential.value)]
        m.d.sync += distance.eq(Mux(gap >> DISTANCE_BITS, (1 << DISTANCE_BITS) - 1, gap))
        with m.If(value_valid):
            m.d.sync += total.eq(total + exponential.value)

        # Errors: value read, product, normalised probability.
        product, probability = Signal(2 * VALUE_BITS), Signal(c.error.fraction + 1)
        base = 17 - c.error.fraction
        half = Signal(2 * VALUE_BITS)
        error_index = delay(m, index, 3, "error_index")
        m.d.comb += [
            values.r_addr.eq(index), values.r_en.eq(dividing), half.eq((1 << (base - 1)) << reciprocal.length_late),
            errors.w_en.eq(delay(m, dividing, 3, "error_valid")), errors.w_addr.eq(Cat(error_index[:output], sample.slot)),
            errors.w_data.eq(Mux(error_index == sample.label, 1 << c.error.fraction, 0) - probability),
        ]
        m.d.sync += [product.eq(values.r_data * reciprocal.quotient),
                     probability.eq((product + half) >> (reciprocal.length_late + base))]

        result = self.o_result.payload
        m.d.comb += [
            self.ready.eq(0), self.pending.eq(sample.train),
            logits.r_addr.eq(index), logits.r_en.eq(reading | fetching),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.ready.eq(1), self.pending.eq(0)]
                with m.If(self.start):
                    m.d.sync += [sample.slot.eq(self.slot), sample.train.eq(self.train), sample.label.eq(self.label),
                                 sample.sequence.eq(self.sequence), sample.count.eq(self.count), first.eq(1),
                                 total.eq(0), index.eq(0)]
                    m.next = "COLLECT"
            with m.State("COLLECT"):
                with m.If(item & self.spike.layer_last):
                    m.d.sync += index.eq(0)
                    m.next = "EXPONENTIAL"
                    with m.If(~sample.train):
                        m.next = "HEADER"
            with m.State("EXPONENTIAL"):
                m.d.comb += [self.working.eq(1), reading.eq(index != sample.count)]
                m.d.sync += index.eq(index + 1)
                with m.If(~reading):
                    m.d.sync += [index.eq(0), wait.eq(_DIVIDE_WAIT)]
                    m.next = "DIVIDE"
            with m.State("DIVIDE"):
                m.d.comb += self.working.eq(1)
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "ERRORS"
            with m.State("ERRORS"):
                m.d.comb += [self.working.eq(1), dividing.eq(index != sample.count)]
                m.d.sync += [index.eq(index + 1), wait.eq(_ERROR_WAIT)]
                with m.If(~dividing):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.comb += self.working.eq(1)
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "HANDOVER"
            with m.State("HANDOVER"):
                with m.If(self.backward_ready):
                    m.d.comb += self.backward_start.eq(1)
                    m.d.sync += [sample.train.eq(0), index.eq(0)]
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += self.o_result.valid.eq(1)
                with m.Switch(index):
                    with m.Case(0):
                        m.d.comb += result.data.eq(Kind.SAMPLE)
                    with m.Case(1):
                        m.d.comb += result.data.eq(sample.sequence)
                    with m.Default():
                        m.d.comb += result.data.eq(Cat(prediction, sample.label))
                with m.If(self.o_result.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == 2):
                        m.d.sync += index.eq(0)
                        m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += fetching.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [self.o_result.valid.eq(1), result.data.eq(logits.r_data), result.last.eq(index + 1 == sample.count)]
                with m.If(self.o_result.ready):
                    m.d.sync += index.eq(index + 1)
                    m.next = "FETCH"
                    with m.If(result.last):
                        m.next = "IDLE"
        return m
