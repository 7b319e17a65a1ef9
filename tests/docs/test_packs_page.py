"""docs/packs.md says every pack as its files have it, and the how-to shows what one sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami_cli.packs import page
from ami_packs.document import Key
from ami_packs.pack_folders import shipped_packs

ROOT = Path(__file__).parents[2]
KEYS = [pytest.param(key, id=f"{title} {name}") for title, table in page.TABLES for name, key in table.items()]


def test_the_page_is_what_the_command_writes() -> None:
    written = (ROOT / "docs/packs.md").read_text("utf-8")
    assert written == page.page(shipped_packs()), "write it again: ami pack list --write docs/packs.md"


@pytest.mark.parametrize("key", KEYS)
def test_each_key_has_a_meaning(key: Key) -> None:
    assert key.value and key.meaning
