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


class Batch:
    """What a number of changes comes to, of changes of the same thing the last one."""

    def __init__(self) -> None:
        self._cells: dict[int, dict[int, int]] = defaultdict(dict)
        """Of each meter the columns that changed, by number."""
        self._kept: dict[tuple[int, int, bytes, int], bytes | None] = {}
        self._happened: list[Happened] = []
        self._forgotten: dict[tuple[int, int, bytes], int] = {}

    def take(self, changes: Iterable[Change]) -> None:
        """Add them in order."""
        for change in changes:
            match change:
                case Cell(meter, column, value):
                    self._cells[meter][column] = value
                case KeptAttribute(meter, class_id, obis, attribute_id, content):
                    self._kept[meter, class_id, obis, attribute_id] = content
                case Happened():
                    self._happened.append(change)
                case Forget(meter, kind, source, n):
                    self._forgotten[meter, kind, source] = n

    def _by_columns(self) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
        """Number and values of meters by which of their columns have changed; most meters of a second have changed alike."""
        found: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
        for meter, cells in self._cells.items():
            known = sorted(column for column in cells if column in NAMES)  # and not one that is gone since
            found[tuple(known)].append((meter, *[cells[column] for column in known]))
        return found

    def store(self, connection: Connection) -> None:
        """Write it; done twice it comes to the same."""
        for columns, rows in self._by_columns().items():
            _many(connection, _upsert(columns), rows)
        kept = self._kept.items()
        _many(connection, _KEEP, [(*key, content) for key, content in kept if content is not None])
        _many(connection, _GO_BACK, [key for key, content in kept if content is None])
        _many(connection, _HAPPEN, self._happened)
        _many(connection, _FORGET, [(*key, n) for key, n in self._forgotten.items()])
        many = {one.meter for one in self._happened if one.n % LOOK_EVERY == 0}
        _many(connection, _LIMIT, [(meter, MOST_RECORDS) for meter in many])


def _upsert(columns: Sequence[int]) -> str:
    """Of the rows of meters in which these columns have changed: one statement a meter, however many they are."""
    names = [NAMES[column] for column in columns]
    values = ", ".join("?" * (1 + len(names)))
    update = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}" if names else "NOTHING"
    into = ", ".join(("meter", *names))
    return f"INSERT INTO rows ({into}) VALUES ({values}) ON CONFLICT (meter) DO {update}"  # noqa: S608 (our own names)


def _many(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
