"""The plans of the statements that a question becomes, as the server has carried them out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, event

from ami_cli.store_plans.questions import Question
from ami_hes.store import Database

EXPLAIN = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) "
SEQUENTIAL = re.compile(r"Seq Scan on (\w+)")
SMALL = frozenset({"controls_stop", "audit_chain"})
"""Tables of one row."""


class Plan(NamedTuple):
    """Of one statement, with the text of it."""

    statement: str
    lines: tuple[str, ...]

    @property
    def whole_tables(self) -> frozenset[str]:
        """Those that grow and were read from their beginning to their end."""
        return frozenset(SEQUENTIAL.findall("\n".join(self.lines))) - SMALL


async def plans_of(database: Database, question: Question) -> list[Plan]:
    """Asks it, and then has each statement of it explained."""
    asked: list[tuple[str, Any]] = []
    with _heard(database._engine, asked):
        await question.ask(database)
    return await database.transaction(lambda connection: [_plan(connection, *one) for one in asked])


@contextmanager
def _heard(engine: Engine, asked: list[tuple[str, Any]]) -> Iterator[None]:
    def hear(_: object, __: object, statement: str, parameters: Any, ___: object, ____: bool) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def _plan(connection: Connection, statement: str, parameters: Any) -> Plan:
    lines = connection.exec_driver_sql(EXPLAIN + statement, parameters).scalars().all()
    return Plan(" ".join(statement.split()), tuple(map(str, lines)))
