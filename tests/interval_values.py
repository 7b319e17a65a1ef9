"""Columns of intervals for tests that make up values."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from ami_cim.payloads.interval_columns import IntervalColumns
from ami_cim.quality import Quality


def interval_columns(
    text: st.SearchStrategy[str], moment: st.SearchStrategy[datetime], quality: st.SearchStrategy[Quality]
) -> st.SearchStrategy[IntervalColumns]:
    """Columns as they are read: of one length, and none without anything in it; the sets in the order in which rows have them."""

    @st.composite
    def columns(draw: st.DrawFn) -> IntervalColumns:
        rows = draw(st.integers(0, 4))

        def column(of: st.SearchStrategy[Any]) -> tuple[Any, ...]:
            found = draw(st.lists(st.none() | of, min_size=rows, max_size=rows))
            return tuple(found) if any(found) else ()

        sets = draw(st.lists(st.lists(quality, max_size=2).map(tuple), min_size=rows, max_size=rows))
        distinct = tuple(dict.fromkeys(sets)) if any(sets) else ()
        return IntervalColumns(
            values=tuple(draw(st.lists(st.none() | text, min_size=rows, max_size=rows))),
            times=column(moment),
            starts=column(moment),
            ends=column(moment),
            reported=column(moment),
            sources=column(text),
            quality_sets=distinct,
            quality_of=tuple(distinct.index(one) for one in sets) if distinct else (),
        )

    return columns()
