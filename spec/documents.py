"""Pages of docs/ that the specification writes: ``python -m coldspike.spec.documents [--check] [DIR]``.

Everything in them comes from the tables that hardware and driver are made of, so they cannot tell anything else.
"""

import argparse
import sys
from pathlib import Path

from .config import CoreConfig, Rule
from .errors import REMEDIES, ErrorCode
from .packets import FIRED_BIT, TWO_WORD_SPACES, WRITABLE_SPACES, Kind, Space
from .registers import Access, Register, register_map

__all__ = ["DOCUMENTS", "main", "packets_page", "registers_page"]

_NOTICE = "<!-- made by: python -m coldspike.spec.documents; a change here is lost -->\n"
_ACCESS = {
    Access.READ_ONLY: "set by the core; a write is ignored",
    Access.CONFIG: "written by the host while the core is stopped; otherwise nothing changes and error BUSY is recorded",
    Access.ALWAYS: "written by the host at any time",
    Access.COMMAND: "writing a one acts; reads as zero unless the register says otherwise",
}
_SPACES = {
    Space.WEIGHT: ("1 to L", "neuron j", "column j of the forward weights W: w_ij for each neuron i of the layer before"),
    Space.FEEDBACK: ("2 to L", "neuron j", "column j of the feedback weights, as they are stored"),
    Space.GRADIENT: ("1 to L", "neuron j", "column j of the gradients G (of the momentum, in a sign-momentum build)"),
    Space.RANDOM: ("0", "0, 1", "state of each lane's random-number generator, never zero: of rounding (column 0); of transport "
                   "(column 1, with partial transport only)"),
    Space.SLOPE: ("1 to L", "0", "accumulators W_j of the last sample; sparse-bptt: membrane sums, decay(V) - reset + I, after its "
                  "last step"),
    Space.LEVEL: ("1 to L", "0", "accumulators A_j of the last sample"),
    Space.SPIKES: ("0 to L", "0", f"a_j \\| fired << {FIRED_BIT} of the last sample; layer 0: its inputs; sparse-bptt, layers 0 to "
                   f"L - 1: its spikes on the tape, index \\| step << 16, as many as there are; rate: r_j \\| fired "
                   f"<< {FIRED_BIT}"),
    Space.ERROR_SUM: ("1 to L - 1", "0", "error accumulators of the last sample that reached the layer"),
    Space.OUTPUT_ERROR: ("0", "0", "output errors eps_k of the last training sample"),
    Space.JOBS: ("1 to L", "0", "sparse-bptt: active neurons of the last sample on the tape, as many as there are: index \\| step "
                 "<< 16, then g or, where it was learned from, c"),
    Space.DECAY: ("0", "0", "sparse-bptt: B[0] to B[T]; rate: leak, then p[1] to p[T]"),
    Space.MEMBRANE: ("1 to L - 1", "0", "rate: potentials u after the last step"),
    Space.ELIGIBILITY: ("1 to L - 1", "0", "rate: sums F"),
}
_PACKETS = {
    Kind.SAMPLE: ("kind \\| train << 8 \\| label << 16", "event count n",
                  "n events: index \\| a << 16; sparse-bptt: index \\| step << 16; rate: also index \\| step << 16 \\| 1 << 31"),
    Kind.UPDATE: ("kind", "0", ""),
    Kind.WRITE: ("kind \\| space << 8 \\| layer << 16", "column", "the column's elements, one each"),
    Kind.READ: ("kind \\| space << 8 \\| layer << 16", "column", ""),
}
_RESULTS = {
    Kind.SAMPLE: "prediction \\| label << 16, then one logit (signed) for each output neuron",
    Kind.UPDATE: "bit 0: 1 when weights were transported; bit l: 1 when layer l had an active neuron since the `UPDATE` before, or "
                 "`START`",
    Kind.WRITE: "nothing",
    Kind.READ: "the elements, sign- or zero-extended to 32 bits; "
               f"of {', '.join(space.name for space in TWO_WORD_SPACES)} two words each, low first, sign-extended to 64 bits",
    Kind.ERROR: "nothing; the status says why the packet was dropped",
}


