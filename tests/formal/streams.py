"""The rule of streams, for every stream output of the design: what is offered stays until it is taken."""

import dataclasses
from functools import partial

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from coldspike.hw.backward.error_sweep import ErrorSweep
from coldspike.hw.backward.feed import ErrorFeed
from coldspike.hw.control.sequencer import Sequencer
from coldspike.hw.core import TrainingCore
from coldspike.hw.forward.engine import ForwardEngine
from coldspike.hw.forward.rate_engine import RateForwardEngine
from coldspike.hw.forward.step_engine import StepForwardEngine
from coldspike.hw.io.memory_access import MemoryAccess
from coldspike.hw.io.packet_decoder import PacketDecoder
from coldspike.hw.io.stream_register import StreamRegister
from coldspike.hw.link.frame_sender import FrameSender
from coldspike.hw.link.replay_queue import ReplayQueue
from coldspike.hw.link.reply_writer import ReplyWriter
from coldspike.hw.readout.softmax import SoftmaxReadout
from coldspike.spec.config import CoreConfig, Rule

from .bench import Bench
from .proof import Fault, Proof

__all__ = ["BOTH", "CONFIG", "PROOFS"]

CONFIG = CoreConfig.for_network((3, 2, 2), lanes=2, weight_bits=4, weight_fraction=2, time_bits=4, gradient_bits=8, error_bits=8,
                                error_fraction=4, result_words=4)
"""The build of these proofs: two lanes, two weight layers, the narrowest formats."""

OVER_TIME = dataclasses.replace(CONFIG, rules=(Rule.SPARSE_BPTT,), max_steps=3, spike_entries=8, job_entries=4)
"""The same of rule sparse-bptt, with the shortest lists."""

RATED = dataclasses.replace(CONFIG, rules=(Rule.RATE,), max_steps=3, spike_entries=8)
"""The same of rule rate."""

BOTH = dataclasses.replace(OVER_TIME, rules=tuple(Rule))


def alone(component):
    """A component whose outputs keep the rule whatever its other inputs do."""
    bench = Bench(dut := component())
    bench.rule(dut)
    return bench


def replay_queue():
    """Nothing is taken back while a word is offered."""
    bench = Bench(dut := ReplayQueue(4, 4))
    bench.assume(~dut.o.valid | ~(dut.rewind | dut.clear))
    bench.rule(dut)
    return bench


def packet_decoder():
    bench = Bench(dut := PacketDecoder(CONFIG))
    bench.assume(~bench.before(dut.running) | ~dut.running | bench.steady(dut.network))
    bench.rule(dut)
    return bench


def memory_access():
    """The packet stands while busy, the network always."""
    bench = Bench(dut := MemoryAccess(CONFIG), fixed=("network",))
    bench.assume(~bench.before(dut.busy) | bench.steady(dut.packet))
    bench.rule(dut)
    bench.require(~dut.o_result.valid | dut.busy)
    bench.require(~dut.busy | bench.before(dut.busy | dut.start))
    bench.invariant(dut.busy == ~bench.in_state("IDLE"))
    return bench


WORD_SETTLES, LANE_SETTLES = 8, 4
"""Cycles from the request of a word, and from the choice of a lane, to the element at ``r_data``: the slowest memory's word takes
four, the lane's number, its multiplexer's two parts and that of the spaces one each."""


def memory_access_data():
    """Every element that is sent is that of the memory's word and the lane; until these have settled ``r_data`` is anything."""
    bench = memory_access()
    dut = bench.dut
    elements = [bench.free(64, f"element_{k}") for k in range(CONFIG.lanes)]
    bench.assume(bench.before(dut.r_en) | bench.steady(Cat(elements)))
    settled = Const(1)
    for cycles in range(LANE_SETTLES):
        settled = settled & bench.before(bench.steady(dut.lane), cycles)
    for cycles in range(1, WORD_SETTLES):
        settled = settled & ~bench.before(dut.r_en, cycles)
    element = bench.signal(bench.chosen(elements, dut.lane), "element")
    bench.assume(~settled | (dut.r_data.as_unsigned() == element))
    sent = dut.o_result.payload.data
    bench.require(~bench.in_state("SEND") | (sent == element[:32]) | (sent == element[32:]))
    return bench


