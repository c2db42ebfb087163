"""The board's end of the link, from bytes to the accelerator's ports (docs/link.md)."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..io.axi_lite import AxiLiteSignature
from ..io.register_file import ADDRESS_BITS
from ..io.stream_buffer import StreamBuffer
from ..layouts import ResultLayout
from .frame_receiver import FrameReceiver
from .frame_sender import BODY, FrameSender
from .replay_queue import ReplayQueue
from .reply_writer import ReplyWriter
from .request_parser import RequestParser
from .request_server import RequestServer

__all__ = ["SerialLink"]


class SerialLink(wiring.Component):
    """Serves one host: every request is carried out once, and nothing that does not arrive whole.

    Latency: that of RequestServer and of the bytes. Throughput: a byte in every cycle each way.

    Parameters
    ----------
    identity : words of the board's description (spec/link.py).
    room, burst : words of the queues towards the accelerator and from it, powers of two.

    Members
    -------
    i_data, i_valid : In(8), In(1) bytes from the host.
    o : Out(stream of 8) bytes to the host.
    bus : Out(AxiLiteSignature) the accelerator's registers. packets : Out(stream of ResultLayout) words and TLAST towards it.
        results : In(stream of ResultLayout) from it. reset : Out(1) resets it.
    open : Out(1) a HELLO came since reset.
    """

    def __init__(self, identity: list[int], room: int = 1024, burst: int = 1024):
        self._identity, self._room, self._burst = identity, room, burst
        super().__init__({
            "i_data": In(8), "i_valid": In(1), "o": Out(stream.Signature(8)),
            "bus": Out(AxiLiteSignature(ADDRESS_BITS)), "packets": Out(stream.Signature(ResultLayout())),
            "results": In(stream.Signature(ResultLayout())), "reset": Out(1), "open": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.parser = parser = RequestParser()
        m.submodules.server = server = RequestServer(ADDRESS_BITS, self._identity, self._room, self._burst)
        m.submodules.inbound = inbound = ReplayQueue(ResultLayout(), self._room)
        m.submodules.outbound = outbound = ReplayQueue(ResultLayout(), self._burst)
        m.submodules.writer = writer = ReplyWriter(self._burst)
        m.submodules.sender = sender = FrameSender()
        wiring.connect(m, outbound.o, writer.words)
        m.submodules.body = body = StreamBuffer(BODY)  # from the queue's memory to the CRC would be a long way
        wiring.connect(m, writer.o, body.i)
        wiring.connect(m, body.o, sender.i)
        wiring.connect(m, sender.o, wiring.flipped(self.o))
        wiring.connect(m, inbound.o, wiring.flipped(self.packets))
        wiring.connect(m, wiring.flipped(self.results), outbound.i)
        wiring.connect(m, server.bus, wiring.flipped(self.bus))
        m.d.comb += [
            receiver.i_data.eq(self.i_data), receiver.i_valid.eq(self.i_valid),
            *(getattr(parser, name).eq(getattr(receiver, name)) for name in ("data", "valid", "end", "good")),
            inbound.i.payload.eq(parser.word), inbound.i.valid.eq(parser.word_valid), parser.word_taken.eq(inbound.i.ready),
            server.done.eq(parser.done), server.end.eq(receiver.end), server.request.eq(parser.request),
            # Words towards the accelerator leave for good; those from it count at once.
            inbound.commit.eq(server.commit), inbound.rollback.eq(server.rollback), inbound.release.eq(1),
            outbound.commit.eq(1), outbound.release.eq(server.release), outbound.rewind.eq(server.rewind),
            inbound.clear.eq(server.clear), outbound.clear.eq(server.clear),
            server.room.eq(inbound.room), server.waiting.eq(outbound.waiting),
            writer.start.eq(server.start), writer.head.eq(server.head), writer.length.eq(server.length),
            writer.count.eq(server.count), server.busy.eq(writer.busy),
            self.reset.eq(server.reset), self.open.eq(server.open),
        ]
        return m
