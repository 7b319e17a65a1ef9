"""Each promise of docs/security.md and each threat of SECURITY.md names a test that exists; the README says what is open."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _rows(page: str) -> list[str]:
    """The rows of its tables of promises and threats, which end with a column for tests, without heads and rules."""
    tables = re.findall(r"(?:^\|.*\n)+", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    return [row for table in tables if re.search(r"\| tests? \|\n", table) for row in table.splitlines()[2:]]


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/security.md"])
def test_each_row_names_tests_that_exist(page: str) -> None:
    rows = _rows(page)
    assert len(rows) > 10
    for row in rows:
        named = NAMED.findall(row.rstrip(" |").rpartition("|")[2])
        assert named, row
        for path, test in named:
            wanted = rf"def {test}\(" if test else r"def test_\w+\("
            assert re.search(wanted, (ROOT / path).read_text("utf-8")), f"{path}::{test}"


def test_each_chapter_has_its_last_figures_with_their_date() -> None:
    chapters = re.split(r"^## ", (ROOT / "docs/security.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert len(chapters) >= 8
    for chapter in chapters:
        assert re.search(r"^Figures of 20\d\d-\d\d-\d\d", chapter, re.MULTILINE), chapter.splitlines()[0]


def test_the_readme_says_in_three_lines_what_is_open() -> None:
    said = re.search(r"\*\*What is open by default\*\*.*?\n\n", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert said is not None
    assert len(said[0].strip().splitlines()) == 3
    assert "docs/security.md" in said[0]
