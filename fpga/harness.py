"""A chip around the accelerator for place and route: every port ends in a register, and four pins reach them all.

A core's ports are no pins; on 185 of them all around the device, a placer would pull the logic apart to meet them. The reset alone
comes from a pin and is not timed: it is held for many cycles, and nothing arrives in the cycles after its end.
"""

from ..hw.verilog import PORTS, TOP

__all__ = ["CHIP", "CORE", "chip"]

CHIP = "chip"
"""Name of the module."""

CORE = "uut"
"""Name of the accelerator in it."""

HOPS = 4
"""Registers between an output and the shift register, which may lie on the other side of the device."""


def chip() -> str:
    """Verilog of the chip: inputs are fed from a shift register, outputs are captured in one and shifted out."""
    ports = [port for port in PORTS if port.name not in ("clk", "rst")]
    inputs = [port for port in ports if port.direction == "input"]
    outputs = [port for port in ports if port.direction == "output"]
    n_in, n_out = (sum(port.bits for port in group) for group in (inputs, outputs))
    hops = [f"held_{n}" for n in range(HOPS)]
    connections = ["    .clk(clk),", "    .rst(rst),"]
    for group, bus in ((inputs, "feed"), (outputs, "seen")):
        first = 0
        for port in group:
            connections.append(f"    .{port.name}({bus}[{first} +: {port.bits}]),")
            first += port.bits
    return "\n".join([
        f"module {CHIP}(input clk, input rst, input si, input capture, output so);",
        f"  reg [{n_in - 1}:0] feed;", f"  wire [{n_out - 1}:0] seen;",
        *(f"  reg [{n_out - 1}:0] {name};" for name in (*hops, "caught")),
        f"  assign so = caught[{n_out - 1}];",
        "  always @(posedge clk) begin", f"    feed <= {{feed[{n_in - 2}:0], si}};",
        *(f"    {late} <= {early};" for early, late in zip(["seen", *hops], hops, strict=False)),
        f"    caught <= capture ? {hops[-1]} : {{caught[{n_out - 2}:0], 1'b0}};", "  end",
        f"  {TOP} {CORE} (", *connections[:-1], connections[-1].rstrip(","), "  );", "endmodule", ""])
