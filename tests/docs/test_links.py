"""What the documents point at is there: every relative link, and every file path in `code` style."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/*/*.md"), *ROOT.glob("*/README.md")]
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
CODE_PATH = re.compile(
    r"`((?:services|cis|hes|meter-sim|ami|tests|docs|config)/[\w./-]+\.(?:py|toml|md|csv))(?:::\w+)?`"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing += [path for path in CODE_PATH.findall(text) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("name", ["mapping", "conformance", "procedures", "traps", "field-faults"])
def test_the_tests_that_a_page_names_exist(name: str) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", (ROOT / f"docs/{name}.md").read_text("utf-8"))
    assert named
    for path, test in named:
        assert re.search(rf"def {test}\b", (ROOT / path).read_text("utf-8")), f"{path}::{test}"


def test_links_between_folders_lead_somewhere() -> None:
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    links = [line.partition("\t")[2] for line in listed.splitlines() if line.startswith("120000")]
    assert "schemas" in links
    assert [link for link in links if not (ROOT / link).exists()] == []
