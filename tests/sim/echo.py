"""A component with the accelerator's pins that sends packets back, for cheap tests of the simulation harness."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from coldspike.hw.io.axi_lite import AxiLiteSlave
from coldspike.hw.verilog import PORTS

__all__ = ["CYCLES", "Echo", "HOLD", "HOLD_INPUT", "HOLD_READS", "HOLD_RESULTS", "IRQ", "PLAIN", "VIOLATIONS"]

IRQ, HOLD, PLAIN, CYCLES, VIOLATIONS = 0x0, 0x4, 0x8, 0xC, 0x10
"""Registers. The last two cannot be written."""

HOLD_INPUT, HOLD_RESULTS, HOLD_READS = 1, 2, 4
"""Bits of HOLD: the stream, or the register port, that stands still."""


class Echo(wiring.Component):
    """Returns packets unchanged through a queue of 8 words and watches whether the host keeps the AXI rules.

    Registers: IRQ (bit 0 drives the pin), HOLD, PLAIN, CYCLES (since reset), VIOLATIONS (cycles in which a channel's
    valid or payload changed although it had not been accepted).
    """

    def __init__(self, config=None):
        super().__init__({p.name: (In if p.direction == "input" else Out)(p.bits) for p in PORTS[2:]})

    def elaborate(self, platform):
        m = Module()
        m.submodules.axi = axi = AxiLiteSlave()
        for name, member in axi.axi.signature.members.items():
            inner, outer = getattr(axi.axi, name), getattr(self, f"s_axi_{name}")
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)

        registers = [Signal(32, name=f"register_{n}") for n in range(5)]
        hold, cycles, violations = registers[HOLD // 4], registers[CYCLES // 4], registers[VIOLATIONS // 4]
        broken = Cat(self._broken(m, prefix, payload) for prefix, payload in (
            ("s_axis_t", ("tdata", "tlast")), ("s_axi_aw", ("awaddr",)), ("s_axi_w", ("wdata", "wstrb")),
            ("s_axi_ar", ("araddr",))))
        m.d.sync += [cycles.eq(cycles + 1), violations.eq(violations + broken.any())]
        with m.Switch(axi.write_address):
            for n, register in enumerate(registers[:3]):
                with m.Case(n):
                    with m.If(axi.write):
                        m.d.sync += register.eq(axi.write_data)
            with m.Default():
                m.d.comb += axi.write_error.eq(1)
        with m.Switch(axi.read_address):
            for n, register in enumerate(registers):
                with m.Case(n):
                    m.d.comb += axi.read_data.eq(register)
            with m.Default():
                m.d.comb += axi.read_error.eq(1)
        with m.If(hold[2]):
            m.d.comb += [axi.axi.arvalid.eq(0), self.s_axi_arready.eq(0)]

        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=33, depth=8)
        m.d.comb += [
            queue.w_data.eq(Cat(self.s_axis_tdata, self.s_axis_tlast)),
            self.s_axis_tready.eq(queue.w_rdy & ~hold[0]),
            queue.w_en.eq(self.s_axis_tvalid & self.s_axis_tready),
            Cat(self.m_axis_tdata, self.m_axis_tlast).eq(queue.r_data),
            self.m_axis_tvalid.eq(queue.r_rdy & ~hold[1]),
            queue.r_en.eq(self.m_axis_tvalid & self.m_axis_tready),
            self.irq.eq(registers[IRQ // 4][0]),
        ]
        return m

    def _broken(self, m: Module, prefix: str, payload: tuple[str, ...]):
        """Whether this cycle breaks the rule that an offer stands until it is taken."""
        bus = prefix.rsplit("_", 1)[0]
        valid, ready = getattr(self, f"{prefix}valid"), getattr(self, f"{prefix}ready")
        offer = Cat(valid, *(getattr(self, f"{bus}_{name}") for name in payload))
        before, waiting = Signal.like(offer), Signal()
        m.d.sync += [before.eq(offer), waiting.eq(valid & ~ready)]
        return waiting & (offer != before)
