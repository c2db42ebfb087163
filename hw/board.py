"""A board's design: the accelerator behind a serial link. The accelerator's Verilog is the one that is simulated and delivered."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import CoreConfig
from ..spec.link import BoardFacts, identity_text, identity_words
from .io.axi_lite import AxiLiteSignature
from .io.register_file import ADDRESS_BITS
from .link.serial_link import SerialLink
from .link.uart_receiver import UartReceiver
from .link.uart_transmitter import UartTransmitter
from .verilog import TOP, Port, emit, generate

__all__ = ["BOARD", "CORE", "PORTS", "SerialBoard", "generate_board"]

BOARD = f"{TOP}_board"
"""Name of the Verilog module."""

PORTS = (Port("clk", "input", 1, "clock, rising edge"), Port("rst", "input", 1, "reset, synchronous, active high"),
         Port("rx", "input", 1, "wire from the host"), Port("tx", "output", 1, "wire to the host"),
         Port("open", "output", 1, "a host has opened the link"))
"""Its pins."""

CORE = "uut"
"""Name of the accelerator in it."""


class SerialBoard(wiring.Component):
    """UART, link and accelerator.

    Parameters
    ----------
    config : the accelerator's build. facts : of the board.

    Members
    -------
    rx : In(1) wire from the host, asynchronous. tx : Out(1) wire to it.
    open : Out(1) a host has opened the link.

    Raises
    ------
    ValueError : the clock is too slow for the baud.
    """

    def __init__(self, config: CoreConfig, facts: BoardFacts):
        self.config, self.facts = config, facts
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "open": Out(1)})

    def elaborate(self, platform):
        m = Module()
        facts = self.facts
        words = identity_words(identity_text(facts.name, facts.clock, facts.baud, self.config))
        m.submodules.receiver = receiver = UartReceiver(facts.clock, facts.baud)
        m.submodules.link = link = SerialLink(words, facts.room, facts.burst)
        m.submodules.transmitter = transmitter = UartTransmitter(facts.clock, facts.baud)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx), self.open.eq(link.open),
                     link.i_data.eq(receiver.data), link.i_valid.eq(receiver.valid)]
        wiring.connect(m, link.o, transmitter.i)

        reset = Signal()
        m.d.sync += reset.eq(link.reset | ResetSignal())
        bus = {f"{'o' if member.flow == In else 'i'}_s_axi_{name}": getattr(link.bus, name)
               for name, member in AxiLiteSignature(ADDRESS_BITS).members.items()}
        m.submodules[CORE] = Instance(
            TOP, i_clk=ClockSignal(), i_rst=reset, **bus,
            i_s_axis_tdata=link.packets.payload.data, i_s_axis_tlast=link.packets.payload.last,
            i_s_axis_tvalid=link.packets.valid, o_s_axis_tready=link.packets.ready,
            o_m_axis_tdata=link.results.payload.data, o_m_axis_tlast=link.results.payload.last,
            o_m_axis_tvalid=link.results.valid, i_m_axis_tready=link.results.ready,
            o_irq=Signal(name="unused_irq"))  # the host asks: the link has no way to call it
        return m


def generate_board(config: CoreConfig, facts: BoardFacts) -> str:
    """Verilog of modules ``coldspike_board`` (clk, rst, rx, tx, open) and, as ``generate`` makes it, ``coldspike``."""
    return f"{generate(config)}\n{emit(SerialBoard(config, facts), BOARD)}"
