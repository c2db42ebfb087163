"""The accelerator with its ports: AXI4-Lite registers, AXI4-Stream packets in, results out, interrupt."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import CoreConfig
from ..spec.errors import ErrorCode
from ..spec.packets import Kind
from .control.counters import Counters
from .control.run_control import RunControl
from .core import TrainingCore
from .io.axi_lite import AxiLiteSignature
from .io.packet_decoder import PacketDecoder
from .io.register_file import ADDRESS_BITS, RegisterFile
from .io.result_queue import ResultQueue

__all__ = ["Coldspike"]


class Coldspike(wiring.Component):
    """An accelerator build. Ports carry ARM's names, so that block-design tools infer the interfaces.

    Members
    -------
    s_axi_* : AXI4-Lite slave, 32-bit data: registers (spec/registers.py).
    s_axis_* : AXI4-Stream slave, 32-bit: packets (spec/packets.py).
    m_axis_* : AXI4-Stream master, 32-bit: results.
    irq : Out(1). Interrupt, level, active high.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        bus = AxiLiteSignature(ADDRESS_BITS).flip()
        super().__init__({
            **{f"s_axi_{name}": member for name, member in bus.members.items()},
            "s_axis_tdata": In(32), "s_axis_tvalid": In(1), "s_axis_tready": Out(1), "s_axis_tlast": In(1),
            "m_axis_tdata": Out(32), "m_axis_tvalid": Out(1), "m_axis_tready": In(1), "m_axis_tlast": Out(1),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        c = self.config
        m.submodules.registers = registers = RegisterFile(c)
        m.submodules.run = run = RunControl(c)
        m.submodules.decoder = decoder = PacketDecoder(c)
        m.submodules.core = core = TrainingCore(c)
        m.submodules.results = results = ResultQueue(c)
        m.submodules.event_counters = counters = Counters(c)
        wiring.connect(m, decoder.o_payload, core.i_payload)
        wiring.connect(m, decoder.o_descriptor, core.i_descriptor)
        wiring.connect(m, core.o_result, results.i)

        for name, member in AxiLiteSignature(ADDRESS_BITS).members.items():
            port, inner = getattr(self, f"s_axi_{name}"), getattr(registers.bus, name)
            m.d.comb += inner.eq(port) if member.flow == Out else port.eq(inner)
        m.d.comb += [
            decoder.i.payload.data.eq(self.s_axis_tdata), decoder.i.payload.last.eq(self.s_axis_tlast),
            decoder.i.valid.eq(self.s_axis_tvalid), self.s_axis_tready.eq(decoder.i.ready),
            self.m_axis_tdata.eq(results.o.payload.data), self.m_axis_tlast.eq(results.o.payload.last),
            self.m_axis_tvalid.eq(results.o.valid), results.o.ready.eq(self.m_axis_tready),
            self.irq.eq(registers.irq),
        ]

        # Both come from afar: a cycle later is early enough for registers and counters.
        dropped, refused, status, idle = Signal(), Signal(), Signal(ErrorCode), Signal()
        m.d.sync += [
            refused.eq(run.error_valid),
            dropped.eq(core.i_descriptor.valid & core.i_descriptor.ready & (core.i_descriptor.payload.kind == Kind.ERROR)),
            status.eq(core.i_descriptor.payload.status),
            idle.eq(core.quiet & decoder.idle & ~core.o_result.valid & ~results.o.valid),
        ]
        m.d.comb += [
            run.settings.eq(registers.settings), run.start.eq(registers.start), run.stop.eq(registers.stop),
            run.idle.eq(idle), decoder.running.eq(run.running), decoder.network.eq(run.network),
            *(getattr(decoder, name).eq(registers.settings[name]) for name in ("rule", "steps") if hasattr(decoder, name)),
            *([decoder.coded.eq(registers.settings.coding)] if hasattr(decoder, "coded") else []),
            decoder.slots_busy.eq(core.slots_busy),
            core.settings.eq(registers.settings), core.network.eq(run.network), core.started.eq(run.started),
            core.slot_claimed.eq(decoder.slot_claimed), core.slot.eq(decoder.slot),
            core.tape_en.eq(decoder.tape_en), core.tape_address.eq(decoder.tape_address), core.tape_data.eq(decoder.tape_data),
            registers.running.eq(run.running), registers.locked.eq(run.locked | run.start),
            registers.idle.eq(idle), registers.sequence.eq(decoder.sequence),
            registers.interval_position.eq(core.position), registers.counters.eq(counters.values),
            registers.batch_done.eq(core.batch_done),
            registers.error_valid.eq(refused | dropped), registers.error_code.eq(run.error_code),
            counters.clear.eq(registers.clear_counters), counters.increments.eq(core.increments),
            counters.increments.packets_dropped.eq(dropped),
        ]
        with m.If(dropped):
            m.d.comb += registers.error_code.eq(status)
        return m
