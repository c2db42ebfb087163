"""AXI ports: the rule of the channels that the device drives, transactions of slave and master, and the pins of the whole."""

from amaranth.hdl import Cat, Mux, Signal

from coldspike.hw.io.axi_lite import AxiLiteSlave, Response
from coldspike.hw.io.register_file import RegisterFile
from coldspike.hw.link.register_access import RegisterAccess
from coldspike.hw.top import Coldspike

from .bench import Bench
from .proof import Fault, Proof
from .streams import CONFIG

__all__ = ["PROOFS"]


def keeps_responses(bench, axi):
    """The rule on the two channels that a slave drives."""
    bench.require(bench.kept(axi.bvalid, axi.bready, axi.bresp))
    bench.require(bench.kept(axi.rvalid, axi.rready, axi.rdata, axi.rresp))


def accesses(bench, taken, ready, strobe, answered, valid, leaves, response, expected):
    """One direction: ``taken`` are its address (and data) handshakes, each of which makes one access and one response.

    A channel is ready until it has been taken; the access follows when all have been; then one response leaves. In the cycle of
    ``answered`` the access is answered as ``expected``.
    """
    m, pending, owed = bench.m, [], Signal(name=f"owed_{strobe.name}")
    for n, (handshake, is_ready) in enumerate(zip(taken, ready)):
        pending.append(Signal(name=f"pending_{strobe.name}_{n}"))
        with m.If(handshake):
            m.d.sync += pending[n].eq(1)
        with m.Elif(strobe):
            m.d.sync += pending[n].eq(0)
        bench.require(is_ready == ~pending[n])  # so nothing is taken twice before its access
        bench.require(~strobe | pending[n])
    free = ~owed | leaves
    everything = pending[0] if len(pending) == 1 else pending[0] & pending[1]
    bench.require(strobe == (everything & free))  # at once, when the response before has left
    with m.If(strobe):
        m.d.sync += owed.eq(1)
    with m.Elif(leaves):
        m.d.sync += owed.eq(0)
    late = 0 if answered is strobe else answered
    bench.require(valid == (owed & ~late))  # a response for every access, and for nothing else
    answer = Signal.like(expected, name=f"answer_{strobe.name}")
    with m.If(answered):
        m.d.sync += answer.eq(expected)
    bench.require(~valid | (response == answer))


def slave():
    bench = Bench(dut := AxiLiteSlave(4))
    axi, m = dut.axi, bench.m
    keeps_responses(bench, axi)
    aw, w, ar = axi.awvalid & axi.awready, axi.wvalid & axi.wready, axi.arvalid & axi.arready
    error = bench.signal(Mux(dut.write_error, Response.SLVERR, Response.OKAY), "write_response")
    accesses(bench, (aw, w), (axi.awready, axi.wready), dut.write, dut.write, axi.bvalid, axi.bvalid & axi.bready, axi.bresp, error)
    answer = bench.signal((dut.read_data << 2) | Mux(dut.read_error, Response.SLVERR, Response.OKAY), "read_response")
    accesses(bench, (ar,), (axi.arready,), dut.read, bench.before(dut.read), axi.rvalid,
             axi.rvalid & axi.rready, (axi.rdata << 2) | axi.rresp, answer)
    # The access is made with what was taken.
    for name, handshake, given, seen, strobe in (
            ("aw", aw, axi.awaddr[2:], dut.write_address, dut.write), ("wdata", w, axi.wdata, dut.write_data, dut.write),
            ("wstrb", w, axi.wstrb, dut.write_strobes, dut.write), ("ar", ar, axi.araddr[2:], dut.read_address, dut.read)):
        last = Signal.like(seen, name=f"last_{name}")
        with m.If(handshake):
            m.d.sync += last.eq(given)
        bench.require(~strobe | (seen == last))
        bench.invariant(seen == last)
    return bench


