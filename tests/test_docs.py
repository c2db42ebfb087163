import importlib.util
import re
from pathlib import Path

import pytest
from amaranth.back import rtlil

from coldspike.spec import documents, pipeline
from coldspike.spec.errors import ErrorCode
from coldspike.spec.packets import Kind, Space
from coldspike.spec.registers import register_map

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("name", documents.DOCUMENTS)
def test_a_page_is_up_to_date(name):
    assert (DOCS / name).read_text() == documents.DOCUMENTS[name](), "run python -m coldspike.spec.documents docs"


def test_pages_name_everything():
    registers, packets = documents.registers_page(), documents.packets_page()
    for register in register_map(documents.CoreConfig()):
        assert f"`{register.name}`" in registers
        assert all(f"`{field.name}`" in registers for field in register.fields)
    for kind in (Kind, Space, ErrorCode):
        assert all(f"| {member.value} | `{member.name}` |" in packets for member in kind)


@pytest.mark.parametrize("name", documents.DOCUMENTS)
def test_every_table_is_regular(name):
    for block in documents.DOCUMENTS[name]().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.replace("\\|", "").count("|") for row in rows}) <= 1


def test_check_finds_a_changed_page(tmp_path, capsys):
    assert documents.main([str(tmp_path)]) == 0
    assert documents.main(["--check", str(tmp_path)]) == 0
    path = tmp_path / "packets.md"
    path.write_text(path.read_text().replace("TLAST", "tlast"))
    capsys.readouterr()
    assert documents.main(["--check", str(tmp_path)]) == 1
    assert "packets.md" in capsys.readouterr().err
    assert documents.main([str(tmp_path)]) == 0
    assert documents.main(["--check", str(tmp_path)]) == 0


def test_the_timing_page_has_the_pipeline_depths():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", (DOCS / "timing.md").read_text(), re.M)
    assert {name: int(value) for name, value in rows} == {name: getattr(pipeline, name) for name in pipeline.__all__}


def test_the_example_of_a_design_around_the_core_elaborates():
    spec = importlib.util.spec_from_file_location("example", DOCS / "integration" / "amaranth_coldspike.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert "\\words" in rtlil.convert(example.Board())


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []
