"""cocotb tests of the accelerator at its ports. tests/cocotb/run_ports.py runs them (``make sim``), not pytest itself."""

import os

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from coldspike.sim.cocotb_runner import config_under_test
from coldspike.spec.errors import ErrorCode
from coldspike.spec.network import Readout
from coldspike.spec.packets import Kind, header
from coldspike.spec.registers import Access, Control, Interrupt, core_digest, register_map
from tests.cocotb.bench import start
from tests.cocotb.session import ERRORS, TRAINING, load_session

CONFIG = config_under_test() if "COLDSPIKE_CONFIG" in os.environ else None  # pytest collects this file, too
PAUSE = {"without_pauses": 0.0, "with_pauses": 0.4}
POLLS = 2000


def port_test(**options):
    return cocotb.test(timeout_time=options.pop("milliseconds", 2), timeout_unit="ms", **options)


def registers():
    return {r.name: r for r in register_map(CONFIG)}


@port_test()
async def registers_have_their_reset_values(dut):
    bench = await start(dut)
    for register in register_map(CONFIG):
        expected = {"DIGEST": core_digest(CONFIG), "STATUS": 2}.get(register.name, register.reset)
        assert await bench.read(register.address) == expected, register.name
    assert dut.irq.value == 0


@port_test()
async def configuration_registers_keep_their_bits_and_others_nothing(dut):
    bench = await start(dut, pause=0.3)
    before = {r.name: await bench.read(r.address) for r in register_map(CONFIG)}
    for register in register_map(CONFIG):
        if register.access is not Access.COMMAND:
            await bench.write(register.address, 0xFFFFFFFF)
    for register in register_map(CONFIG):
        keeps = register.access in (Access.CONFIG, Access.ALWAYS)
        expected = (1 << register.bits) - 1 if keeps else before[register.name]
        assert await bench.read(register.address) == expected, register.name


@port_test()
async def byte_strobes_write_single_bytes(dut):
    bench = await start(dut)
    address = registers()["INTERVAL"].address
    await bench.write(address, 0x11223344)
    await bench.registers.write(address + 1, b"\xaa")
    await bench.registers.write(address + 3, b"\xbb")
    assert await bench.read(address) == 0xBB22AA44


@port_test()
async def absent_registers_answer_with_an_error(dut):
    bench = await start(dut)
    absent = max(r.address for r in register_map(CONFIG)) + 4
    assert (await bench.registers.read(absent, 4)).resp == AxiResp.SLVERR
    assert (await bench.registers.write(absent, bytes(4))).resp == AxiResp.SLVERR
    assert (await bench.registers.read(0, 4)).resp == AxiResp.OKAY


@port_test()
async def stopped_core_refuses_packets_and_raises_its_interrupt(dut):
    bench, by_name = await start(dut), registers()
    await bench.write(by_name["INTERRUPT_ENABLE"].address, 1 << Interrupt.ERROR)
    assert dut.irq.value == 0
    await bench.send([header(Kind.UPDATE), 0])
    assert await bench.receive() == [int(Kind.ERROR) | int(ErrorCode.STOPPED) << 8, 0]
    await ClockCycles(dut.clk, 10)
    assert dut.irq.value == 1
    assert await bench.read(by_name["STATUS"].address) >> 8 == ErrorCode.STOPPED
    await bench.write(by_name["INTERRUPT_STATUS"].address, 1 << Interrupt.ERROR)
    await ClockCycles(dut.clk, 2)
    assert dut.irq.value == 0
    await bench.write(by_name["CONTROL"].address, 1 << Control.CLEAR_ERROR)
    assert await bench.read(by_name["STATUS"].address) >> 8 == ErrorCode.NONE


@port_test()
async def reset_in_the_middle_of_a_packet_forgets_it(dut):
    bench = await start(dut)
    await bench.send([header(Kind.SAMPLE, 1), 100, *range(40)])
    await ClockCycles(dut.clk, 20)
    bench = await start(dut)
    await bench.send([header(Kind.UPDATE), 0])
    assert await bench.receive() == [int(Kind.ERROR) | int(ErrorCode.STOPPED) << 8, 0]


async def carry_out(bench, steps) -> None:
    """Recorded accesses: packets give the recorded results, registers come to the recorded values."""
    for number, (what, *details) in enumerate(steps):
        where = f"step {number} of {len(steps)}"
        if what == "write":
            await bench.write(*details)
        elif what == "read":
            address, expected = details
            for _ in range(POLLS):  # the golden device works in no time
                value = await bench.read(address)
                if value == expected:
                    break
            assert value == expected, f"{where}: register 0x{address:03X}"
        else:
            packets, results = details
            for packet in packets:
                await bench.send(packet)
            for n, expected in enumerate(results):
                assert await bench.receive() == expected, f"{where}: result {n}"


async def play(dut, name: str, pause: float) -> None:
    """Every access of a recorded session, and nothing after it."""
    bench = await start(dut, pause=pause)
    await carry_out(bench, load_session(os.environ["COLDSPIKE_SESSIONS"], name))
    await ClockCycles(dut.clk, 200)
    assert bench.sink.empty() and bench.source.empty(), "something is left over"


@port_test(milliseconds=200)
async def resets_in_the_middle_of_training_leave_nothing_behind(dut):
    bench = await start(dut, pause=0.3)
    steps = load_session(os.environ["COLDSPIKE_SESSIONS"], f"{TRAINING} {Readout.POTENTIAL.name}")
    batches = [n for n, (what, *details) in enumerate(steps) if what == "exchange" and len(details[0]) > 3]
    for wait, number in zip((3, 40, 150, 400, 900), batches * 5):
        await carry_out(bench, steps[:number])
        for packet in steps[number][1]:
            await bench.send(packet)
        await ClockCycles(dut.clk, wait)
        await bench.reset()
    await carry_out(bench, steps)
    assert bench.sink.empty() and bench.source.empty()


for _name in (ERRORS, *(f"{TRAINING} {readout.name}" for readout in Readout)):
    for _pauses, _probability in PAUSE.items():
        def _session(dut, name=_name, probability=_probability):
            return play(dut, name, probability)
        _test = f"{_name}_{_pauses}".replace(" ", "_").lower()
        globals()[_test] = port_test(name=_test, milliseconds=200)(_session)
