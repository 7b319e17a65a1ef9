"""The tables of the store: which numbers meters have, their rows, changed attributes, and what happened.

`rows` has one column for each lasting column of `columns`, NULL where it was never changed.
"""

from pathlib import Path

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

from ami_meter_sim.population.columns import NAMES
from ami_process.store.schema import Schema

METADATA = MetaData()

RANGES = Table(
    "ranges",
    METADATA,
    Column("name", String, primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("count", Integer, nullable=False),
    Column("lived_until", Integer, nullable=False, server_default="0"),
)
"""A meter of its own, or a population: the numbers of its meters begin at `number`, and belong to it for ever.

`lived_until`: seconds since the epoch, when its process was last seen alive; 0 for never.
"""

JOURNALS = Table(
    "journals",
    METADATA,
    Column("name", String, primary_key=True),
    Column("stored", Integer, nullable=False),
)
"""How many octets of a file of the journal are in the store."""

ROWS = Table(
    "rows",
    METADATA,
    Column("meter", Integer, primary_key=True, autoincrement=False),
    *(Column(name, Integer) for name in NAMES.values()),
)

KEPT = Table(
    "kept",
    METADATA,
    Column("meter", Integer, primary_key=True),
    Column("class_id", Integer, primary_key=True),
    Column("obis", LargeBinary, primary_key=True),
    Column("attribute_id", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

HISTORY = Table(
    "history",
    METADATA,
    Column("meter", Integer, primary_key=True),
    Column("kind", Integer, primary_key=True),
    Column("at", Integer, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("source", LargeBinary, nullable=False),
    Column("number", Integer, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""`at`: microseconds since the epoch. `n` counts the records of a meter."""

SCHEMA = Schema(
    role="meter-sim",
    owner="process with simulated meters",
    revision="0002",
    tables=METADATA,
    migrations=Path(__file__).parent / "migrations",
    unversioned=("0001", "0001"),
)
