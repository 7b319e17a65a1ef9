"""What is asked of the store while a system works: each question is a call of the store's own code, so the statements are the real ones."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from ami_cli.store_plans.filling import NOW, READING_TYPE
from ami_hes.enums import ApprovalState
from ami_hes.store import (
    AuditSearch,
    Database,
    EventQuery,
    Extract,
    RequestFilter,
    SqlAudit,
    SqlDeliveries,
    SqlDeviceEvents,
    SqlGuard,
    SqlHistory,
    SqlOutgoing,
    SqlReadings,
    SqlResults,
    SqlTraces,
)

_NOW_MS = int(NOW.timestamp() * 1000)
_WEEK = timedelta(days=7)


class Question(NamedTuple):
    """In words, and how it is asked. `reads_all`: why the whole of a table that grows is read, where that is meant."""

    words: str
    ask: Callable[[Database], Awaitable[object]]
    reads_all: str = ""


async def _first_part(database: Database) -> None:
    async for _ in SqlReadings(database).everything(Extract(after=_NOW_MS - 86_400_000, until=_NOW_MS, mrids=["m-17"])):
        return


QUESTIONS = (
    Question(
        "values of a meter and a reading type in a time",
        lambda db: SqlReadings(db).find("m-17", [READING_TYPE], after=_NOW_MS - 20 * 86_400_000, until=_NOW_MS),
    ),
    Question("the latest value of a meter", lambda db: SqlReadings(db).latest("m-17", [READING_TYPE], until=_NOW_MS)),
    Question("an export: the values of a series in a time", _first_part),
    Question("a request by its MessageID", lambda db: SqlResults(db).find("r-17")),
    Question("the open commands of a request", lambda db: SqlResults(db).open_commands("r-1000")),
    Question("requests without an answer", lambda db: SqlResults(db).unanswered()),
    Question("replies that are owed", lambda db: SqlResults(db).owed()),
    Question("open commands, by lane", lambda db: SqlResults(db).open_in_lanes()),
    Question("open commands of a meter", lambda db: SqlHistory(db).open_commands_of("m-1000")),
    Question(
        "the latest requests that concern a meter",
        lambda db: SqlResults(db).requests_at("EndDeviceControls", ["create"], ["m-17"], 50, is_open=False),
    ),
    Question("the latest requests", lambda db: SqlHistory(db).requests(50)),
    Question("those before one of them", lambda db: SqlHistory(db).requests(50, "r-5017")),
    Question("how much is not at its end", lambda db: SqlHistory(db).backlog()),
    Question("replies whose delivery failed", lambda db: SqlHistory(db).undelivered(50)),
    Question("dead letters, the latest first", lambda db: SqlHistory(db).dead_letters(50)),
    Question("events of a subscriber in a time", lambda db: SqlOutgoing(db).published("mdm", NOW - _WEEK, NOW)),
    Question(
        "what became of the events of each subscriber",
        lambda db: SqlHistory(db).subscribers(),
        reads_all="it counts every event that is kept",
    ),
    Question("whether a delivery is at its end", lambda db: SqlDeliveries(db).find("r-20")),
    Question("the traces of a request", lambda db: SqlTraces(db).attempts("r-17", 100)),
    Question("how a request came", lambda db: SqlTraces(db).arrival("r-17")),
    Question("requests of a meter that have traces", lambda db: SqlTraces(db).requests(RequestFilter(50, meter="M17"))),
    Question("messages that were refused", lambda db: SqlTraces(db).refusals(50, None)),
    Question("pushes of a meter", lambda db: SqlTraces(db).pushes(50, "M500", None, failed=False)),
    Question("events of a meter", lambda db: SqlDeviceEvents(db).find(EventQuery(mrids=["m-17"]))),
    Question("the latest events of all", lambda db: SqlDeviceEvents(db).find(EventQuery(most=50, newest_first=True))),
    Question("open alarms", lambda db: SqlDeviceEvents(db).find(EventQuery(open_alarms=True, most=50))),
    Question("events behind one of them, for who follows", lambda db: SqlDeviceEvents(db).changes_after(500, 50)),
    Question("the audit log, the latest first", lambda db: SqlAudit(db).latest(50)),
    Question("the audit log of a request", lambda db: SqlAudit(db).of_request("r-17", 0, 50)),
    Question(
        "the audit log of a time",
        lambda db: SqlAudit(db).search(AuditSearch(since=NOW - _WEEK, until=NOW), None, 50),
    ),
    Question("approvals that wait", lambda db: SqlGuard(db).approvals([ApprovalState.WAITING], 50)),
    Question("approvals whose time is over", lambda db: SqlGuard(db).overdue(NOW - _WEEK)),
    Question("what was used of the limits in the last hour", lambda db: SqlGuard(db).used(NOW - timedelta(hours=1))),
)
