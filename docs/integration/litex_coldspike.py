"""The core as a LiteX module: registers on the SoC's bus, streams to LiteX' DMA.

    self.coldspike = Coldspike(platform, "build/coldspike.v")
    self.bus.add_slave("coldspike", self.coldspike.bus, SoCRegion(size=0x1000, cached=False))
    self.irq.add("coldspike")
"""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from litex.soc.interconnect.axi import AXILiteInterface
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import ClockSignal, Instance, ResetSignal

WORD = [("data", 32)]


class Coldspike(LiteXModule):
    """``bus``: registers. ``sink``: packets, ``last`` on a packet's last word. ``source``: results. ``ev``: interrupt."""

    def __init__(self, platform, verilog):
        self.bus = bus = AXILiteInterface(data_width=32, address_width=32)
        self.sink, self.source = sink, source = stream.Endpoint(WORD), stream.Endpoint(WORD)
        self.ev = EventManager()
        self.ev.irq_line = EventSourceLevel()
        self.ev.finalize()
        platform.add_source(verilog)
        channels = {}
        for name, out, member in (
            ("awaddr", 0, bus.aw.addr[:12]), ("awvalid", 0, bus.aw.valid), ("awready", 1, bus.aw.ready), ("awprot", 0, 0),
            ("wdata", 0, bus.w.data), ("wstrb", 0, bus.w.strb), ("wvalid", 0, bus.w.valid), ("wready", 1, bus.w.ready),
            ("bresp", 1, bus.b.resp), ("bvalid", 1, bus.b.valid), ("bready", 0, bus.b.ready),
            ("araddr", 0, bus.ar.addr[:12]), ("arvalid", 0, bus.ar.valid), ("arready", 1, bus.ar.ready), ("arprot", 0, 0),
            ("rdata", 1, bus.r.data), ("rresp", 1, bus.r.resp), ("rvalid", 1, bus.r.valid), ("rready", 0, bus.r.ready),
        ):
            channels[f"{'o' if out else 'i'}_s_axi_{name}"] = member
        self.specials += Instance(
            "coldspike", i_clk=ClockSignal(), i_rst=ResetSignal(), **channels,
            i_s_axis_tdata=sink.data, i_s_axis_tvalid=sink.valid, o_s_axis_tready=sink.ready, i_s_axis_tlast=sink.last,
            o_m_axis_tdata=source.data, o_m_axis_tvalid=source.valid, i_m_axis_tready=source.ready, o_m_axis_tlast=source.last,
            o_irq=self.ev.irq_line.trigger)
