"""Simulation helpers shared by the tests of components."""

import gc
import itertools
import warnings

from amaranth.hdl import Module, Signal, UnusedElaboratable
from amaranth.sim import Simulator

PAUSES = tuple(itertools.product((0.0, 0.4), (0.0, 0.5)))
"""(idle, stall): how often a source waits before it offers a word, and a sink before it takes one."""


def simulate(dut, *testbenches, background=(), deadline=20_000):
    """Runs ``dut`` until all ``testbenches`` (async functions of a context) end; clock domain ``sync``.

    Processes in ``background`` may run forever. AssertionError after ``deadline`` cycles.
    """
    top = Module()
    top.submodules.dut = dut
    top.d.sync += Signal(name="clocked").eq(1)  # a domain, also for components that are combinational
    simulator = Simulator(top)
    simulator.add_clock(1e-8)

    for process in background:
        simulator.add_testbench(process, background=True)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    edges = 0
    while simulator.advance():  # one clock edge, rising or falling
        edges += 1
        assert edges <= 2 * deadline, f"still running after {deadline} cycles"


async def put(ctx, stream, payload):
    """Transfers one payload (a plain value or a dict of fields) into ``stream``."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    ready = 0
    while not ready:
        _, _, ready = await ctx.tick().sample(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx, stream):
    """Transfers one payload out of ``stream`` and returns it."""
    ctx.set(stream.ready, 1)
    valid = 0
    while not valid:
        _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
    ctx.set(stream.ready, 0)
    return payload


def source(stream, payloads, *, idle=0.0, rng=None):
    """Testbench that puts all ``payloads``; waits before each with probability ``idle`` a cycle."""
    async def run(ctx):
        for payload in payloads:
            while idle and rng.random() < idle:
                await ctx.tick()
            await put(ctx, stream, payload)
    return run


def sink(stream, collected, count=None, *, stall=0.0, rng=None):
    """Testbench that appends ``count`` payloads (None: forever) to ``collected``; waits with probability ``stall``."""
    async def run(ctx):
        for _ in range(count) if count is not None else itertools.count():
            while stall and rng.random() < stall:
                await ctx.tick()
            collected.append(await get(ctx, stream))
    return run


def watch(trace, **values):
    """Background process that appends a dict of ``values`` (as before each clock edge) to ``trace``, every cycle."""
    async def run(ctx):
        while True:
            _, _, *sampled = await ctx.tick().sample(*values.values())
            trace.append(dict(zip(values, sampled, strict=True)))
    return run


def cycle_of(trace, condition, *, after=0):
    """First cycle of ``trace``, from ``after`` on, whose values satisfy ``condition`` (a function of the dict)."""
    return next(n for n in range(after, len(trace)) if condition(trace[n]))


def refusal(build):
    """Text of the ValueError that ``build()`` raises, None if it raises none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)  # nobody can use what was refused
        try:
            build()
            text = None
        except ValueError as error:
            text = str(error)
        gc.collect()
    return text
