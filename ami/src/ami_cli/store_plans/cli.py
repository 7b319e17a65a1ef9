"""`ami store-plans`: fills a store, asks, and writes down the plans."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ami_cli.bench_runs import Report, measured
from ami_cli.bench_scale.schemas import empty_schema, version
from ami_cli.store_plans.filling import VALUES_EACH, fill
from ami_cli.store_plans.plans import Plan, plans_of
from ami_cli.store_plans.questions import QUESTIONS, Question
from ami_hes.store import Database

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
HEADING = """\
# How PostgreSQL finds things

Written by `make store-plans WRITE=docs`. What the head-end asks its store for while a system works, each with the plan by which PostgreSQL has answered
it: the statements are those of the store's own code, taken from the connection, in a store that was filled for it. None of them reads a table that grows from
its beginning to its end, but where that is said (`tests/ami/test_store_plans.py`). Of the partitions of `reading_values` a plan names those that it may need; *never executed* are those that it
did not look into. How the readings are divided, and why: [ADR 49](adr/0049-postgresql-for-many-meters.md).

{version}; {meters:,} meters, {values:,} values, and of requests, commands, replies, traces, events and entries of the audit log {meters:,} each.
"""


class Answer(NamedTuple):
    """A question with the plans of its statements."""

    question: Question
    plans: list[Plan]


@app.command("store-plans")
def store_plans(
    store: Annotated[
        str,
        typer.Option(
            metavar="URL", help="postgresql://USER@HOST/DATABASE, in which a schema is made and dropped again."
        ),
    ],
    meters: Annotated[int, typer.Option(min=1_000, help="Of each there are ten values and a request.")] = 100_000,
    write: Annotated[Path | None, typer.Option(help="Write the page here as Markdown, too.")] = None,
) -> None:
    """Fill a store of PostgreSQL and show by which plans it is asked."""
    with empty_schema(store) as place:
        answers = measured(lambda tell: ask_all(Database(place), meters, tell))
        text = page(answers, version(place).partition(",")[0], meters)
    if write is not None:
        write.write_text(text, "utf-8")
    typer.echo(text)


async def ask_all(made: Database, meters: int, tell: Report) -> list[Answer]:
    """In a store that is empty."""
    async with made as database:
        tell(f"filling it for {meters:,} meters")
        await database.transaction(lambda connection: sum(1 for _ in fill(connection, meters)))
        return [Answer(one, await plans_of(database, one)) for one in QUESTIONS]


def page(answers: list[Answer], server: str, meters: int) -> str:
    """docs/postgresql.md."""
    parts = [HEADING.format(version=server, meters=meters, values=VALUES_EACH * meters)]
    for question, plans in answers:
        parts.append(f"\n## {question.words[0].upper()}{question.words[1:]}\n")
        if question.reads_all:
            parts.append(f"\nIt reads all of it: {question.reads_all}.\n")
        for plan in plans:
            parts.append("\n```text\n" + "\n".join((plan.statement, "", *plan.lines)) + "\n```\n")
    return "".join(parts)
