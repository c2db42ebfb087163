"""AXI4-Lite slave in front of a simple register bus. Golden model: a dictionary (tests/hw/io/test_axi_lite.py)."""

from enum import IntEnum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AxiLiteSignature", "AxiLiteSlave", "Response"]


class Response(IntEnum):
    """Values of ``bresp`` and ``rresp`` that this slave gives."""

    OKAY = 0
    SLVERR = 2


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite with 32-bit data, as the master sees it; ARM's signal names in lower case.

    Parameters
    ----------
    address_bits : bits of a byte address.
    """

    def __init__(self, address_bits: int = 12):
        self.address_bits = address_bits
        super().__init__({
            "awaddr": Out(address_bits), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(address_bits), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
        })


class AxiLiteSlave(wiring.Component):
    """Turns AXI4-Lite transactions into one-cycle accesses to registers.

    Latency: ``write`` (``read``) one cycle after the later of the AW and W handshakes (the AR handshake), if the
    last response of that direction has left; the response is valid one cycle later (two cycles). Throughput: a write and a read
    every two cycles. All outputs to the bus are registers or the inverse of one; protection bits and the two lowest
    address bits are ignored.

    Parameters
    ----------
    address_bits : bits of a byte address.

    Members
    -------
    axi : In(AxiLiteSignature) the bus.
    write : Out(1) strobe; ``write_address``: Out(address_bits - 2) word address; ``write_data``: Out(32);
        ``write_strobes``: Out(4) bytes to write.
    write_error : In(1) answer in the cycle of ``write``: SLVERR instead of OKAY.
    read : Out(1) strobe; ``read_address``: Out(address_bits - 2) word address.
    read_data, read_error : In(32), In(1) answer in the cycle after ``read``: the registers may look it up in two cycles.
    """

    def __init__(self, address_bits: int = 12):
        super().__init__({
            "axi": In(AxiLiteSignature(address_bits)),
            "write": Out(1),
            "write_address": Out(address_bits - 2),
            "write_data": Out(32),
            "write_strobes": Out(4),
            "write_error": In(1),
            "read": Out(1),
            "read_address": Out(address_bits - 2),
            "read_data": In(32),
            "read_error": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        axi = self.axi

        have_address = Signal()
        have_data = Signal()
        m.d.comb += [
            axi.awready.eq(~have_address),
            axi.wready.eq(~have_data),
            self.write.eq(have_address & have_data & (~axi.bvalid | axi.bready)),
        ]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [have_address.eq(1), self.write_address.eq(axi.awaddr[2:])]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [have_data.eq(1), self.write_data.eq(axi.wdata), self.write_strobes.eq(axi.wstrb)]
        with m.If(self.write):
            m.d.sync += [have_address.eq(0), have_data.eq(0), axi.bvalid.eq(1),
                         axi.bresp.eq(Mux(self.write_error, Response.SLVERR, Response.OKAY))]
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)

        have_read, answered = Signal(), Signal()
        m.d.comb += [
            axi.arready.eq(~have_read),
            self.read.eq(have_read & (~axi.rvalid | axi.rready)),
        ]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [have_read.eq(1), self.read_address.eq(axi.araddr[2:])]
        with m.If(self.read):
            m.d.sync += have_read.eq(0)
        m.d.sync += answered.eq(self.read)
        with m.If(answered):
            m.d.sync += [axi.rvalid.eq(1), axi.rdata.eq(self.read_data),
                         axi.rresp.eq(Mux(self.read_error, Response.SLVERR, Response.OKAY))]
        with m.Elif(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        return m
