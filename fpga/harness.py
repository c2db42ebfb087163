"""A chip around the accelerator for place and route: every port ends in a register, and three pins reach them all.

A core's ports are no pins; on 185 of them all around the device, a placer would pull the logic apart to meet them. The reset alone
comes from a pin and is not timed: it is held for many cycles, and nothing arrives in the cycles after its end.
"""

from itertools import pairwise

from ..hw.verilog import PORTS, TOP

__all__ = ["CHIP", "CORE", "chip"]

CHIP = "chip"
"""Name of the module."""

CORE = "uut"
"""Name of the accelerator in it."""

HOPS = 4
"""Registers between an output and the parity of all, which may lie on the other side of the device."""

JOINED = 4
"""Bits that a register of the parity joins: one table."""


def chip() -> str:
    """Verilog of the chip: inputs are fed from a shift register, outputs end in the register of their parity."""
    ports = [port for port in PORTS if port.name not in ("clk", "rst")]
    inputs = [port for port in ports if port.direction == "input"]
    outputs = [port for port in ports if port.direction == "output"]
    n_in, n_out = (sum(port.bits for port in group) for group in (inputs, outputs))
    connections = ["    .clk(clk),", "    .rst(rst),"]
    for group, bus in ((inputs, "feed"), (outputs, "seen")):
        first = 0
        for port in group:
            connections.append(f"    .{port.name}({bus}[{first} +: {port.bits}]),")
            first += port.bits
    widths = [n_out] * (HOPS + 1)
    while widths[-1] > 1:
        widths.append(-(-widths[-1] // JOINED))
    names = ["seen", *(f"held_{n}" for n in range(1, len(widths)))]
    steps = []
    for n, (before, after) in enumerate(pairwise(widths)):
        parts = [f"^{names[n]}[{min(first + JOINED, before) - 1}:{first}]" for first in range(0, before, JOINED)]
        steps.append(f"    {names[n + 1]} <= {names[n] if after == before else '{' + ', '.join(reversed(parts)) + '}'};")
    return "\n".join([
        f"module {CHIP}(input clk, input rst, input si, output so);",
        f"  reg [{n_in - 1}:0] feed;", f"  wire [{n_out - 1}:0] seen;",
        *(f"  reg [{width - 1}:0] {name};" for width, name in zip(widths[1:], names[1:], strict=True)),
        f"  assign so = {names[-1]};",
        "  always @(posedge clk) begin", f"    feed <= {{feed[{n_in - 2}:0], si}};", *steps, "  end",
        f"  {TOP} {CORE} (", *connections[:-1], connections[-1].rstrip(","), "  );", "endmodule", ""])