def readout():
    """The forward engine sends the spikes of the output layer between ``start``, which comes while ``ready``, and the last one.
    ``status`` stands while the result is offered."""
    bench = Bench(dut := SoftmaxReadout(CONFIG))
    m, collecting = bench.m, Signal(name="collecting")
    spike = dut.spike.item & dut.spike_output
    bench.assume(~dut.start | dut.ready)
    bench.assume(~spike | collecting)
    bench.assume(~bench.before(dut.o_result.valid) | bench.steady(dut.status))
    with m.If(dut.start):
        m.d.sync += collecting.eq(1)
    with m.Elif(spike & dut.spike.layer_last):
        m.d.sync += collecting.eq(0)
    bench.rule(dut)
    bench.require(~dut.o_result.valid | ~dut.ready)
    bench.require(dut.ready | ~bench.begun | bench.before(~dut.ready | dut.start))
    bench.invariant(collecting == bench.in_state("COLLECT"))
    return bench


def forward():
    """The network stands still, ``start`` comes while not busy. Scan and firing rule are cut out: spikes, and the end of a layer,
    may come at any time."""
    bench = Bench(dut := ForwardEngine(CONFIG), fixed=("network", "readout"))
    for part in ("rule", "scan", "tape"):
        bench.cut(part)
    some_network(bench)
    bench.assume(~dut.start | ~dut.busy)
    bench.source(dut.i_payload)
    return bench