def master():
    """One command at a time, whose address and data stand until ``done``; the slave answers what it has taken, once."""
    bench = Bench(dut := RegisterAccess(4))
    bus, m = dut.bus, bench.m
    under_way, reads = Signal(name="under_way"), Signal(name="reads")
    bench.assume(~(dut.read & dut.write))
    bench.assume(~under_way | ~(dut.read | dut.write))
    bench.assume(~under_way | bench.steady(Cat(dut.address, dut.data)))
    with m.If(dut.read | dut.write):
        m.d.sync += [under_way.eq(1), reads.eq(dut.read)]
    with m.Elif(dut.done):
        m.d.sync += under_way.eq(0)

    answered = Signal(name="answered")  # since the command
    with m.If((bus.rvalid & bus.rready) | (bus.bvalid & bus.bready)):
        m.d.sync += answered.eq(1)
    with m.If(dut.read | dut.write):
        m.d.sync += answered.eq(0)
    taken = {}
    for name, valid, ready, facts, is_mine in (("ar", bus.arvalid, bus.arready, bus.araddr, reads),
                                               ("aw", bus.awvalid, bus.awready, bus.awaddr, ~reads),
                                               ("w", bus.wvalid, bus.wready, Cat(bus.wdata, bus.wstrb), ~reads)):
        taken[name] = Signal(name=f"taken_{name}")
        with m.If(valid & ready):
            m.d.sync += taken[name].eq(1)
        with m.If(dut.read | dut.write):
            m.d.sync += taken[name].eq(0)
        bench.require(bench.kept(valid, ready, facts))
        bench.require(valid == (under_way & is_mine & ~taken[name]))  # offered at once, and taken once for a command
    bench.assume(~bus.rvalid | (under_way & reads & taken["ar"] & ~answered))
    bench.assume(~bus.bvalid | (under_way & ~reads & taken["aw"] & taken["w"] & ~answered))
    bench.require(bus.rready == (under_way & reads & ~answered))
    bench.require(bus.bready == (under_way & ~reads & ~answered))
    bench.require(~bus.arvalid | (bus.araddr == dut.address))
    bench.require(~bus.awvalid | (bus.awaddr == dut.address))
    bench.require(~bus.wvalid | ((bus.wdata == dut.data) & bus.wstrb.all()))

    bench.require(dut.done == (under_way & answered))  # in the cycle after the answer, once
    answer = Signal(34, name="answer")
    with m.If(bus.rvalid & bus.rready):
        m.d.sync += answer.eq(Cat(bus.rdata, bus.rresp))
    with m.If(bus.bvalid & bus.bready):
        m.d.sync += answer.eq(Cat(answer[:32], bus.bresp))
    bench.require(~dut.done | (dut.known == (answer[32:] == Response.OKAY)))
    bench.require(~dut.done | ~reads | (dut.value == answer[:32]))
    return bench


def register_file():
    bench = Bench(dut := RegisterFile(CONFIG))
    keeps_responses(bench, dut.bus)
    return bench


def pins():
    """The whole without its core, whose outputs may do anything."""
    bench = Bench(dut := Coldspike(CONFIG))
    bench.cut("core")
    bench.require(bench.kept(dut.m_axis_tvalid, dut.m_axis_tready, dut.m_axis_tdata, dut.m_axis_tlast))
    bench.require(bench.kept(dut.s_axi_bvalid, dut.s_axi_bready, dut.s_axi_bresp))
    bench.require(bench.kept(dut.s_axi_rvalid, dut.s_axi_rready, dut.s_axi_rdata, dut.s_axi_rresp))
    return bench


PROOFS = (
    Proof(name="axi-lite-slave", build=slave, depth=8, fault_depth=6,
          claim="B and R keep the rule; one access and one response for each write and read, with what was taken",
          faults=(
              Fault(name="response-overwritten", file="hw/io/axi_lite.py",
                    old="self.read.eq(have_read & (~axi.rvalid | axi.rready))", new="self.read.eq(have_read)"),
              Fault(name="write-without-data", file="hw/io/axi_lite.py",
                    old="self.write.eq(have_address & have_data &", new="self.write.eq(have_address &"),
              Fault(name="response-lost", file="hw/io/axi_lite.py",
                    old="with m.Elif(axi.bready):", new="with m.Else():"),
          )),
    Proof(name="register-file", build=register_file, claim="B and R keep the rule", fault_depth=6,
          faults=(Fault(name="response-withdrawn", file="hw/io/axi_lite.py",
                        old="with m.Elif(axi.rready):", new="with m.Else():"),)),
    Proof(name="axi-lite-master", build=master, depth=8, fault_depth=8,
          claim="AR, AW and W keep the rule; one access for each command, with its address and data; its answer is the slave's",
          faults=(
              Fault(name="address-withdrawn", file="hw/link/register_access.py",
                    old="valid.eq(begins | (valid & ~ready))", new="valid.eq(begins)"),
              Fault(name="address-again", file="hw/link/register_access.py",
                    old="valid.eq(begins | (valid & ~ready))", new="valid.eq(begins | valid)"),
              Fault(name="answers-early", file="hw/link/register_access.py",
                    old="(writing & bus.bvalid)", new="(writing & bus.awready)"),
              Fault(name="answers-wrong", file="hw/link/register_access.py",
                    old="with m.If(reading):", new="with m.If(writing):"),
          )),
    Proof(name="pins", build=pins, claim="m_axis, s_axi_b and s_axi_r keep the rule", fault_depth=8,
          faults=(
              Fault(name="results-run-on", file="hw/top.py",
                    old="results.o.ready.eq(self.m_axis_tready)", new="results.o.ready.eq(1)"),
              Fault(name="response-withdrawn", file="hw/io/axi_lite.py",
                    old="with m.Elif(axi.bready):", new="with m.Else():"),
          )),
)
