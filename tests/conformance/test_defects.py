"""Planted defects are found by the tests that they were planted for, and meters in health have none of these findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import defect_score
import pytest
from defect_score import (
    ANY,
    CONSEQUENCES,
    UNFOUND,
    Outcome,
    Subject,
    explained,
    fleet_of,
    measured,
    named_for,
    score,
    subjects,
)
from meter_bench import Fleet

from ami_meter_sim.faults.defects.table import rows

PAGE = Path(__file__).parents[2] / "docs" / "conformance-run.md"
FEW = {rows()[name].group: name for name in reversed(rows())}
"""The first defect of each group."""


@contextmanager
def meters(directory: Path, chosen: Sequence[Subject]) -> Iterator[Fleet]:
    with fleet_of(directory, chosen) as fleet:
        yield fleet


def judged(outcomes: Sequence[Outcome]) -> None:
    """Each defect is found over every transport, but for those that are known not to be; nothing fails in health."""
    wrong = {
        one.subject.name: one.trouble or dict(one.verdicts)
        for one in outcomes
        if one.subject.row is not None and bool(one.found_by) == (one.subject.row.name in UNFOUND)
    }
    assert wrong == {}
    assert {one.subject.name: one.findings for one in outcomes if one.subject.row is None and one.failed} == {}
    assert all(one.verdicts for one in outcomes if one.subject.row is None)


def test_a_defect_of_each_group_is_found(tmp_path: Path) -> None:
    transports = iter(("tcp", "hdlc") * len(FEW))
    chosen = [one for one in subjects(list(FEW.values())) if one.row is None and not one.password]
    for name, wanted in zip(FEW.values(), transports, strict=False):
        row = rows()[name]
        chosen.append(Subject(wanted if wanted in row.transports else row.transports[0], row))
    with meters(tmp_path, chosen) as fleet:
        judged([measured(fleet.config, one, named_for(one, chosen)) for one in chosen])


@pytest.mark.ci
def test_every_defect_is_found_by_a_test_that_is_named_for_it(tmp_path: Path) -> None:
    chosen = subjects()
    with meters(tmp_path, chosen) as fleet:
        judged(list(score(fleet.config, chosen, named=True)))


@pytest.mark.acceptance
def test_what_fails_besides_is_a_consequence(tmp_path: Path) -> None:
    chosen = subjects()
    with meters(tmp_path, chosen) as fleet:
        outcomes = list(score(fleet.config, chosen, named=False))
    judged(outcomes)
    unexplained = {
        one.subject.name: {test: one.findings.get(test, "") for test in more}
        for one in outcomes
        if one.subject.row is not None
        and (more := [test for test in one.others if not explained(one.subject.row.name, test)])
    }
    assert unexplained == {}


def test_what_is_said_of_defects_is_of_defects_that_there_are() -> None:
    assert set(UNFOUND) | set(CONSEQUENCES) <= set(rows())
    for name, tests in CONSEQUENCES.items():
        assert not set(tests) & set(rows()[name].tests)
        assert set(tests) <= {*defect_score.CHECKS, ANY}


def test_the_page_has_every_defect_over_each_of_its_transports() -> None:
    page = PAGE.read_text("utf-8")
    lines = [
        f"| `{row.name}` | {transport} | {', '.join(row.tests)} |"
        for row in rows().values()
        for transport in row.transports
    ]
    assert [one for one in lines if one not in page] == []
