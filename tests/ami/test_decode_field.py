"""`ami decode` on what people in the field have: each file of tests/vectors/field, its exit code and the decisive words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ami_cli.__main__ import app

FIELD = Path(__file__).parents[1] / "vectors/field"
ENTRIES: list[dict[str, Any]] = json.loads((FIELD / "expected.json").read_text("utf-8"))


@pytest.mark.parametrize("entry", ENTRIES, ids=[f"{entry['kind']} {entry['file']}" for entry in ENTRIES])
def test_an_entry(entry: dict[str, Any]) -> None:
    result = CliRunner().invoke(app, ["decode", str(FIELD / entry["file"]), *entry.get("options", [])])
    for words in entry["shows"]:
        assert words in result.stdout, result.output
    for words in entry.get("hides", []):
        assert words not in result.stdout
    assert result.exit_code == entry["exit"], result.output
