"""A device under proof: free inputs, what is assumed of them, what must hold, and a view of the device's state."""

import linecache

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, ClockDomain, Fragment, MemoryInstance, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

__all__ = ["Bench", "streams_of"]


def streams_of(component, flow):
    """(name, stream) of each stream of ``component`` that flows ``flow``; a stream in an array is not looked for."""
    return [(name, getattr(component, name)) for name, member in component.signature.members.items()
            if member.is_signature and member.flow is flow and {"payload", "valid", "ready"} <= set(member.signature.members)]


class Bench:
    """Every input of ``dut`` is free in every cycle, unless ``fixed`` names it: those never change.

    The clock's registers begin with their power-up values and reset is left out: it would only bring these back.
    """

    induction = True
    """Whether benches claim their invariants too."""

    def __init__(self, dut, *, fixed=()):
        self.dut, self.m = dut, Module()
        self._clock = ClockDomain("sync", reset_less=True)
        self.m.domains += self._clock
        self.m.submodules.dut = self._fragment = Fragment.get(dut, None)
        self._inputs = [Value.cast(value) for _, member, value in dut.signature.flatten(dut) if member.flow is In]
        self._count = 0
        self.begun = Signal()  # 0 in the first cycle
        self.m.d.sync += self.begun.eq(1)
        for name in fixed:
            self._fix(getattr(dut, name))

    # -- environment -------------------------------------------------------------------------------
    def free(self, shape, name):
        """A signal with any value in every cycle."""
        signal = Signal(shape, name=name)
        self._inputs.append(Value.cast(signal))
        return signal

    def constant(self, shape, name):
        """A signal with any value, the same in every cycle."""
        signal = self.free(shape, name)
        self._fix(signal)
        return signal

    def _fix(self, signal):
        self.assume(~self.begun | (Value.cast(signal) == self.before(signal)))

    def assume(self, condition):
        self.m.d.comb += Assume(condition)

    def source(self, stream):
        """Assumes that the source of ``stream`` keeps the rule that a stream's output must keep."""
        self.assume(self.kept(stream.valid, stream.ready, stream.payload))

    # -- claims ------------------------------------------------------------------------------------
    def require(self, condition, *, src_loc_at=0):
        """What is claimed."""
        self.m.d.comb += Assert(condition, src_loc_at=src_loc_at + 1)

    def invariant(self, condition):
        """What is claimed only to help the induction step; proven too, but a broken variant must violate a ``require``."""
        if self.induction:
            self.m.d.comb += Assert(condition, src_loc_at=1)

    def rule(self, component):
        """Claims the rule of streams for every stream output of ``component``, assumes it of its stream inputs."""
        for _, stream in streams_of(component, In):
            self.source(stream)
        for _, stream in streams_of(component, Out):
            self.require(self.kept(stream.valid, stream.ready, stream.payload), src_loc_at=1)

    def kept(self, valid, ready, *payload):
        """The rule of all streams: what is offered stays, with its payload, until it is taken."""
        waiting = self.before(valid & ~ready)
        same = 1
        for part in payload:
            same = same & (Value.cast(part) == self.before(part))
        return ~waiting | (valid & same)

    # -- helpers -----------------------------------------------------------------------------------
    def steady(self, value):
        """Whether ``value`` is what it was one cycle ago."""
        return Value.cast(value) == self.before(value)

    def signal(self, value, name):
        """A signal that carries ``value``; traces show it under this name."""
        value = Value.cast(value)
        signal = Signal(value.shape(), name=name)
        self.m.d.comb += signal.eq(value)
        return signal

    def before(self, value, cycles=1):
        """``value`` as it was ``cycles`` cycles ago, 0 before the first."""
        value = Value.cast(value)
        for _ in range(cycles):
            self._count += 1
            late = Signal(value.shape(), name=f"before_{self._count}")
            self.m.d.sync += late.eq(value)
            value = late
        return value

    def chosen(self, items, index):
        """Item ``index`` of a list of values."""
        result = Value.cast(items[-1])
        for n in reversed(range(len(items) - 1)):
            result = Mux(index == n, items[n], result)
        return result

    # -- inside the device -------------------------------------------------------------------------
    def _part(self, *path):
        fragment = self._fragment
        for name in path:
            fragment = fragment.find_subfragment(name)
        return fragment

    def part(self, *path):
        """The component that lies in the device under the names of submodules ``path``."""
        return self._part(*path).origins[0]

    def state(self, *path):
        """The signal that ``path`` (names of submodules, last the signal's own) leads to. KeyError unless there is just one."""
        statements, name = self._part(*path[:-1]).statements.values(), path[-1]
        signals = {signal.duid: signal for part in statements for signal in (*part._lhs_signals(), *part._rhs_signals())}
        found = [signal for signal in signals.values() if signal.name == name] or self._of_a_tuple(signals, name)
        if len(found) != 1:
            raise KeyError(f"{len(found)} signals named {'.'.join(path)}, not one: the proof does not fit the device")
        return found[0]

    @staticmethod
    def _of_a_tuple(signals, name):
        """Signals that one line gives to several names do not know theirs."""
        lines, found = {}, []
        for place in sorted(signals):
            lines.setdefault(signals[place].src_loc, []).append(signals[place])
        for (file, number), made in lines.items():
            names = [target.strip() for target in linecache.getline(file, number).partition("=")[0].split(",")]
            if len(names) == len(made) > 1 and name in names:
                found.append(made[names.index(name)])
        return found

    def in_state(self, *path):
        """Whether the machine of the submodule ``path[:-1]`` is in the state named ``path[-1]``."""
        machine = self._part(*path[:-1]).generated["fsm"]
        return machine.state == machine.encoding[path[-1]]

    def memory(self, *path, address):
        """The word that the memory at ``path`` holds at ``address``, by a read port that only the proof has."""
        instance = self.memories(*path)
        data = Signal(instance._data.shape, name=f"{'_'.join(path)}_word")
        index = Signal((instance._data.depth - 1).bit_length(), name=f"{'_'.join(path)}_address")
        self.m.d.comb += index.eq(address)
        instance.read_port(domain="comb", addr=index, data=Value.cast(data), en=Value.cast(1), transparent_for=())
        return data

    def memories(self, *path):
        """The memory at ``path``."""
        instance = self._part(*path)
        if not isinstance(instance, MemoryInstance):
            raise KeyError(f"{'.'.join(path)} is not a memory: the proof does not fit the device")
        return instance

    def cut(self, *path):
        """Takes the part at ``path`` out; its outputs become free. What is proven then holds whatever the part does."""
        parent, name = self._part(*path[:-1]), path[-1]
        part = self.part(*path)
        parent.subfragments = [item for item in parent.subfragments if item[1] != name]
        for _, member, value in part.signature.flatten(part):
            if member.flow is not In:
                self._inputs.append(Value.cast(value))
        return part

    def rtlil(self):
        """The whole as RTLIL, module ``top``."""
        return rtlil.convert(self.m, ports=[self._clock.clk, *self._inputs])
