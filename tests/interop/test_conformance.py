"""A conformance run of a meter that is not ours: what fails is what is known to be wrong with it, and the page says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from foreign_meter import KEYED, PLAIN, conformance_run, expected, given, section
from matrix import GURUX_METER, Row
from page import PAGE
from peer import DISTRIBUTIONS, running


@pytest.mark.ci
@pytest.mark.needs(DISTRIBUTIONS[GURUX_METER])
@pytest.mark.parametrize("row", [PLAIN, KEYED], ids=["plain", "keyed"])
async def test_what_fails_is_known(tmp_path: Path, row: Row) -> None:
    async with running(GURUX_METER, given(row)) as meter:
        assert meter.stdout is not None
        port = int(await meter.stdout.readline())
        report = await asyncio.to_thread(conformance_run, row, port, tmp_path)
    found = {
        one["id"]: [each["text"] for each in one["findings"]] for one in report["tests"] if one["verdict"] == "fail"
    }
    assert set(found) == expected(row), found
    assert sum(one["verdict"] == "pass" for one in report["tests"]) > 20
    assert not any("the test broke" in one["reason"] for one in report["tests"])


def test_the_page_says_so() -> None:
    assert section() in PAGE.read_text("utf-8")
