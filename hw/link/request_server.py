"""Carries out requests, each once (docs/link.md). Golden model: docs/link.md in Python (tests/hw/link/frames.py)."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.link import IDENTITY, LINK_VERSION, LinkStatus, Request
from ..io.axi_lite import AxiLiteSignature
from .description import Description
from .register_access import RegisterAccess
from .reply_writer import HEAD_BYTES
from .request_parser import REQUEST

__all__ = ["RequestServer"]

RESET_CYCLES = 16
HEAD = data.StructLayout({"sequence": 8, "kind": 8, "status": LinkStatus, "_": 5, "payload": 8 * (HEAD_BYTES - 3)})
LENGTHS = {Request.HELLO: HEAD_BYTES, Request.READ: 7, Request.WRITE: 3, Request.EXCHANGE: 7}
"""Bytes of the replies' heads."""


class RequestServer(wiring.Component):
    """Decides what a request is, an old or a new one, does it, and gives its reply.

    Latency: a reply starts two cycles after ``done``; after a HELLO 18 cycles; that of an access when it is over. Throughput: one
    request at a time; those that come meanwhile are dropped.

    Parameters
    ----------
    address_bits : bits of a byte address of the register port.
    identity : words of the board's description (spec/link.py).
    room, burst : words of the queues towards the accelerator and from it.

    Members
    -------
    done, end, request : In, as RequestParser and FrameReceiver give them.
    commit, rollback : Out(1) the words that came with the request.
    release, rewind : Out(1) the words of the last reply.
    clear : Out(1) empties both queues. reset : Out(1) resets the accelerator.
    room, waiting : In, of the queues towards the accelerator and from it.
    start, head, length, count : Out, busy : In, as ReplyWriter has them.
    bus : Out(AxiLiteSignature) registers.
    open : Out(1) a HELLO came since reset.
    """

    def __init__(self, address_bits: int, identity: list[int], room: int, burst: int):
        self._address_bits, self._identity, self._depths = address_bits, identity, (room, burst)
        super().__init__({
            "done": In(1), "end": In(1), "request": In(REQUEST), "commit": Out(1), "rollback": Out(1), "release": Out(1),
            "rewind": Out(1), "clear": Out(1), "reset": Out(1), "room": In(range(room + 1)), "waiting": In(range(burst + 1)),
            "start": Out(1), "head": Out(HEAD), "length": Out(range(HEAD_BYTES + 1)), "count": Out(range(burst + 1)),
            "busy": In(1), "bus": Out(AxiLiteSignature(address_bits)), "open": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = RegisterAccess(self._address_bits)
        wiring.connect(m, registers.bus, wiring.flipped(self.bus))
        asked = Signal(REQUEST)
        address, value_in = Cat(asked.arguments[0], asked.arguments[1]), Cat(*(asked.arguments[n] for n in range(2, 6)))
        m.submodules.description = description = Description(self._identity, len(address) - 3)
        m.d.comb += [registers.address.eq(address), registers.data.eq(value_in), description.address.eq(address[2:-1])]

        last = Signal(8)  # number of the last request, and what its reply says
        kind, status, value, count = Signal(8), Signal(LinkStatus), Signal(32), Signal.like(self.count)
        pause = Signal(range(RESET_CYCLES))

        def reply(code):
            m.d.sync += [status.eq(code), self.head.status.eq(code)]
            m.next = "REPLY"

        # The words of a frame that is not taken are forgotten when it ends; of one that is, once it is known what it is.
        m.d.comb += self.rollback.eq(self.end)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.done):
                    m.d.comb += self.rollback.eq(0)
                    m.d.sync += asked.eq(self.request)
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.comb += self.rollback.eq(~self.commit)
                m.d.sync += [self.head.sequence.eq(asked.sequence), self.head.kind.eq(asked.kind)]
                with m.If((asked.kind == Request.HELLO) & asked.known):
                    m.d.sync += [last.eq(asked.sequence), kind.eq(asked.kind), count.eq(0),
                                 value.eq(Cat(*(asked.arguments[n] for n in range(4)))), self.open.eq(1),
                                 pause.eq(RESET_CYCLES - 1)]
                    m.next = "RESET"
                with m.Elif(~self.open):
                    m.d.sync += self.head.status.eq(LinkStatus.CLOSED)
                    m.next = "REPLY"
                with m.Elif(asked.sequence == last):
                    m.d.comb += self.rewind.eq(1)
                    m.d.sync += [self.head.kind.eq(kind), self.head.status.eq(status)]
                    m.next = "REPLY"
                with m.Elif(asked.sequence != (last + 1)[:8]):
                    m.d.sync += self.head.status.eq(LinkStatus.SEQUENCE)
                    m.next = "REPLY"
                with m.Else():
                    m.d.comb += self.release.eq(1)
                    m.d.sync += [last.eq(asked.sequence), kind.eq(asked.kind), count.eq(0)]
                    self._begin(m, asked, address, registers, count, reply)
            with m.State("RESET"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += pause.eq(pause - 1)
                with m.If(pause == 0):
                    reply(LinkStatus.OK)
            with m.State("DESCRIPTION"):
                m.d.sync += value.eq(description.data)
                reply(LinkStatus.OK)
            with m.State("ACCESS"):
                with m.If(registers.done):
                    m.d.sync += value.eq(registers.value)
                    reply(Mux(registers.known, LinkStatus.OK, LinkStatus.ADDRESS))
            with m.State("REPLY"):
                m.d.comb += self.start.eq(1)
                m.next = "SENDING"
            with m.State("SENDING"):
                with m.If(~self.busy):
                    m.next = "IDLE"
        m.d.sync += self.reset.eq(fsm.ongoing("RESET"))
        self._reply(m, value, count)
        return m

    def _begin(self, m: Module, asked: data.View, address, registers: RegisterAccess, count: Signal, reply):
        """A new request is carried out, or begun to be."""
        own = address[self._address_bits:] == 0
        with m.If(~asked.known):
            reply(LinkStatus.UNKNOWN)
        with m.Elif(asked.kind == Request.EXCHANGE):
            want = Cat(asked.arguments[0], asked.arguments[1])
            with m.If(asked.fits):
                m.d.comb += self.commit.eq(1)
                m.d.sync += count.eq(Mux(want < self.waiting, want, self.waiting))
                reply(LinkStatus.OK)
            with m.Else():
                reply(LinkStatus.ROOM)
        with m.Elif((asked.kind == Request.READ) & (address >= IDENTITY)):
            m.next = "DESCRIPTION"
        with m.Elif(own):
            m.d.comb += [registers.read.eq(asked.kind == Request.READ), registers.write.eq(asked.kind == Request.WRITE)]
            m.next = "ACCESS"
        with m.Else():
            reply(LinkStatus.ADDRESS)

    def _reply(self, m: Module, value: Signal, count: Signal):
        """The head's payload and length, and how many words follow."""
        ok = self.head.status == LinkStatus.OK
        m.d.comb += self.length.eq(3)
        with m.If(ok), m.Switch(self.head.kind):
            for kind, length in LENGTHS.items():
                with m.Case(kind):
                    m.d.comb += self.length.eq(length)
        with m.Switch(self.head.kind):
            with m.Case(Request.HELLO):
                room, burst = self._depths
                m.d.comb += self.head.payload.eq(Cat(value, C(LINK_VERSION, 8), C(room, 16), C(burst, 16)))
            with m.Case(Request.READ):
                m.d.comb += self.head.payload.eq(value)
            with m.Case(Request.EXCHANGE):
                more = Signal(16)
                m.d.comb += [more.eq(self.waiting - count), self.head.payload.eq(Cat(C(0, 16) | self.room, more)),
                             self.count.eq(Mux(ok, count, 0))]