def table(head: tuple[str, ...], rows: list[tuple]) -> str:
    """A Markdown table. Cells must have their ``|`` escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def _bits(low: int, bits: int) -> str:
    return str(low) if bits == 1 else f"{low + bits - 1}:{low}"


def _text(register: Register) -> str:
    return register.text.replace("|", "\\|")


def registers_page(config: CoreConfig | None = None) -> str:
    """docs/registers.md, for ``config`` (default: the default build with partial transport)."""
    config = CoreConfig(partial_transport=True) if config is None else config
    registers = register_map(config)
    names = {register.name for register in registers}
    sparse = [register for register in register_map(CoreConfig(rules=tuple(Rule), rate_loss=True)) if register.name not in names
              and register.access is Access.CONFIG]
    over_time = [(f"0x{register.address:03X}", f"`{register.name}`", register.access, register.bits, f"0x{register.reset:X}",
                  _text(register)) for register in sparse]
    rows, fields = [], []
    for register in registers:
        if register.name.endswith("_HI") and register.name[:-3] in names:
            continue
        wide = f"{register.name}_HI" in names
        address = f"0x{register.address:03X}" + (f", 0x{register.address + 4:03X}" if wide else "")
        reset = "build" if register.name == "DIGEST" else f"0x{register.reset:X}"
        rows.append((address, f"`{register.name}`" + (f", `{register.name}_HI`" if wide else ""), register.access,
                     64 if wide else register.bits, reset, _text(register)))
        fields += [(f"`{register.name}`", _bits(field.low, field.bits), f"`{field.name}`", field.text.replace("|", "\\|"))
                   for field in register.fields]
    fields += [(f"`{register.name}`", _bits(field.low, field.bits), f"`{field.name}`", field.text.replace("|", "\\|"))
               for register in sparse for field in register.fields]
    access = [(kind, text) for kind, text in _ACCESS.items()]
    return (f"# Registers\n{_NOTICE}\n"
            "32-bit registers at byte addresses of the AXI4-Lite port, for a build with the default configuration of\n"
            f"`spec/config.py` (up to {config.max_layers} weight layers) and partial transport; without it there are no SELECT "
            "registers,\nand VALUES has one bit. A build whose feedback weights are signs has a register SCALE_l (0x180 + 4 l) for "
            "their size\nin each layer, in the weight format. A build with more layers has more SIZE, RATE, DECAY and TRANSPORT "
            "registers and\ncounters. `build/coldspike.json` lists those of a generated core. A 64-bit counter is a pair of\n"
            "registers, its lower half first; `build` is a constant that depends on the build.\n\n"
            f"{table(('address', 'name', 'access', 'bits', 'reset', 'meaning'), rows)}\n"
            "## Rules sparse-bptt and rate\n\nA build with rule sparse-bptt has these but for CODING and TICKS, and counters "
            "MEMBRANE_SATURATIONS, OVERFLOWS and\nGRADIENT_WORDS; a build with rule rate has STEPS, CODING, TICKS and the first "
            "of the counters. The addresses of counters are\nthen others. RULE is that of a build of several rules, RATE_BOUNDS "
            "and RATE_LOSS_l are those of a build with losses of\nfiring rates (`rate_loss`). A build without rule ttfs has no "
            "READOUT, LEVEL_CLIP and SLOPE_CLIP, nor the counters of their clips.\n\n"
            f"{table(('address', 'name', 'access', 'bits', 'reset', 'meaning'), over_time)}\n"
            f"## Access\n\n{table(('access', 'meaning'), access)}\n"
            f"## Fields\n\n{table(('register', 'bits', 'field', 'meaning'), fields)}")


def packets_page() -> str:
    """docs/packets.md."""
    spaces = [(int(space), f"`{space.name}`", layer, column,
               "write" if space is Space.DECAY else "read, write" if space in WRITABLE_SPACES else "read",
               2 if space in TWO_WORD_SPACES else 1, text) for space, (layer, column, text) in _SPACES.items()]
    errors = [(int(code), f"`{code.name}`", REMEDIES[code].replace("|", "\\|")) for code in ErrorCode]
    packets = [(int(kind), f"`{kind.name}`", *words) for kind, words in _PACKETS.items()]
    results = [(int(kind), f"`{kind.name}`", text) for kind, text in _RESULTS.items()]
    return (f"# Packets\n{_NOTICE}\n"
            "Packets of 32-bit words on two AXI4-Streams, TLAST on a packet's last word. Each packet into the accelerator gives\n"
            "one packet out, in the same order.\n\n"
            "## Into the accelerator\n\n"
            f"{table(('kind', 'name', 'word 0', 'word 1', 'words from 2 on'), packets)}\n"
            "Events ascend in index, each neuron once. a = T - t in ticks, 0 to T, is how long before the window's end the input\n"
            "fires. `train` is 1 for a sample to learn from. Layers count from 1 (the first weight layer) to L.\n\n"
            "While rule sparse-bptt runs events ascend in step, 0 to T - 1, then index, and a sample has as many as the tape\n"
            "holds at most. While rule rate runs a is an input's level, 0 to T; with register CODING spikes follow the\n"
            "levels, those events with bit 31 set, ascending in step, then index, and there are as many of both as the build's\n"
            "spike_entries at most.\n\n"
            "## Out of the accelerator\n\n"
            "Word 0 is `kind | status << 8`, word 1 the packet's sequence number, counted from 0 at start, dropped packets\n"
            "included. A status other than 0 is an error code, and the kind is then ERROR; a SAMPLE with status OVERFLOW was\n"
            "not dropped.\n\n"
            f"{table(('kind', 'name', 'words from 2 on'), results)}\n"
            "## Spaces of WRITE and READ\n\n"
            f"{table(('space', 'name', 'layer', 'column', 'access', 'words of an element read', 'contents'), spaces)}\n"
            "A build without gradient memory has no GRADIENT space. While rule sparse-bptt runs there are JOBS and DECAY,\n"
            "while rules ttfs and rate do LEVEL and ERROR_SUM, and while rate does MEMBRANE, ELIGIBILITY and DECAY.\n\n"
            "## Errors\n\n"
            "A bad packet is dropped, and its result carries the code; NETWORK and BUSY refuse a command or a register instead.\n"
            "The first code since CLEAR_ERROR stays in STATUS. Weights are untouched, and the next good packet works.\n\n"
            f"{table(('code', 'name', 'what is wrong, and what to do'), errors)}")


DOCUMENTS = {"registers.md": registers_page, "packets.md": packets_page}
"""Files in docs/ and what makes them."""


def main(arguments: list[str] | None = None) -> int:
    """Writes the pages; with --check only says which differ, exit code 1 if any does."""
    parser = argparse.ArgumentParser(prog="python -m coldspike.spec.documents", description="Write the pages made from spec/.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a file differs")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("docs"), metavar="DIR", help="where they lie (docs)")
    options = parser.parse_args(arguments)
    status = 0
    for name, page in DOCUMENTS.items():
        path, text = options.directory / name, page()
        if path.exists() and path.read_text() == text:
            continue
        if options.check:
            print(f"{path} differs from spec/: run python -m coldspike.spec.documents {options.directory}", file=sys.stderr)
            status = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(path)
    return status


if __name__ == "__main__":
    sys.exit(main())
