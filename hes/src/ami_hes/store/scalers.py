"""The scaler_units of meters in the database: the ScalerUnits port, one row per meter."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ami_hes.store.database import Database
from ami_hes.store.tables import meter_scalers
from ami_process.store.group_commit import GroupCommit

_OF_DEVICE = meter_scalers.c.device == bindparam("of_device")
_KEPT = select(meter_scalers.c.device).where(_OF_DEVICE)
_REPLACE = update(meter_scalers).where(_OF_DEVICE).values(scaler_units=bindparam("scaler_units"))


class SqlScalerUnits:
    """The ScalerUnits port; what is kept of several meters at once shares a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeping: GroupCommit[tuple[str, str]] = GroupCommit(database, _keep)

    async def load(self) -> dict[str, str]:
        return await self._database.transaction(_load)

    async def keep(self, device: str, scaler_units: str) -> None:
        await self._keeping.add((device, scaler_units))

    async def forget(self, device: str) -> None:
        this = delete(meter_scalers).where(meter_scalers.c.device == device)
        await self._database.transaction(lambda connection: connection.execute(this).rowcount)


def _load(connection: Connection) -> dict[str, str]:
    return {row.device: row.scaler_units for row in connection.execute(select(meter_scalers))}


def _keep(connection: Connection, kept: Sequence[tuple[str, str]]) -> None:
    for device, text in kept:
        if not connection.execute(_REPLACE, {"of_device": device, "scaler_units": text}).rowcount:
            connection.execute(insert(meter_scalers).values(device=device, scaler_units=text))
