"""Sequencer: carries packets out in order and lets a sample's forward pass overlap the previous one's backward pass.
Golden models: model/device.py (order), model/timing.py (cycles)."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig, Rule, bits_for
from ...spec.packets import Kind
from ..layouts import SLOTS, DescriptorLayout, ResultLayout, rule_port, runs

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Starts a sample's forward pass as soon as the forward engine is free (in a build without gradient memory, or when rule
    sparse-bptt runs: when everything but transport is quiet); everything else waits until all earlier work is done. An UPDATE
    ends when its transport does, or when a sample waits behind it: then the transport goes on under the sample's forward pass.

    Members
    -------
    rule : In. Which one runs, in a build of several.
    i_descriptor : In(stream DescriptorLayout). Packets in order.
    started : In(1). A network was started.
    payload_valid : In(1). A payload word is waiting.
    slot_claimed, claimed : In. The decoder filled a slot; slots_busy : Out(SLOTS).
    forward_busy, forward_done, readout_ready, backward_start, backward_slot, backward_busy,
    backward_done, update_busy, transport_busy, transport_due, access_busy : In. State of the units.
    active : In(max_layers). Bit l - 1: the backward engine took an active neuron of layer l.
    packet : Out(DescriptorLayout). The packet that ``forward_start`` or ``access_start`` begins; for samples it stays
        until the next forward start.
    forward_start, update_start, update_done, access_start : Out(1), one cycle each.
    last_slot, trained_slot : Out. Slots of the last sample and of the last training sample.
    o_result : Out(stream ResultLayout). Results of UPDATE packets and of bad ones.
    updating : Out(1). An update is being made.
    quiet : Out(1). No work in flight, and none begun; a register, as all units have a say.
    batch_done : Out(1). An UPDATE packet was carried out.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        slot = bits_for(SLOTS)
        inputs = ("started", "payload_valid", "slot_claimed", "forward_busy", "forward_done", "readout_ready",
                  "backward_start", "backward_busy", "backward_done", "update_busy", "transport_busy", "transport_due",
                  "access_busy")
        outputs = ("forward_start", "update_start", "update_done", "access_start", "quiet", "batch_done", "updating")
        super().__init__({
            "i_descriptor": In(stream.Signature(DescriptorLayout())), "claimed": In(slot), "backward_slot": In(slot),
            "active": In(config.max_layers), "slots_busy": Out(SLOTS), "packet": Out(DescriptorLayout()),
            "last_slot": Out(slot), "trained_slot": Out(slot),
            "o_result": Out(stream.Signature(ResultLayout())),
            **{name: In(1) for name in inputs}, **{name: Out(1) for name in outputs}, **rule_port(config),
        })

    def elaborate(self, platform):
        m = Module()
        descriptor, packet = self.i_descriptor.payload, self.packet
        transported, word = Signal(), Signal(2)
        since, before = Signal.like(self.active), Signal.like(self.active)  # active layers: since the last UPDATE, before it

        m.d.sync += since.eq(since | self.active)
        with m.If(self.started | self.update_done):
            m.d.sync += since.eq(0)
        with m.If(self.update_done):
            m.d.sync += before.eq(since)

        # Slots: taken when loaded, free after the last engine that needs them.
        working_slot = Signal(SLOTS.bit_length() - 1)
        with m.If(self.backward_start):
            m.d.sync += working_slot.eq(self.backward_slot)
        for slot in range(SLOTS):
            with m.If(self.slot_claimed & (self.claimed == slot)):
                m.d.sync += self.slots_busy[slot].eq(1)
            with m.Elif((self.forward_done & ~packet.train & (packet.slot == slot))
                        | (self.backward_done & (working_slot == slot))):
                m.d.sync += self.slots_busy[slot].eq(0)

        calm = self.readout_ready & ~self.backward_busy & ~self.update_busy & ~self.access_busy
        sample = self.i_descriptor.valid & (descriptor.kind == Kind.SAMPLE)
        resting, settled = calm & ~self.forward_busy & ~self.i_descriptor.ready, Signal()  # settled: quiet but for transport
        can_overlap = settled | (~runs(self._config, self, Rule.SPARSE_BPTT) if self._config.gradient_memory else 0)
        m.d.sync += [self.quiet.eq(0), settled.eq(0)]
        with m.FSM():
            with m.State("DISPATCH"):
                m.d.sync += [settled.eq(resting), self.quiet.eq(resting & ~self.transport_busy)]
                with m.If(sample):
                    m.d.comb += self.forward_start.eq(
                        ~self.forward_busy & can_overlap & (self.payload_valid | (descriptor.count == 0)))
                with m.Elif(self.i_descriptor.valid & self.quiet):
                    m.d.comb += self.i_descriptor.ready.eq(1)
                    m.d.sync += [packet.eq(descriptor), word.eq(0)]
                    with m.Switch(descriptor.kind):
                        with m.Case(Kind.UPDATE):
                            m.d.comb += self.update_start.eq(1)
                            m.next = "UPDATE"
                        with m.Case(Kind.READ, Kind.WRITE):
                            m.d.comb += self.access_start.eq(1)
                            m.next = "ACCESS"
                        with m.Default():
                            m.next = "RESULT"
                with m.If(self.forward_start):
                    m.d.comb += self.i_descriptor.ready.eq(1)
                    m.d.sync += [packet.eq(descriptor), self.last_slot.eq(descriptor.slot)]
                    with m.If(descriptor.train):
                        m.d.sync += self.trained_slot.eq(descriptor.slot)
            with m.State("UPDATE"):
                m.d.comb += self.updating.eq(1)
                with m.If(~self.update_busy):
                    m.next = "UPDATED"
            with m.State("UPDATED"):
                m.d.comb += [self.updating.eq(1), self.update_done.eq(1)]
                m.d.sync += transported.eq(self.transport_due)
                m.next = "TRANSPORT"
            with m.State("TRANSPORT"):
                with m.If(~self.transport_busy | sample):
                    m.d.comb += self.batch_done.eq(1)
                    m.next = "RESULT"
            with m.State("ACCESS"):
                with m.If(~self.access_busy):
                    m.next = "DISPATCH"
            with m.State("RESULT"):
                updated = packet.kind == Kind.UPDATE
                result = self.o_result.payload
                m.d.comb += self.o_result.valid.eq(1)
                with m.Switch(word):
                    with m.Case(0):
                        m.d.comb += [result.data[:8].eq(packet.kind), result.data[8:16].eq(packet.status)]
                    with m.Case(1):
                        m.d.comb += [result.data.eq(packet.sequence), result.last.eq(~updated)]
                    with m.Default():
                        m.d.comb += [result.data.eq(Cat(transported, before)), result.last.eq(1)]
                with m.If(self.o_result.ready):
                    m.d.sync += word.eq(word + 1)
                    with m.If(result.last):
                        m.next = "DISPATCH"
        return m
