"""AXI4-Lite master for one access at a time. Golden model: a dictionary (tests/hw/link/test_register_access.py)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..io.axi_lite import AxiLiteSignature, Response

__all__ = ["RegisterAccess"]


class RegisterAccess(wiring.Component):
    """Reads or writes a register and waits for the answer.

    Latency: the slave's and two cycles. Throughput: one access at a time.

    Parameters
    ----------
    address_bits : bits of a byte address.

    Members
    -------
    read, write : In(1) one-cycle commands, when no access is under way; ``address`` and ``data`` : In, stay until ``done``.
    done : Out(1) for one cycle; with it ``value`` : Out(32) what was read, and ``known`` : Out(1) there is such a register.
    bus : Out(AxiLiteSignature).
    """

    def __init__(self, address_bits: int):
        super().__init__({"read": In(1), "write": In(1), "address": In(address_bits), "data": In(32), "done": Out(1),
                          "value": Out(32), "known": Out(1), "bus": Out(AxiLiteSignature(address_bits))})

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        m.d.comb += [bus.awaddr.eq(self.address), bus.araddr.eq(self.address), bus.wdata.eq(self.data), bus.wstrb.eq(0xF)]
        reading, writing = Signal(), Signal()
        m.d.comb += [bus.rready.eq(reading), bus.bready.eq(writing)]
        for valid, ready, begins in ((bus.arvalid, bus.arready, self.read), (bus.awvalid, bus.awready, self.write),
                                     (bus.wvalid, bus.wready, self.write)):
            m.d.sync += valid.eq(begins | (valid & ~ready))
        m.d.sync += [reading.eq(self.read | (reading & ~bus.rvalid)), writing.eq(self.write | (writing & ~bus.bvalid)),
                     self.done.eq((reading & bus.rvalid) | (writing & bus.bvalid))]
        with m.If(reading):
            m.d.sync += [self.value.eq(bus.rdata), self.known.eq(bus.rresp == Response.OKAY)]
        with m.Else():
            m.d.sync += self.known.eq(bus.bresp == Response.OKAY)
        return m
