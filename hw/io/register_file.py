"""The registers of spec/registers.py behind AXI4-Lite. Golden model: the register map itself."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...spec.config import CoreConfig
from ...spec.errors import ErrorCode
from ...spec.registers import VERSION, Access, Control, Interrupt, Register, core_digest, counters, register_map
from ..layouts import SettingsLayout
from .axi_lite import AxiLiteSignature, AxiLiteSlave

__all__ = ["ADDRESS_BITS", "RegisterFile"]

ADDRESS_BITS = 12
"""Byte address bits of the register space: 4 KiB, the smallest window of common interconnects."""

READ_GROUP = 4
"""Address bits of a group of registers."""


def _word(register: Register, values: dict[str, ValueLike]) -> Value:
    """Word of a register whose fields have these values; bits outside fields are zero."""
    word = Const(0, 32)
    for field in register.fields:
        word = word | (values[field.name] << field.low)
    return word[:32]


def _setting(settings: data.View, config: CoreConfig, name: str) -> Value:
    """Member of the settings that CONFIG register ``name`` holds: SIZE_l is size[l], RATE_l is rate[l - 1]."""
    name = name.lower()
    if name in SettingsLayout(config).members:
        return settings[name]
    array, number = name.rsplit("_", 1)
    first_layer = config.max_layers + 1 - settings[array].shape().length
    return Value.cast(settings[array][int(number) - first_layer])


class RegisterFile(wiring.Component):
    """All registers of the build, generated from the register map.

    Latency: that of AxiLiteSlave; a value written stands at ``settings``, and a command pulses, one cycle after the
    slave's write access, ``irq`` one cycle after its cause is pending. Throughput: a read and a write every two
    cycles.

    An address without a register reads 0 and answers SLVERR, both ways. Writes to read-only registers do nothing.
    A write of a CONFIG register, or START, while ``locked`` does nothing but record error BUSY. All of these
    answer OKAY. The halves of a counter are two reads: read HI, low, HI again while the core works.

    Parameters
    ----------
    config : build configuration.

    Members
    -------
    bus : In(AxiLiteSignature) the host's access.
    settings : Out(SettingsLayout) the CONFIG registers.
    start, stop, clear_counters : Out(1) one-cycle commands.
    running, idle : In(1) state, read in STATUS.
    locked : In(1) running, or being started: CONFIG registers and START are refused.
    sequence, interval_position : In(32) read in the registers of these names.
    counters : In(64 bits for each counter, in the order of spec.registers.counters).
    batch_done : In(1) pulse: an update finished.
    error_valid, error_code : In(1), In(ErrorCode) pulse and code; the first since CLEAR_ERROR is recorded.
        In one cycle it goes before BUSY.
    irq : Out(1) level: some enabled interrupt is pending.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "bus": In(AxiLiteSignature(ADDRESS_BITS)),
            "settings": Out(SettingsLayout(config)),
            "start": Out(1),
            "stop": Out(1),
            "clear_counters": Out(1),
            "running": In(1),
            "locked": In(1),
            "idle": In(1),
            "sequence": In(32),
            "interval_position": In(32),
            "counters": In(data.ArrayLayout(64, len(counters(config)))),
            "batch_done": In(1),
            "error_valid": In(1),
            "error_code": In(ErrorCode),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave(ADDRESS_BITS)
        wiring.connect(m, wiring.flipped(self.bus), slave.axi)
        registers = {register.name: register for register in register_map(self.config)}

        mask = Signal(32)
        m.d.comb += mask.eq(Cat(strobe.replicate(8) for strobe in slave.write_strobes))
        ones = slave.write_data & mask
        locked = Signal()  # a register: accesses are two cycles apart, and START locks in the cycle after its own
        m.d.sync += locked.eq(self.locked)

        def written(name):
            return slave.write & (slave.write_address == registers[name].address >> 2)

        # Commands
        command = Signal(32)
        m.d.comb += command.eq(Mux(written("CONTROL"), ones, 0))
        m.d.sync += [
            self.start.eq(command[Control.START] & ~locked),
            self.stop.eq(command[Control.STOP]),
            self.clear_counters.eq(command[Control.CLEAR_COUNTERS]),
        ]

        # Configuration
        values = self._inputs()
        config_written = Signal()
        storage = {name: Signal(register.bits, init=register.reset, name=name.lower())
                   for name, register in registers.items() if register.access is Access.CONFIG}
        values |= storage
        m.d.comb += [_setting(self.settings, self.config, name).eq(value) for name, value in storage.items()]
        with m.If(slave.write), m.Switch(slave.write_address):
            for name, value in storage.items():
                with m.Case(registers[name].address >> 2):
                    m.d.comb += config_written.eq(1)
                    with m.If(~locked):
                        m.d.sync += value.eq(ones | (value & ~mask))

        # The sticky error
        error = Signal(ErrorCode)
        busy = locked & (config_written | command[Control.START])
        clear_error = command[Control.CLEAR_ERROR]
        record = (self.error_valid | busy) & ((error == ErrorCode.NONE) | clear_error)
        with m.If(record):
            m.d.sync += error.eq(Mux(self.error_valid, self.error_code, ErrorCode.BUSY))
        with m.Elif(clear_error):
            m.d.sync += error.eq(ErrorCode.NONE)

        # Interrupts
        enable = Signal(registers["INTERRUPT_ENABLE"].bits)
        pending = Signal(registers["INTERRUPT_STATUS"].bits)
        clear_pending = Mux(written("INTERRUPT_STATUS"), ones, 0)
        with m.If(written("INTERRUPT_ENABLE")):
            m.d.sync += enable.eq(ones | (enable & ~mask))
        m.d.sync += [
            pending.eq(pending & ~clear_pending | self.batch_done << Interrupt.BATCH | record << Interrupt.ERROR),
            self.irq.eq((pending & enable).any()),
        ]

        # Reading, and the answer to addresses without a register
        state = {"RUNNING": self.running, "IDLE": self.idle, "ERROR": error}
        values |= {"STATUS": _word(registers["STATUS"], state), "CONTROL": Const(0),
                   "INTERRUPT_ENABLE": enable, "INTERRUPT_STATUS": pending}
        self._read(m, slave, {register.address >> 2: values[name] for name, register in registers.items()})
        m.d.comb += slave.write_error.eq(1)
        with m.Switch(slave.write_address):
            with m.Case(*(register.address >> 2 for register in registers.values())):
                m.d.comb += slave.write_error.eq(0)
        return m

    def _read(self, m: Module, slave: AxiLiteSlave, words: dict[int, ValueLike]):
        """Reading in two steps: in each group of registers one of them, then one of the groups."""
        row = slave.read_address[READ_GROUP:]
        known = Signal()
        m.d.comb += slave.read_error.eq(~known)
        with m.If(slave.read):
            m.d.sync += known.eq(0)
            with m.Switch(slave.read_address):
                with m.Case(*words):
                    m.d.sync += known.eq(1)
        for group in sorted({address >> READ_GROUP for address in words}):
            found = Signal(32, name=f"group_{group}")
            with m.If(slave.read):
                m.d.sync += found.eq(0)
                with m.Switch(slave.read_address[:READ_GROUP]):
                    for address, value in words.items():
                        if address >> READ_GROUP == group:
                            with m.Case(address % (1 << READ_GROUP)):
                                m.d.sync += found.eq(value)
            with m.If(row == group):
                m.d.comb += slave.read_data.eq(found)

    def _inputs(self) -> dict[str, ValueLike]:
        """Values of the registers that are constants or come from outside."""
        values = {
            "DIGEST": Const(core_digest(self.config), 32),
            "VERSION": Const(VERSION, 32),
            "SEQUENCE": self.sequence,
            "INTERVAL_POSITION": self.interval_position,
        }
        for n, (name, _) in enumerate(counters(self.config)):
            low, high = self.counters[n][:32], self.counters[n][32:]
            values |= {name: low, f"{name}_HI": high}
        return values
