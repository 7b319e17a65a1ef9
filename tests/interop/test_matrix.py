"""Every row of the matrix is played, and what becomes of it is what docs/interop.md says; the page holds no row besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from matrix import METER, Row, rows
from page import PAGE, excuse, line, numbered, page, table_of, versions
from peer import DISTRIBUTIONS
from play import PASSES, play
from simulated_meters import simulated_meters

ROWS = rows()


def cases() -> Iterator[Any]:
    """Each row, with the peer that it needs; the first row of each pair of ends stands for the others in the smallest size."""
    seen: set[tuple[str, str]] = set()
    for row in ROWS:
        marks = [pytest.mark.needs(DISTRIBUTIONS[row.peer])]
        if (row.ours, row.peer) in seen:
            marks.append(pytest.mark.ci)
        seen.add((row.ours, row.peer))
        yield pytest.param(row, id=row.name, marks=marks)


@pytest.fixture(scope="session")
def meters() -> Iterator[Mapping[Row, int]]:
    with simulated_meters(ROWS) as ports:
        yield ports


@pytest.mark.parametrize("row", list(cases()))
async def test_row(row: Row, request: pytest.FixtureRequest) -> None:
    outcome = await play(row, request.getfixturevalue("meters") if row.ours == METER else {})
    unknown = {service: how for service, how in outcome.items() if how != PASSES and not excuse(row, service, how)}
    assert not unknown
    healed = [cannot for cannot in row.cannot if outcome[cannot.service] == PASSES]
    assert not healed, "the peer can do it now"
    assert line(row, outcome, numbered(ROWS)) in table_of(PAGE.read_text("utf-8"))


def test_the_page_is_written_by_a_run() -> None:
    """All of the page but the outcomes; these are held row by row."""
    assert len({row.key for row in ROWS}) == len(ROWS)
    best = {
        row: dict.fromkeys(row.services, PASSES) | {cannot.service: cannot.seen for cannot in row.cannot}
        for row in ROWS
    }
    assert PAGE.read_text("utf-8") == page(best, versions()), "make interop WRITE=docs/interop.md"
