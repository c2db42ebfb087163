"""Readout: prediction and softmax cross-entropy errors of the output layer. Golden model: model/exact/readout.py."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, bits_for
from ...spec.errors import ErrorCode
from ...spec.packets import Kind
from ..arithmetic.delay import delay, delays
from ..arithmetic.reciprocal import Reciprocal
from ..forward.rule import SpikeLayout
from ..layouts import SLOTS, ResultLayout, shape_of
from ..memory.ram import Ram
from .exponential import DISTANCE_BITS, VALUE_BITS, Exponential

__all__ = ["SoftmaxReadout"]

_SUM_LATENCY = 2 + Exponential.LATENCY
"""Read of a logit to its exponential: memory, distance, exponential."""

_DIVIDE_WAIT = _SUM_LATENCY + Reciprocal.LATENCY
"""The quotient follows the last exponential."""

_ERROR_LATENCY = 4
"""Read of an exponential to its error: memory, product, rounding, shift."""


class _SampleLayout(data.StructLayout):
    def __init__(self, slot_bits: int):
        super().__init__({"slot": slot_bits, "train": 1, "label": 16, "sequence": 32, "count": 16})


class SoftmaxReadout(wiring.Component):
    """Collects a sample's logits, computes eps = [k = label] - softmax, hands training samples to the backward engine
    and sends the result packet. Readout cycles of a training sample with K outputs: 2 K + READOUT_FIXED.

    Members
    -------
    start, slot, train, label, sequence, count : In. Take over a sample with ``count`` outputs, while ``ready``.
    ready : Out(1).
    spike : In(SpikeLayout); spike_output : In(1). The forward engine's neurons.
    backward_ready : In(1); backward_start : Out(1), backward_slot : Out. Errors are complete; start when ready.
    error_en, error_addr, error_data : read port of the output errors, address {slot, k} (latency 1).
    status : In. What word 0 of the result says of the sample; stable while its result is offered. handing, handed : Out(1). Its
        errors wait for the backward engine; its result begins.
    o_result : Out(stream ResultLayout).
    working : Out(1). Computing errors.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        slot, output = bits_for(SLOTS), bits_for(config.max_outputs)
        super().__init__({
            "start": In(1), "slot": In(slot), "train": In(1), "label": In(16), "sequence": In(32), "count": In(16),
            "ready": Out(1), "spike": In(SpikeLayout(config)), "spike_output": In(1),
            "backward_ready": In(1), "backward_start": Out(1), "backward_slot": Out(slot),
            "error_en": In(1), "error_addr": In(output + slot), "error_data": Out(shape_of(config.error)),
            "status": In(ErrorCode), "handing": Out(1), "handed": Out(1),
            "o_result": Out(stream.Signature(ResultLayout())), "working": Out(1),
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
        # The divider stands still between samples. Its enable is a register: the net reaches a thousand flip-flops.
        moving = Signal()
        m.submodules.reciprocal = EnableInserter(moving)(reciprocal)
        m.d.sync += moving.eq(self.working)
        m.d.comb += [errors.r_en.eq(self.error_en), errors.r_addr.eq(self.error_addr), self.error_data.eq(errors.r_data)]

        sample, index = Signal(_SampleLayout(len(self.slot))), Signal(16)
        reading, fetching, dividing = Signal(), Signal(), Signal()
        m.d.comb += [self.backward_slot.eq(sample.slot), logits.r_addr.eq(index), logits.r_en.eq(reading | fetching)]
        best, prediction = self._collect(m, logits)
        total = self._exponentials(m, logits, values, exponential, best, reading, index)
        m.d.comb += reciprocal.value.eq(total)
        self._errors(m, values, errors, reciprocal, sample, dividing, index)
        self._control(m, logits, sample, prediction, total, index, reading, fetching, dividing)
        return m

    def _collect(self, m, logits):
        """Stores the logits; returns their first maximum and its index."""
        best, prediction, first = Signal(shape_of(self._config.logit)), Signal(16), Signal()
        item = self.spike.item & self.spike_output
        m.d.comb += [logits.w_en.eq(item), logits.w_addr.eq(self.spike.index), logits.w_data.eq(self.spike.logit)]
        with m.If(item & (first | (self.spike.logit > best))):
            m.d.sync += [best.eq(self.spike.logit), prediction.eq(self.spike.index), first.eq(0)]
        with m.If(self.ready):
            m.d.sync += first.eq(1)
        return best, prediction

    def _exponentials(self, m, logits, values, exponential, best, reading, index):
        """exp(logit - maximum) of each output into ``values``; returns their sum."""
        distance, gap, total = Signal(DISTANCE_BITS), Signal(len(best) + 1), Signal(VALUE_BITS + bits_for(self._config.max_outputs))
        valid, late = delay(m, reading, _SUM_LATENCY, "value_valid"), delay(m, index, _SUM_LATENCY, "value_index")
        m.d.comb += [gap.eq(best - logits.r_data), exponential.distance.eq(distance),
                     values.w_en.eq(valid), values.w_addr.eq(late), values.w_data.eq(exponential.value)]
        m.d.sync += distance.eq(Mux(gap >> DISTANCE_BITS, (1 << DISTANCE_BITS) - 1, gap))
        with m.If(valid):
            m.d.sync += total.eq(total + exponential.value)
        with m.If(self.ready):
            m.d.sync += total.eq(0)
        return total

    def _errors(self, m, values, errors, reciprocal, sample, dividing, index):
        """[k = label] - exp(k) / sum, rounded, into ``errors``."""
        fraction = self._config.error.fraction
        base = 17 - fraction
        product, rounded, half = (Signal(2 * VALUE_BITS, name=name) for name in ("product", "rounded", "half"))
        places, probability = Signal(range(base + (1 << len(reciprocal.length_late)))), Signal(fraction + 1)
        indices, is_label = delays(m, index, _ERROR_LATENCY, "error_index"), Signal()
        late = indices[-1]
        m.d.comb += [
            values.r_addr.eq(index), values.r_en.eq(dividing),
            errors.w_en.eq(delay(m, dividing, _ERROR_LATENCY, "error_valid")),
            errors.w_addr.eq(Cat(late[:bits_for(self._config.max_outputs)], sample.slot)),
            errors.w_data.eq(Mux(is_label, 1 << fraction, 0) - probability),
        ]
        m.d.sync += is_label.eq(indices[-2] == sample.label)  # a cycle ahead of its use
        m.d.sync += [  # the quotient and its length stand still by now
            half.eq((1 << (base - 1)) << reciprocal.length_late), places.eq(reciprocal.length_late + base),
            product.eq(values.r_data * reciprocal.quotient), rounded.eq(product + half), probability.eq(rounded >> places),
        ]

    def _control(self, m, logits, sample, prediction, total, index, reading, fetching, dividing):
        """Collect, exponentials, division, errors, hand-over, result."""
        wait, last = Signal(range(_DIVIDE_WAIT + 1)), Signal()
        result = self.o_result.payload
        m.d.comb += result.data.eq(logits.r_data)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.ready.eq(1)
                with m.If(self.start):
                    m.d.sync += [sample.slot.eq(self.slot), sample.train.eq(self.train), sample.label.eq(self.label),
                                 sample.sequence.eq(self.sequence), sample.count.eq(self.count)]
                    m.next = "COLLECT"
            with m.State("COLLECT"):
                m.d.sync += index.eq(0)
                with m.If(self.spike.item & self.spike_output & self.spike.layer_last):
                    m.next = "EXPONENTIAL"
                    with m.If(~sample.train):
                        m.next = "HEADER"
            for state, moving, pause, following in (("EXPONENTIAL", reading, _DIVIDE_WAIT, "DIVIDE"),
                                                    ("ERRORS", dividing, _ERROR_LATENCY, "SETTLE")):
                with m.State(state):
                    m.d.comb += [self.working.eq(1), moving.eq(index != sample.count)]
                    m.d.sync += [index.eq(index + 1), wait.eq(pause)]
                    with m.If(~moving):
                        m.next = following
            for state, following in (("DIVIDE", "ERRORS"), ("SETTLE", "HANDOVER")):
                with m.State(state):
                    m.d.comb += self.working.eq(1)
                    m.d.sync += [index.eq(0), wait.eq(wait - 1)]
                    with m.If(wait == 0):
                        m.next = following
            with m.State("HANDOVER"):
                m.d.comb += self.handing.eq(1)
                with m.If(self.backward_ready):
                    m.d.comb += self.backward_start.eq(1)
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += self.o_result.valid.eq(1)
                m.d.comb += self.handed.eq(self.o_result.ready & (index[:2] == 0))
                with m.Switch(index[:2]):
                    with m.Case(0):
                        m.d.comb += result.data.eq(Cat(Const(Kind.SAMPLE, 8), self.status))
                    with m.Case(1):
                        m.d.comb += result.data.eq(sample.sequence)
                    with m.Default():
                        m.d.comb += result.data.eq(Cat(prediction, sample.label))
                with m.If(self.o_result.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index[1]):
                        m.d.sync += index.eq(0)
                        m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += fetching.eq(1)
                m.d.sync += last.eq(index + 1 == sample.count)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [self.o_result.valid.eq(1), result.last.eq(last)]
                with m.If(self.o_result.ready):
                    m.d.sync += index.eq(index + 1)
                    m.next = "FETCH"
                    with m.If(result.last):
                        m.next = "IDLE"
