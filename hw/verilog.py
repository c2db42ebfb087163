"""Verilog text and a JSON description of one build. Both depend on the configuration and the sources only."""

import gc
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from amaranth.back import rtlil, verilog
from amaranth.lib import wiring

from ..spec.config import CoreConfig
from ..spec.errors import REMEDIES, ErrorCode
from ..spec.packets import FIRED_BIT, TWO_WORD_SPACES, WRITABLE_SPACES, Kind, Space
from ..spec.registers import Register, core_digest, register_map

__all__ = ["PORTS", "TOP", "Port", "convert", "description", "emit", "generate"]

TOP = "coldspike"
"""Name of the Verilog module."""


@dataclass(frozen=True)
class Port:
    """A pin of the top module; ``direction`` is "input" or "output", as the core sees it."""

    name: str
    direction: str
    bits: int
    text: str


def _ports() -> tuple[Port, ...]:
    inputs_outputs = {
        "s_axi_": ("register port", "awaddr:12> awprot:3> awvalid> awready< wdata:32> wstrb:4> wvalid> wready< "
                   "bresp:2< bvalid< bready> araddr:12> arprot:3> arvalid> arready< rdata:32< rresp:2< rvalid< rready>"),
        "s_axis_": ("packets in", "tdata:32> tvalid> tready< tlast>"),
        "m_axis_": ("results out", "tdata:32< tvalid< tready> tlast<"),
    }
    out = [Port("clk", "input", 1, "clock, rising edge"), Port("rst", "input", 1, "reset, synchronous, active high")]
    for prefix, (text, pins) in inputs_outputs.items():
        for pin in pins.split():
            name, _, bits = pin[:-1].partition(":")
            out.append(Port(prefix + name, "input" if pin[-1] == ">" else "output", int(bits or 1), text))
    return (*out, Port("irq", "output", 1, "interrupt, level, active high"))


PORTS = _ports()
"""Every pin of the top module, ARM's names in lower case."""


@contextmanager
def _quick_conversion() -> Iterator[None]:
    """Makes Amaranth skip initial values of memories that are zero throughout, and Python its garbage collection.

    Memories are spelled out bit by bit otherwise: 85 % of the conversion time and 97 % of the text at 32 lanes.
    Collections find nothing among the millions of small objects that are all in use: a quarter of the rest.
    """
    collecting = gc.isenabled()
    emit = rtlil.ModuleEmitter.emit_memory

    def emit_memory(self, cell_index, cell):
        if any(cell.init):
            emit(self, cell_index, cell)

    rtlil.ModuleEmitter.emit_memory = emit_memory
    gc.disable()
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_memory = emit
        if collecting:
            gc.enable()


_MEMORY = re.compile(r"^  reg (?:\[\d+:0\] )?(?P<name>\S+) *\[(?P<top>\d+):0\];$")


_REPEATED_BIT = re.compile(r"((?:\\\S+ |[A-Za-z_]\w*) ?\[\d+\])(?:, \1)+")


def _short_extensions(text: str) -> str:
    """Writes sign extensions as replications; simulators do not recognise a list of equal bits."""
    return _REPEATED_BIT.sub(lambda m: f"{{{m[0].count(m[1])}{{{m[1]}}}}}", text)


_NEXT = r"\\\$\d+ "
_REGISTER = re.compile(rf"^  always @\(posedge clk\)\n    (\S+ ?) ?<= ({_NEXT});\n", re.M)
_PROCESS = re.compile(r"^  always @\* begin\n(?:    if \(\\\$auto\S+ \) begin end\n)?((?:    .*\n)*?)  end\n", re.M)
_ASSIGNMENT = re.compile(r"^(\s*)(\{ [^=]* \} |(?:\\\S+ |[A-Za-z_]\w*) *(?:\[[^\]]*\] *)?)= (.*)$", re.M)
_NAME = re.compile(r"\\\S+ |[A-Za-z_]\w*")


def _clocked_registers(module: str) -> str:
    """Moves each register's next-value process into its clocked one: ``always @(posedge clk) if (enable) x <= ...``.

    Amaranth computes next values apart, ``always @* begin next = x; if (enable) next = ...; end``. A simulator
    then works out every value in every cycle; this way it skips what is not enabled: half the instructions of a cycle.
    Only processes that set one variable, which nothing but its register reads, are moved.
    """
    uses = Counter(re.findall(_NEXT, module))
    registers = {m[2]: m[1].strip() for m in _REGISTER.finditer(module)}

    def move(process: re.Match) -> str:
        body = process[1]
        assignments = list(_ASSIGNMENT.finditer(body))
        targets = {name for assignment in assignments for name in _NAME.findall(assignment[2])}
        target = targets.pop() if len(targets) == 1 else None
        if target not in registers or uses[target] != body.count(target) + 2:  # its declaration and its register
            return process[0]
        if any(target in assignment[3] for assignment in assignments):
            return process[0]
        moved.add(target)
        name = registers[target]
        body = _ASSIGNMENT.sub(lambda m: f"{m[1]}{m[2].rstrip().replace(target.rstrip(), name)} <= {m[3]}", body)
        for keeps in (f"    {name} <= {name} ;\n", f"    {name} <= {name};\n"):
            body = body.replace(keeps, "", 1)
        return f"  always @(posedge clk) begin\n{body}  end\n"

    moved: set[str] = set()
    module = _PROCESS.sub(move, module)
    module = _REGISTER.sub(lambda m: "" if m[2] in moved else m[0], module)
    return re.sub(rf"^  reg (?:\[\d+:0\] )?({_NEXT});\n", lambda m: "" if m[1] in moved else m[0], module, flags=re.M)


