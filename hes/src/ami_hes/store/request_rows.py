"""Rows of requests and commands as the values that pass through the Results port."""

from sqlalchemy import Row

from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.store.ports import StoredCommand, StoredRequest, StoredResult

OUTCOME = ("ok", "reply_code", "level", "reason", "payload", "attempted")
"""Columns of an Outcome, in its order."""


def request_of(row: Row[*tuple[object, ...]]) -> StoredRequest:
    """All columns."""
    values = dict(row._mapping)
    del values["answered_at"]
    return StoredRequest(**values)


def command_of(row: Row[*tuple[object, ...]]) -> StoredCommand:
    """All columns; without a result `begun` as well, that it may have reached its meter."""
    values = row._mapping
    request_id, meter_name = values["request_id"], values["meter_name"]
    command = Command(request_id, MeterId(meter_name, values["mrid"]), values["operation"], values["body"])
    job = CommandJob(command, Lane(values["lane"]), values["deadline_at"])
    if values["finished_at"] is None:
        return StoredCommand(job, attempted=bool(values.get("begun")))
    outcome = Outcome(*(values[name] for name in OUTCOME))
    result = StoredResult(
        request_id=request_id,
        meter_name=meter_name,
        outcome=outcome,
        took_ms=values["took_ms"],
        finished_at=values["finished_at"],
    )
    return StoredCommand(job, attempted=outcome.attempted, result=result)
