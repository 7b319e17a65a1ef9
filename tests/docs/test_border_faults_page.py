"""The page of border faults is the one that the table of the border makes."""

from __future__ import annotations

from pathlib import Path

from ami_testkit.fault_page import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_current() -> None:
    text = (ROOT / "docs/border-faults.md").read_text("utf-8")
    assert text == page(), "ami-testkit faults --write docs/border-faults.md"
