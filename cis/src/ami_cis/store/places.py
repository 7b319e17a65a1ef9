"""Where usage points are: one row for each that has a place, by the name that it is asked for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ami_cis.store.tables import PLACES

_BATCH = 1_000


class KeptPlace(NamedTuple):
    """Degrees of WGS 84; `said_at` is when somebody said so last."""

    usage_point: str
    latitude: float
    longitude: float
    main_address: str | None
    said_at: datetime


def keep_places(connection: Connection, places: Sequence[KeptPlace]) -> None:
    """What is said of a usage point takes the place of what was said before."""
    if not places:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    added = dialect.insert(PLACES)
    changing = added.on_conflict_do_update(
        index_elements=["usage_point"],
        set_={name: added.excluded[name] for name in KeptPlace._fields if name != "usage_point"},
    )
    for at in range(0, len(places), _BATCH):
        connection.execute(changing, [one._asdict() for one in places[at : at + _BATCH]])


def find_places(connection: Connection) -> list[KeptPlace]:
    """All of them, by name."""
    rows = connection.execute(select(PLACES).order_by(PLACES.c.usage_point)).mappings()
    return [KeptPlace(**row) for row in rows]


def forget_place(connection: Connection, usage_point: str) -> bool:
    """Whether there was one."""
    return connection.execute(delete(PLACES).where(PLACES.c.usage_point == usage_point)).rowcount > 0
