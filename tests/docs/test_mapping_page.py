"""docs/mapping.md and docs/readings.md are what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ami_cli import mapping_page
from ami_mapping.decisions import decisions
from ami_mapping.readings import all_rows

DOCS = Path(__file__).parents[2] / "docs"
MAPPING, READINGS = ((DOCS / name).read_text("utf-8") for name in ("mapping.md", "readings.md"))


@pytest.mark.parametrize("name", ["mapping.md", "readings.md"])
def test_the_pages_are_what_the_command_writes(name: str, tmp_path: Path) -> None:
    mapping_page.write(tmp_path)
    assert (DOCS / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8"), (
        "write it again: ami map --write docs"
    )


def test_decisions_are_in_order_and_each_has_its_anchor() -> None:
    headings = re.findall(r"^### (M-\d{3}) ", MAPPING, re.MULTILINE)
    assert headings == sorted(decisions())
    assert re.findall(r'<a id="(m-\d{3})"></a>', MAPPING) == [number.lower() for number in headings]


def test_links_to_decisions_lead_to_one() -> None:
    linked = set(re.findall(r"\(#(m-\d{3})\)", MAPPING)) | set(re.findall(r"\(mapping\.md#(m-\d{3})\)", READINGS))
    assert linked <= {number.lower() for number in decisions()}
    assert len(linked) > 50


def test_every_row_is_on_the_page() -> None:
    assert sorted(re.findall(r"^\| (RT\d{4}) \|", READINGS, re.MULTILINE)) == sorted(row.id for row in all_rows())
    for row in all_rows():
        assert f"`{row.code}`" in READINGS