def some_network(bench):
    """The network of the device has layers and blocks that its build has."""
    network = bench.dut.network
    bench.assume((network.layers >= 1) & (network.layers <= CONFIG.max_layers))
    for l in range(CONFIG.max_layers + 1):
        bench.assume((network.blocks[l] >= 1) & (network.blocks[l] <= -(-CONFIG.max_neurons // CONFIG.lanes)))


def step_events():
    """As ``forward_events``, of a rule over time. The list's memory keeps what was read until the next read; its length stands."""
    bench = Bench(dut := StepForwardEngine(OVER_TIME), fixed=("network", "steps", "leak", "window", "spikes_r_count"))
    for part in ("rule", "scan"):
        bench.cut(part)
    some_network(bench)
    bench.assume((dut.steps >= 1) & (~dut.start | ~dut.busy))
    bench.assume(bench.before(dut.spikes_r_en) | bench.steady(dut.spikes_r_entry))
    bench.source(dut.i_payload)
    keeps_events(bench)
    return bench


def error_jobs():
    """Jobs into the error lanes: one that waits is not overtaken by another, nor by a look. Both lists keep what was read until the
    next read; they stand while busy."""
    lists = ("job", "active")
    bench = Bench(dut := ErrorSweep(OVER_TIME), fixed=("in_blocks", "n_in", "sum_base", "column_base", "feedback_offset", "shift",
                                                       *(f"{name}_count" for name in lists)))
    bench.assume((dut.in_blocks >= 1) & (~dut.start | ~dut.busy))
    for name in lists:
        bench.assume(bench.before(getattr(dut, f"{name}_en")) | bench.steady(getattr(dut, f"{name}_entry")))
    jobs = bench.part("lanes").i_jobs
    bench.require(bench.kept(jobs.valid, jobs.ready, jobs.payload))
    return bench


def rate_forward():
    """As ``forward``, of rule rate: passes, scans and the firing rule are cut out: spikes and ends may come at any time."""
    bench = Bench(dut := RateForwardEngine(RATED), fixed=("network", "steps", "coded", "ticks"))
    for part in ("traces", "mask_scan", "scan", "rule", "tape"):
        bench.cut(part)
    some_network(bench)
    bench.assume((dut.steps >= 1) & (~dut.start | ~dut.busy))
    bench.source(dut.i_payload)
    return bench


def rate_events():
    bench = rate_forward()
    keeps_events(bench)
    return bench


def forward_busy(engine=forward):
    bench = engine()
    dut = bench.dut
    bench.require(~dut.output_start | dut.busy & dut.readout_ready)
    bench.require(~dut.busy | bench.before(dut.busy | dut.start))
    return bench


def forward_events():
    """Events into the accumulator."""
    bench = forward()
    keeps_events(bench)
    return bench


def keeps_events(bench):
    """Events into the device's accumulator keep the rule; of an end token only the end means anything."""
    events = bench.part("accumulator").i_events
    end = events.payload.end
    bench.require(bench.kept(events.valid, events.ready, end, Mux(end, 0, Value.cast(events.payload))))


def core_results():
    """The core's result output, which three units share. The units are cut out; of them is assumed what the proofs of each show:
    they keep the rule, the readout is not ready while it has a result and stays ready until it is started, the memory access is
    busy while it has one, and what is not busy becomes so only by its start."""
    bench = Bench(dut := TrainingCore(CONFIG), fixed=("network",))
    for name in ("weights", "feedback", "tapes", "lists", "gradients"):
        bench.cut(name)
    forward, unit, access = bench.cut("forward"), bench.cut("softmax_readout"), bench.cut("memory_access")
    for name in ("backward", "update", "transport"):
        bench.cut(name)
    for part in (unit, access):
        bench.assume(bench.kept(part.o_result.valid, part.o_result.ready, part.o_result.payload))
    bench.assume(~unit.o_result.valid | ~unit.ready)
    bench.assume(unit.ready | bench.before(~unit.ready | unit.start))
    bench.assume(~access.o_result.valid | access.busy)
    bench.assume(~forward.output_start | forward.busy & forward.readout_ready)
    for part in (forward, access):
        bench.assume(~part.busy | bench.before(part.busy | part.start))
    bench.rule(dut)
    seq = bench.part("sequencer")
    sources = [source.o_result.valid for source in (unit, access, seq)]
    bench.require(sum(sources) <= 1)
    # Between packets anything may run; a packet that is not a sample is carried out while everything else rests.
    resting = unit.ready & ~forward.busy
    for state in ("UPDATE", "TRANSPORT", "ACCESS", "RESULT"):
        bench.invariant(~bench.in_state("sequencer", state) | resting)
    bench.invariant(~access.busy | bench.in_state("sequencer", "ACCESS"))
    return bench


READY = "self.i.ready.eq(~self.o.valid if self._cut else ~self.o.valid | self.o.ready)"

PROOFS = (
    Proof(name="stream-register", build=partial(alone, partial(StreamRegister, 8)), claim="o keeps the rule",
          faults=(Fault(name="always-ready", file="hw/io/stream_register.py",
                        old=READY, new="self.i.ready.eq(1)"),)),
    Proof(name="stream-register-cut", build=partial(alone, partial(StreamRegister, 8, cut=True)), claim="o keeps the rule",
          faults=(Fault(name="ready-while-full", file="hw/io/stream_register.py",
                        old=READY, new="self.i.ready.eq(1)"),)),
    Proof(name="frame-sender", build=partial(alone, FrameSender), claim="o keeps the rule", fault_depth=10,
          faults=(Fault(name="escapes-on", file="hw/link/frame_sender.py",
                        old="            with m.If(valid & self.o.ready):", new="            with m.If(valid):"),)),
    Proof(name="reply-writer", build=partial(alone, partial(ReplyWriter, 4)), claim="o keeps the rule", fault_depth=12,
          faults=(Fault(name="words-run-on", file="hw/link/reply_writer.py",
                        old="self.words.ready.eq(self.o.ready & (byte == 3))", new="self.words.ready.eq(byte == 3)"),)),
    Proof(name="replay-queue", build=replay_queue, claim="o keeps the rule", fault_depth=10,
          faults=(Fault(name="fetches-on", file="hw/link/replay_queue.py",
                        old="fetch.eq((fetched != committed) & (~loaded | self.o.ready))", new="fetch.eq(fetched != committed)"),)),
    Proof(name="packet-decoder", build=packet_decoder, claim="o_descriptor and o_payload keep the rule", fault_depth=14,
          faults=(Fault(name="takes-on", file="hw/io/stream_register.py",
                        old=READY, new="self.i.ready.eq(1)"),)),
    Proof(name="error-feed", build=partial(alone, partial(ErrorFeed, CONFIG)), claim="o_jobs keeps the rule", fault_depth=10,
          faults=(Fault(name="never-stalls", file="hw/backward/feed.py",
                        old="advance.eq(~valid[7] | self.o_jobs.ready)", new="advance.eq(1)"),)),
    Proof(name="readout", build=readout, claim="o_result keeps the rule; no result while ready", fault_depth=10,
          faults=(Fault(name="header-changes", file="hw/readout/softmax.py",
                        old="m.d.comb += result.data.eq(sample.sequence)",
                        new="m.d.comb += result.data.eq(sample.sequence + self.backward_ready)"),)),
    Proof(name="sequencer", build=partial(alone, partial(Sequencer, CONFIG)), claim="o_result keeps the rule", fault_depth=8,
          faults=(Fault(name="word-runs-on", file="hw/control/sequencer.py",
                        old="                with m.If(self.o_result.ready):", new="                with m.If(1):"),)),
    Proof(name="memory-access", build=memory_access, claim="o_result keeps the rule; results only while busy", fault_depth=10,
          faults=(Fault(name="last-follows-ready", file="hw/io/memory_access.py", old="result.last.eq(nothing)",
                        new="result.last.eq(nothing & self.o_result.ready)"),)),
    Proof(name="memory-access-data", build=memory_access_data, mode="bmc", depth=24, claim="what is sent is what the memory holds",
          faults=(Fault(name="does-not-wait", file="hw/io/memory_access.py", old='m.next = "WAIT"', new='m.next = "SELECT"'),)),
    Proof(name="core-results", build=core_results, claim="one unit at a time has a result; o_result keeps the rule", fault_depth=8,
          faults=(Fault(name="access-at-once", file="hw/control/sequencer.py",
                        old="with m.Elif(self.i_descriptor.valid & self.quiet):",
                        new="with m.Elif(self.i_descriptor.valid):"),)),
    Proof(name="forward-busy", build=forward_busy, fault_depth=12,
          claim="only start makes it busy; the output layer starts when the readout is ready",
          faults=(Fault(name="readout-not-asked", file="hw/forward/engine.py",
                        old="with m.If(self.readout_ready):", new="with m.If(1):"),)),
    Proof(name="forward-events", build=forward_events, mode="bmc", depth=20, fault_depth=8,
          claim="events into the accumulator keep the rule",
          faults=(Fault(name="counts-on", file="hw/forward/engine.py",
                        old="with m.If(taken & from_host & ~events.payload.end):",
                        new="with m.If(events.valid & from_host & ~events.payload.end):"),)),
    Proof(name="rate-busy", build=partial(forward_busy, rate_forward), fault_depth=16,
          claim="of rule rate: only start makes it busy; the output layer starts when the readout is ready",
          faults=(Fault(name="readout-not-asked", file="hw/forward/rate_engine.py",
                        old="with m.If(self.readout_ready):", new="with m.If(1):"),)),
    Proof(name="rate-events", build=rate_events, mode="bmc", depth=20, fault_depth=10,
          claim="events of rule rate into the accumulator keep the rule",
          faults=(Fault(name="takes-on", file="hw/forward/rate_engine.py",
                        old="(~wanted | (now & events.ready))", new="(~wanted | now)"),)),
    Proof(name="step-events", build=step_events, mode="bmc", depth=20, fault_depth=14,
          claim="events of a rule over time into the accumulator keep the rule",
          faults=(Fault(name="reads-on", file="hw/forward/step_engine.py",
                        old="self.spikes_r_en.eq(more & (~pending | events.ready))", new="self.spikes_r_en.eq(more)"),)),
    Proof(name="error-jobs", build=error_jobs, mode="bmc", depth=20, fault_depth=14,
          claim="jobs into the error lanes keep the rule",
          faults=(Fault(name="loads-early", file="hw/backward/error_sweep.py",
                        old="(~jobs_left | take_job))", new="(~jobs_left | lanes.i_jobs.valid))"),)),
)
