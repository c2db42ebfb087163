"""Cycle by cycle stimuli, recordings, and memories that answer a component's read ports."""

from collections import deque

from amaranth.hdl import Value

from .support import simulate

__all__ = ["lanes_of", "play", "read_port", "set_all"]


def lanes_of(dut, name):
    """The signals of a member: one, or those of an array."""
    member = getattr(dut, name)
    return list(member) if isinstance(member, list | tuple) else [member]


def set_all(ctx, dut, values):
    """Sets members of ``dut`` by name; an array takes a list."""
    for name, value in values.items():
        member = getattr(dut, name)
        if isinstance(member, list | tuple):
            for signal, element in zip(member, value, strict=True):
                ctx.set(signal, element)
        else:
            ctx.set(member, value)


def play(dut, cycles, outputs, *, stable=None, rest=0, background=(), deadline=20_000):
    """Drives one dict of inputs a cycle (inputs that it leaves out are zero) and ``rest`` idle cycles.

    Returns the ``outputs`` (names) as before each clock edge, a dict a cycle; an array gives a list. ``stable`` inputs
    are set once. Entry n of the recording belongs to entry n of ``cycles``.
    """
    cycles = list(cycles) + [{}] * rest
    trace = []

    async def bench(ctx):
        set_all(ctx, dut, stable or {})
        before = {}
        for inputs in cycles:
            for name in before.keys() - inputs.keys():
                for signal in lanes_of(dut, name):
                    ctx.set(Value.cast(signal), 0)
            set_all(ctx, dut, inputs)
            before = inputs
            groups = [lanes_of(dut, name) for name in outputs]
            _, _, *values = await ctx.tick().sample(*[signal for group in groups for signal in group])
            values, record = iter(values), {}
            for name, group in zip(outputs, groups, strict=True):
                taken = [next(values) for _ in group]
                record[name] = taken if isinstance(getattr(dut, name), list | tuple) else taken[0]
            trace.append(record)

    simulate(dut, bench, background=background, deadline=deadline)
    return trace


def read_port(en, address, data, lookup, *, latency=1):
    """Background process that answers read requests: ``data`` becomes ``lookup(address)`` after ``latency`` cycles.

    ``address`` may be a list of signals, ``data`` a list (``lookup`` then gives a list). The data hold between reads.
    """
    addresses = address if isinstance(address, list | tuple) else [address]

    async def run(ctx):
        waiting = deque([None] * (latency - 1))
        while True:
            _, _, enabled, *asked = await ctx.tick().sample(en, *addresses)
            waiting.append(lookup(*asked) if enabled else None)
            value = waiting.popleft()
            if value is not None and isinstance(data, list | tuple):
                for signal, element in zip(data, value, strict=True):
                    ctx.set(signal, element)
            elif value is not None:
                ctx.set(data, value)
    return run
