"""Upgrade a store again and again in processes that end as by kill -9, each at another statement: kill_upgrades.py ROLE DIRECTORY.

Of the upgrade's end, where the youngest revision is, each statement; of what is before it, one in nineteen: every revision adds
statements, and each of them is run by each child. Prints a list, one entry per child: whether it was killed, which rows it left,
and what the next start made of the store.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

import ami_process.store.migration
from ami_process.store.opening import ready_store
from ami_process.store.schema import Schema

assert ami_process.store.migration, "imported before the children begin, so that each of them has it"

STRIDE, LAST = 19, 25


def main(role: str, directory: Path) -> None:
    schema: Schema = import_module(f"ami_{role}.store.tables").SCHEMA
    lives: list[dict[str, Any]] = []
    count = statements(old_store(role, directory, 0), schema)
    for step in sorted({*range(1, count, STRIDE), *range(max(1, count - LAST), count + 2)}):
        store = old_store(role, directory, step)
        killed = is_killed_at(step, store, schema)
        left = {"killed": killed, "rows": [line for line in dump(store) if line.startswith("INSERT")]}
        migrated = ready_store(store, schema)
        with closing(sqlite3.connect(store)) as connection:
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        lives.append(left | {"found": migrated and migrated.found, "revision": revision})
    print(json.dumps(lives))


def old_store(role: str, directory: Path, step: int) -> Path:
    store = directory / f"{role}-{step}.sqlite"
    shutil.copyfile(Path(__file__).with_name(f"{role}-0001.sqlite"), store)
    return store


def statements(store: Path, schema: Schema) -> int:
    """Of an upgrade that nothing ends; counted in a child, since a listener stays."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        seen: list[object] = []
        event.listen(Engine, "after_cursor_execute", lambda *_: seen.append(None))
        ready_store(store, schema)
        os.write(writing, str(len(seen)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        count = int(said.read())
    os.wait()
    return count


def is_killed_at(step: int, store: Path, schema: Schema) -> bool:
    """Whether the upgrade had so many statements, the last of which ended the process."""
    child = os.fork()
    if child == 0:
        count = 0

        def kill_at_step(*_: object) -> None:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "after_cursor_execute", kill_at_step)
        ready_store(store, schema)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def dump(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as connection:
        return list(connection.iterdump())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
