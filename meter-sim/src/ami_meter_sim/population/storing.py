"""Records of the journal become rows of the store's tables: many at once, in the transaction of the caller."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from ami_meter_sim.population.columns import NAMES
from ami_meter_sim.population.journal import Cell, Change, Forget, Happened, KeptAttribute

MOST_RECORDS = 50_000
"""Of one kind and source of one meter; the oldest go. Who writes records forgets them earlier: this is for what nothing else counts."""
LOOK_EVERY = 512

_KEEP = "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)"
_GO_BACK = "DELETE FROM kept WHERE meter = ? AND class_id = ? AND obis = ? AND attribute_id = ?"
_HAPPEN = "INSERT OR REPLACE INTO history (meter, kind, n, at, source, number, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM history WHERE meter = ? AND kind = ? AND source = ? AND n <= ?"
_LIMIT = (
    "DELETE FROM history WHERE meter = ?1 AND (kind, at, n) IN (SELECT kind, at, n FROM (SELECT kind, at, n, row_number() OVER "
    "(PARTITION BY kind, source ORDER BY n DESC) AS place FROM history WHERE meter = ?1) WHERE place > ?2)"
)
_UPDATES = {column: f"UPDATE rows SET {name} = ? WHERE meter = ?" for column, name in NAMES.items()}  # noqa: S608 (our own names)


class Batch:
    """What a number of changes comes to, of changes of the same thing the last one."""

    def __init__(self) -> None:
        self._cells: dict[int, dict[int, int]] = defaultdict(dict)
        self._kept: dict[tuple[int, int, bytes, int], bytes | None] = {}
        self._happened: list[Happened] = []
        self._forgotten: dict[tuple[int, int, bytes], int] = {}

    def take(self, changes: Iterable[Change]) -> None:
        """Add them in order."""
        for change in changes:
            match change:
                case Cell(meter, column, value):
                    self._cells[column][meter] = value
                case KeptAttribute(meter, class_id, obis, attribute_id, content):
                    self._kept[meter, class_id, obis, attribute_id] = content
                case Happened():
                    self._happened.append(change)
                case Forget(meter, kind, source, n):
                    self._forgotten[meter, kind, source] = n

    def store(self, connection: Connection) -> None:
        """Write it; done twice it comes to the same."""
        meters = {meter for cells in self._cells.values() for meter in cells}
        _many(connection, "INSERT OR IGNORE INTO rows (meter) VALUES (?)", [(meter,) for meter in meters])
        for column, cells in self._cells.items():
            if column in _UPDATES:  # and not one that is gone since
                _many(connection, _UPDATES[column], [(value, meter) for meter, value in cells.items()])
        kept = self._kept.items()
        _many(connection, _KEEP, [(*key, content) for key, content in kept if content is not None])
        _many(connection, _GO_BACK, [key for key, content in kept if content is None])
        _many(connection, _HAPPEN, self._happened)
        _many(connection, _FORGET, [(*key, n) for key, n in self._forgotten.items()])
        many = {one.meter for one in self._happened if one.n % LOOK_EVERY == 0}
        _many(connection, _LIMIT, [(meter, MOST_RECORDS) for meter in many])


def _many(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
