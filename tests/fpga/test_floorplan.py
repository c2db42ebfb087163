import json
from collections import Counter

from coldspike.fpga.floorplan import EASY, ROWS, floorplan


def netlist(tmp_path, counts: dict[str, dict[str, int]]):
    """A netlist with so many cells of each type in each module."""
    modules = {name: {"cells": {f"lane_{n}.{kind}": {"type": kind, "attributes": {}}
                                for kind, count in kinds.items() for n in range(count)}} for name, kinds in counts.items()}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": modules}))
    return path


def sites(path):
    modules = json.loads(path.read_text())["modules"]
    return {(name, cell): what["attributes"].get("BEL")
            for name, module in modules.items() for cell, what in module["cells"].items()}


def test_each_component_is_spread_over_its_row_in_the_order_of_its_lanes(tmp_path):
    source = netlist(tmp_path, {"coldspike.core.weights": {"DP16KD": 16, "LUT4": 3}, "coldspike.core.update": {"MULT18X18D": 32},
                                "coldspike.core.feedback": {"DP16KD": 8}, "coldspike.core.tapes": {"DP16KD": 10},
                                "coldspike.decoder": {"DP16KD": 1, "MULT18X18D": 2}})
    assert floorplan(source, tmp_path / "placed.json") == 16 + 32 + 8 + 10 + 1
    found = sites(tmp_path / "placed.json")
    given = [site for site in found.values() if site]
    assert len(set(given)) == len(given) == 67
    weights = [found["coldspike.core.weights", f"lane_{n}.DP16KD"] for n in range(16)]
    columns = [int(site.split("/")[0][1:]) for site in weights]
    assert columns == sorted(columns) and all(site.split("/")[1] == f"Y{ROWS['DP16KD']['core.weights'][0]}" for site in weights)
    assert max(b - a for a, b in zip(columns, columns[1:], strict=False)) <= 13, "no cell far from the next, none beside it"
    assert min(b - a for a, b in zip(columns, columns[1:], strict=False)) >= 5
    assert found["coldspike.core.weights", "lane_1.LUT4"] is None and found["coldspike.decoder", "lane_1.MULT18X18D"] is None


def test_a_large_component_is_shared_out_among_its_rows_by_their_free_sites(tmp_path):
    source = netlist(tmp_path, {"coldspike.core.weights": {"DP16KD": EASY}, "coldspike.core.gradients": {"DP16KD": 56},
                                "coldspike.core.feedback": {"DP16KD": 8}, "coldspike.core.tapes": {"DP16KD": 10}})
    assert floorplan(source, tmp_path / "placed.json") == EASY + 56 + 18
    found = sites(tmp_path / "placed.json")
    assert len(set(found.values())) == EASY + 56 + 18
    rows = Counter((name.rpartition(".")[2], int(site.split("/")[1][1:])) for (name, _), site in found.items())
    assert rows["weights", 22] == EASY and rows["feedback", 70] == 8 and rows["tapes", 70] == 10
    # 52, 34, 52 and 16 sites are free.
    assert [rows["gradients", row] for row in ROWS["DP16KD"]["core.gradients"]] == [19, 12, 19, 6]


def test_the_whole_device_can_be_filled_and_what_does_not_fit_is_left_to_the_placer(tmp_path):
    sizes = {"weights": 64, "gradients": 112, "feedback": 8, "tapes": 10, "lists": 11}
    counts = {f"coldspike.core.{name}": {"DP16KD": count} for name, count in sizes.items()}
    assert floorplan(netlist(tmp_path, counts), tmp_path / "placed.json") == 205
    assert len(set(sites(tmp_path / "placed.json").values())) == 205
    counts["coldspike.core.gradients"]["DP16KD"] += 4
    assert floorplan(netlist(tmp_path, counts), tmp_path / "placed.json") == 205 - 112
    found = sites(tmp_path / "placed.json")
    assert all((site is None) == (name == "coldspike.core.gradients") for (name, _), site in found.items())
