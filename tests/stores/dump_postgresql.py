"""Write the small stores of the present schemas as databases of PostgreSQL: dump_postgresql.py DIRECTORY.

The rows are those of the SQLite files of the same schema; what is written is SQL without the name of any schema.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1]))

from postgresql_server import Cluster, as_user, cluster, program

from ami_cis.store.tables import SCHEMA as CIS
from ami_hes.store.tables import SCHEMA as HES
from ami_process.store.opening import ready_store
from ami_process.store.places import engine_of
from ami_process.store.schema import Schema

HERE = Path(__file__).parent
LEFT_OUT = re.compile(r"(--|\\|SET |SELECT pg_catalog.set_config|CREATE SCHEMA)")


def dump(postgresql: Cluster, schema: Schema) -> str:
    place = postgresql.new_place()
    ready_store(place, schema)
    there, here = engine_of(HERE / f"{schema.role}-{schema.revision}.sqlite"), engine_of(place)
    with there.connect() as source, here.begin() as target:
        for table in schema.tables.sorted_tables:
            if rows := [dict(row._mapping) for row in source.execute(select(table))]:
                target.execute(table.insert(), rows)
        for name, number in (
            ("spent_ids", "number"),
            ("replies", "number"),
            ("reading_series", "series_id"),
            ("device_event_changes", "number"),
            ("device_event_journal", "number"),
            ("trace_attempts", "number"),
            ("master_data_changes", "number"),
        ):
            if number in getattr(schema.tables.tables.get(name), "columns", ()):
                target.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{name}', '{number}'), (SELECT max({number}) FROM {name}))"
                )
    there.dispose()
    here.dispose()
    name = str(place.url.query["options"]).removeprefix("-csearch_path=")
    line = [program("pg_dump"), "--inserts", "--no-owner", "--no-privileges", f"--schema={name}"]
    line += ["-h", str(postgresql.socket), "-p", str(postgresql.port), "-U", "postgres", "postgres"]
    written = subprocess.run(as_user(*line), cwd="/", capture_output=True, text=True, check=True).stdout
    kept = [one for one in written.splitlines() if one and LEFT_OUT.match(one) is None]
    return "\n".join(kept).replace(f"{name}.", "") + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, cluster(Path(scratch, "template")) as server:
        for one in (HES, CIS):
            Path(sys.argv[1], f"{one.role}-{one.revision}.sql").write_text(dump(server, one))
