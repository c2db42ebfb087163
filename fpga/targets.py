"""FPGA families: how yosys synthesises for them, what its cells cost, and what a device holds."""

from dataclasses import dataclass, field

__all__ = ["RESOURCES", "TARGETS", "Target"]

RESOURCES = ("LUT", "LUT RAM", "FF", "block RAM", "DSP")
"""LUT: those of logic and of carry chains. LUT RAM: LUTs that serve as memory."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device.

    Members
    -------
    name : as on the command line. text : in words.
    synthesis : yosys command; the top module is appended.
    cells : cell type -> (resource, how many a cell takes). Types ending in ``*`` stand for all that begin so.
    capacity : what the device has of each resource; LUT RAM takes LUTs.
    place : arguments of nextpnr, empty where no free place and route comes from pip.
    clock : a pin from which the clock reaches its network; from some it does not.
    """

    name: str
    text: str
    synthesis: str
    cells: dict[str, tuple[str, float]]
    capacity: dict[str, int]
    place: tuple[str, ...] = field(default=())
    clock: str = ""

    def cost(self, cell: str) -> tuple[str, float] | None:
        """(resource, count) of a cell type; None for what costs nothing that is counted here."""
        for pattern, cost in self.cells.items():
            if cell == pattern or pattern.endswith("*") and cell.startswith(pattern[:-1]):
                return cost
        return None


ECP5_CELLS = {"LUT4": ("LUT", 1), "CCU2C": ("LUT", 2), "TRELLIS_DPR16X4": ("LUT RAM", 6), "TRELLIS_FF": ("FF", 1),
              "DP16KD": ("block RAM", 1), "MULT18X18D": ("DSP", 1)}

TARGETS = {target.name: target for target in (
    Target(
        name="ecp5-85k", text="Lattice ECP5 LFE5U-85F, speed grade 6", synthesis="synth_ecp5 -nowidelut", cells=ECP5_CELLS,
        capacity={"LUT": 83_640, "FF": 83_640, "block RAM": 208, "DSP": 156},
        place=("--85k", "--package", "CABGA756", "--speed", "6"), clock="B29",
    ),
    Target(
        name="ecp5-25k", text="Lattice ECP5 LFE5U-25F, speed grade 6", synthesis="synth_ecp5 -nowidelut", cells=ECP5_CELLS,
        capacity={"LUT": 24_288, "FF": 24_288, "block RAM": 56, "DSP": 28},
        place=("--25k", "--package", "CABGA381", "--speed", "6"), clock="G2",
    ),
    Target(
        name="ice40-up5k", text="Lattice iCE40 UltraPlus 5K", synthesis="synth_ice40 -device u -dsp",
        cells={"SB_LUT4": ("LUT", 1), "SB_DFF*": ("FF", 1), "SB_RAM40*": ("block RAM", 1), "SB_MAC16": ("DSP", 1)},
        capacity={"LUT": 5_280, "FF": 5_280, "block RAM": 30, "DSP": 8},
    ),
    Target(
        name="xc7", text="AMD 7 series; capacity of an Artix-7 100T", synthesis="synth_xilinx -family xc7 -flatten",
        cells={**{f"LUT{n}": ("LUT", 1) for n in range(1, 7)}, "INV": ("LUT", 1),
               "RAM32M": ("LUT RAM", 4), "RAM64M": ("LUT RAM", 4), "RAM32X1D": ("LUT RAM", 2), "RAM64X1D": ("LUT RAM", 2),
               "RAM128X1D": ("LUT RAM", 4), "SRL16E": ("LUT RAM", 1),
               "SRLC32E": ("LUT RAM", 1), "FDRE": ("FF", 1), "FDSE": ("FF", 1), "FDCE": ("FF", 1), "FDPE": ("FF", 1),
               "RAMB18E1": ("block RAM", 0.5), "RAMB36E1": ("block RAM", 1), "DSP48E1": ("DSP", 1)},
        capacity={"LUT": 63_400, "FF": 126_800, "block RAM": 135, "DSP": 240},
    ),
)}
