"""The commissioning of meters in the database: the CommissioningStore port, one row per meter."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from ami_hes.enums import MeterState, StepResult
from ami_hes.store.commissioning_port import CommissioningStep, StoredCommissioning
from ami_hes.store.database import Database
from ami_hes.store.tables import commissioning
from ami_process.store.group_commit import GroupCommit

_FIELDS = ("state", "request_id", "changed_at", "steps")
_REPLACE = (
    update(commissioning)
    .where(commissioning.c.mrid == bindparam("of_meter"))
    .values({field: bindparam(field) for field in _FIELDS})
)


class SqlCommissioning:
    """What is kept of several meters at once shares a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeping: GroupCommit[StoredCommissioning] = GroupCommit(database, _keep)

    async def states(self) -> dict[str, MeterState]:
        return await self._database.transaction(_states)

    async def find(self, mrid: str) -> StoredCommissioning | None:
        return await self._database.transaction(lambda connection: _find(connection, mrid))

    async def keep(self, one: StoredCommissioning) -> None:
        await self._keeping.add(one)


def _states(connection: Connection) -> dict[str, MeterState]:
    found = connection.execute(select(commissioning.c.mrid, commissioning.c.state))
    return {mrid: MeterState(state) for mrid, state in found}


def _find(connection: Connection, mrid: str) -> StoredCommissioning | None:
    row = connection.execute(select(commissioning).where(commissioning.c.mrid == mrid)).first()
    if row is None:
        return None
    steps = tuple(CommissioningStep(step, StepResult(result), why) for step, result, why in json.loads(row.steps))
    return StoredCommissioning(row.mrid, MeterState(row.state), row.request_id, row.changed_at, steps)


def _keep(connection: Connection, kept: Sequence[StoredCommissioning]) -> None:
    for one in kept:
        values = {
            "state": str(one.state),
            "request_id": one.request_id,
            "changed_at": one.changed_at,
            "steps": json.dumps(one.steps, ensure_ascii=False),
        }
        if not connection.execute(_REPLACE, values | {"of_meter": one.mrid}).rowcount:
            connection.execute(insert(commissioning).values(mrid=one.mrid, **values))
