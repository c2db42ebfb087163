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
    "MULT18X18D": {"core.forward": (10,), "core.update": (34,), "core.backward": (58,)},
    "DP16KD": {"core.weights": (22, 46), "core.gradients": (46, 70, 82, 22), "core.feedback": (70,),
               "core.tapes": (70,), "": (82,)},
}
"""Rows of a component's cells, by cell type; "": of all other components. What has no row is left to the placer."""

EASY = 36
"""Cells of a component that one row takes without getting crowded. More are shared out among all of its rows."""


def floorplan(source: Path, target: Path) -> int:
    """Copies a netlist of yosys with sites for its block memories and multipliers; returns how many got one.

    A component that its rows cannot hold is left to the placer.
    """
    netlist = json.loads(source.read_text())
    cells: dict[tuple[str, str], list] = {}
    for module, content in netlist["modules"].items():
        name = re.sub(r"^\\?coldspike\.", "", module)
        for cell, what in content["cells"].items():
            chosen = ROWS.get(what["type"], {})
            component = name if name in chosen else ""
            if component in chosen:
                order = [int(part) for part in re.findall(r"\d+", cell)]  # lanes in their order
                cells.setdefault((what["type"], component), []).append((order, what))
    taken: dict[tuple[str, int], set[int]] = {(kind, row): set() for kind in ROWS for rows in ROWS[kind].values() for row in rows}
    for (kind, component), found in sorted(cells.items(), key=lambda item: len(item[1])):
        sites, free = BLOCKS[kind], {row: len(BLOCKS[kind]) - len(taken[kind, row]) for row in ROWS[kind][component]}
        parts: dict[int, list] = {row: [] for row in free}
        for (_, what), row in zip(sorted(found, key=lambda cell: cell[0]), _turns(len(found), free), strict=False):
            parts[row].append(what)
        for row, part in parts.items():
            for n, what in enumerate(part):
                place = int((n + 0.5) * len(sites) / len(part))
                while place in taken[kind, row]:
                    place = (place + 1) % len(sites)
                taken[kind, row].add(place)
                what["attributes"]["BEL"] = f"X{sites[place][0]}/Y{row}/{sites[place][1]}"
    target.write_text(json.dumps(netlist))
    return sum(map(len, taken.values()))


def _turns(count: int, free: dict[int, int]) -> list[int]:
    """The row of each of ``count`` cells: the first if they are few, else all in turn by their ``free`` sites."""
    first = next(iter(free))
    if count <= min(EASY, free[first]):
        return [first] * count
    if count > sum(free.values()):
        return []  # too few for all
    turns, used = [], dict.fromkeys(free, 0)
    for _ in range(count):
        turns.append(min((row for row in free if used[row] < free[row]), key=lambda row: (used[row] + 0.5) / free[row]))
        used[turns[-1]] += 1
    return turns
