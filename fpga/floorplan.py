"""Where the block memories and multipliers of a wide build go on an ECP5-85F: each component's spread over the width of a row.

Left alone, nextpnr packs them without a gap into two rows, around which the wiring runs out (docs/decisions/0013-floorplan.md). The
rows follow the data: forward engine, weights, update unit, gradients, backward engine, feedback weights and tapes.
"""

import json
import re
from pathlib import Path

__all__ = ["BLOCKS", "ROWS", "floorplan"]

COLUMNS = [*(4 + 9 * n for n in range(7)), *(69 + 9 * n for n in range(6))]
BLOCKS = {
    "MULT18X18D": [(x + offset, f"MULT18_{n}") for x in COLUMNS for offset, n in ((0, 0), (1, 1), (4, 4), (5, 5))],
    "DP16KD": [(x + 2 * n, f"EBR{n}") for x in COLUMNS for n in range(4)],
}
"""Sites of a row: column and name, by cell type."""

ROWS = {
    "MULT18X18D": {"core.forward": 10, "core.update": 34, "core.backward": 58},
    "DP16KD": {"core.weights": 22, "core.gradients": 46, "core.feedback": 70, "core.tapes": 70, "": 82},
}
"""Row of a component's cells, by cell type; "": of all other components. What has no row is left to the placer."""


def floorplan(source: Path, target: Path) -> int:
    """Copies a netlist of yosys with sites for its block memories and multipliers; returns how many got one.

    A row that cannot hold its cells is left to the placer.
    """
    netlist = json.loads(source.read_text())
    rows: dict[tuple[str, int], dict[str, list]] = {}
    for module, content in netlist["modules"].items():
        name = re.sub(r"^\\?coldspike\.", "", module)
        for cell, what in content["cells"].items():
            chosen = ROWS.get(what["type"], {})
            component = name if name in chosen else ""
            if component in chosen:
                order = [int(part) for part in re.findall(r"\d+", cell)]  # lanes in their order
                rows.setdefault((what["type"], chosen[component]), {}).setdefault(component, []).append((order, what))
    count = 0
    for (kind, row), components in rows.items():
        sites, taken = BLOCKS[kind], set()
        if sum(map(len, components.values())) > len(sites):
            continue
        for _, cells in sorted(components.items()):
            for n, (_, what) in enumerate(sorted(cells, key=lambda cell: cell[0])):
                place = int((n + 0.5) * len(sites) / len(cells))
                while place in taken:
                    place = (place + 1) % len(sites)
                taken.add(place)
                what["attributes"]["BEL"] = f"X{sites[place][0]}/Y{row}/{sites[place][1]}"
        count += len(taken)
    target.write_text(json.dumps(netlist))
    return count
