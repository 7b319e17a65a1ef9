"""A copy of the HES's store is put back behind its back: no invocation counter passes twice under one key, and it is told in words."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from harness import System
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid
from wire import counters


def copied(store: Path, copy: Path) -> None:
    """As a backup of the machine does, while the process runs."""
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def put_back(store: Path, copy: Path) -> None:
    for log in ("-wal", "-shm"):
        store.with_name(store.name + log).unlink(missing_ok=True)
    copy.replace(store)


def test_no_counter_passes_twice_when_an_older_copy_is_put_back(ami: System) -> None:
    store, copy = ami.directory / "hes.sqlite", ami.directory / "copy.sqlite"
    tap, meter = ami.tap("M1001"), [by_mrid(ami.meter("M1001"))]
    ami.start("M1001")
    switch = Stranger(ami.hes_url).switch
    assert switch(DISCONNECT, meter).result == "OK"
    copied(store, copy)
    for control in (CONNECT, DISCONNECT):
        assert switch(control, meter).result == "OK"
    ami.hes.stop()
    before = counters(tap.requests)
    # a second life uses a range of its own, which the copy does not know
    ami.start_hes()
    assert switch(CONNECT, meter).result == "OK"
    ami.hes.kill()
    put_back(store, copy)
    told = ami.start_hes().wait_for("store_brought_back")
    assert "older copy" in told["why"] and "may have been sent" in told["assumed"]
    assert switch(DISCONNECT, meter).result == "OK"
    seen = counters(tap.requests)
    assert len(before) > 10 and len(seen) > len(before)
    assert [pair for pair, times in Counter(seen).items() if times > 1] == []
    assert seen[-1][1] >= max(value for _, value in before) + 2**20
