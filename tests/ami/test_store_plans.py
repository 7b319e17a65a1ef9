"""No question of a system at work is answered by reading a table that grows from end to end, in a store of PostgreSQL that has something in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from postgresql_server import Cluster

from ami_cli.store_plans.cli import Answer, ask_all, page
from ami_cli.store_plans.plans import Plan
from ami_cli.store_plans.questions import QUESTIONS, Question
from ami_hes.store import Database

METERS = 20_000
"""With fewer a table is so small that the server rightly reads all of it."""


@pytest.mark.ci
@pytest.mark.needs("postgresql")
async def test_no_question_reads_a_table_that_grows_but_where_that_is_meant(postgresql: Cluster) -> None:
    answers = await ask_all(Database(postgresql.new_place()), METERS, print)
    whole = {one.question.words: set().union(*(plan.whole_tables for plan in one.plans)) for one in answers}
    assert {words: found for words, found in whole.items() if found} == {
        "what became of the events of each subscriber": {"replies", "published", "deliveries"}
    }
    assert all(one.plans for one in answers)
    (values,) = next(one.plans for one in answers if one.question.words.startswith("values of a meter"))
    assert {"2026_11", "2026_10"} >= {
        name for name in ("2026_08", "2026_09", "2026_10", "2026_11", "other") if name in str(values.lines)
    }


def test_a_page_has_each_question_with_its_statements_and_plans() -> None:
    async def never(_: Database) -> None:
        raise AssertionError

    asked = Question("what is asked", never, reads_all="it counts")
    plan = Plan(
        "SELECT 1",
        ("Seq Scan on requests (actual rows=1 loops=1)", "  ->  Seq Scan on audit_chain (actual rows=1 loops=1)"),
    )
    assert plan.whole_tables == {"requests"}
    text = page([Answer(asked, [plan])], "PostgreSQL 15", 1_000)
    assert "## What is asked\n\nIt reads all of it: it counts.\n\n```text\nSELECT 1\n\nSeq Scan on requests" in text
    assert "1,000 meters, 10,000 values" in text


def test_the_page_of_the_docs_has_the_questions_of_this_version() -> None:
    text = Path(__file__).parents[2].joinpath("docs/postgresql.md").read_text("utf-8")
    headings = [line.removeprefix("## ").lower() for line in text.splitlines() if line.startswith("## ")]
    assert headings == [one.words.lower() for one in QUESTIONS]