def _zero_memories(text: str) -> str:
    """Gives each memory without initial values a loop that clears it. Synthesis skips it: an FPGA's block RAM is zero at
    power-up, and yosys would write out every word."""
    lines = text.split("\n")
    filled = {m[1] for m in (re.match(r"^    (\S+) *\[0\] = ", line) for line in lines) if m}
    out = []
    for line in lines:
        out.append(line)
        memory = _MEMORY.match(line)
        if memory and memory["name"] not in filled:
            name, top = memory["name"], memory["top"]
            # An escaped identifier ends with white space; loop and block names are our own and unique in a module.
            out += ["`ifndef SYNTHESIS", f"  initial begin : clear_{len(out)}", "    integer word;",
                    f"    for (word = 0; word <= {top}; word = word + 1) {name} [word] = 0;", "  end", "`endif"]
    return "\n".join(out)


def _check_ports(component: wiring.Component) -> None:
    """ValueError when the component's members are not exactly PORTS (clock and reset aside)."""
    wanted = {p.name: (wiring.In if p.direction == "input" else wiring.Out, p.bits) for p in PORTS[2:]}
    found = {"__".join(map(str, path)): (member.flow, len(value.as_value() if hasattr(value, "as_value") else value))
             for path, member, value in component.signature.flatten(component)}
    for name in wanted.keys() | found.keys():
        if wanted.get(name) != found.get(name):
            raise ValueError(f"port {name} of {type(component).__name__} is {found.get(name)}, "
                             f"the pin list in hw/verilog.py has {wanted.get(name)}")


def convert(component: wiring.Component) -> str:
    """Verilog of ``component``, which has the pins PORTS, as module ``coldspike``.

    Raises
    ------
    ValueError : its members are not those pins.
    """
    _check_ports(component)
    return emit(component, TOP)


def emit(component: wiring.Component, name: str) -> str:
    """Verilog of ``component`` as module ``name``, in the form that simulates fast."""
    with _quick_conversion():
        text = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
    modules = _short_extensions(text).split("\nendmodule\n")
    return _zero_memories("\nendmodule\n".join(map(_clocked_registers, modules)))


def generate(config: CoreConfig) -> str:
    """Verilog of the accelerator. The same configuration, sources and Amaranth version give the same text."""
    from .top import Coldspike  # here: the description needs no core
    return f"// {TOP}: build 0x{core_digest(config):08X}\n{convert(Coldspike(config))}"


def _register(register: Register, config: CoreConfig) -> dict:
    reset = core_digest(config) if register.name == "DIGEST" else register.reset
    return {
        "name": register.name, "address": register.address, "access": str(register.access), "bits": register.bits,
        "reset": reset, "text": register.text,
        "fields": [{"name": f.name, "low": f.low, "bits": f.bits, "text": f.text} for f in register.fields],
    }


def description(config: CoreConfig) -> dict:
    """Everything a driver in another language needs to use this build, as plain values for JSON."""
    formats = ("weight", "time", "slope", "level", "potential", "logit", "factor", "error", "error_sum", "gradient")
    return {
        "name": TOP,
        "digest": core_digest(config),
        "configuration": config.as_dict(),
        "formats": {name: {"bits": q.bits, "fraction": q.fraction, "signed": q.signed}
                    for name, q in ((name, getattr(config, name)) for name in formats)},
        "registers": [_register(r, config) for r in register_map(config)],
        "packets": {
            "kinds": {k.name: int(k) for k in Kind},
            "spaces": {s.name: {"value": int(s), "writable": s in WRITABLE_SPACES, "two_words": s in TWO_WORD_SPACES}
                       for s in Space if config.gradient_memory or s is not Space.GRADIENT},
            "errors": {e.name: {"value": int(e), "remedy": REMEDIES[e]} for e in ErrorCode},
            "fired_bit": FIRED_BIT,
        },
        "ports": [{"name": p.name, "direction": p.direction, "bits": p.bits, "text": p.text} for p in PORTS],
    }
