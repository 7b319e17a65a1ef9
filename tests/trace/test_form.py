"""A trace that another process gives is a tree: what puts it together goes through it from a span to the one around it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from ami_trace.form import MOST_DEPTH, Kind, Meters, Outcome, Span, Trace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def traced(*parents: tuple[int, int | None]) -> Trace:
    """With spans of these ids, each within that one."""
    spans = tuple(Span(id=one, parent=parent, kind=Kind.STEP, name="x", began_at=NOW) for one, parent in parents)
    nobody = Meters(asked=0, done=0, ok=0, recorded=0)
    return Trace(
        message_id="m",
        verb="get",
        noun="x",
        outcome=Outcome.OK,
        began_at=NOW,
        meters=nobody,
        clear_text=False,
        spans=spans,
    )


@pytest.mark.parametrize(
    ("parents", "why"),
    [
        ([(1, None), (2, 3)], "no span before it"),
        ([(1, None), (2, 2)], "no span before it"),
        ([(1, None), (2, 3), (3, 2)], "no span before it"),
        ([(1, 1)], "no span before it"),
        ([(1, None), (1, None)], "twice"),
        ([(1, None), *((number, number - 1) for number in range(2, MOST_DEPTH + 3))], "deep"),
    ],
)
def test_what_is_no_tree_is_refused(parents: list[tuple[int, int | None]], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        traced(*parents)


def test_a_tree_is_taken() -> None:
    deep = [(number, number - 1) for number in range(2, MOST_DEPTH + 2)]
    assert len(traced((1, None), *deep, (1000, 1), (2000, None)).spans) == MOST_DEPTH + 3
