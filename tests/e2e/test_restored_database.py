"""An older copy of a database is brought back as the how-to says: no invocation counter passes twice, and no control is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from harness import System, until
from postgresql_server import Cluster, rows
from sqlalchemy import make_url
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid
from wire import counters

from ami_process.store.postgresql import Server

pytestmark = [pytest.mark.ci, pytest.mark.needs("postgresql")]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def moves(ami: System) -> list[bool]:
    """Of the contactor: whether it was closed after each of them."""
    return [
        one["after"]["output_state"] for one in ami.process("M1001").seen("switched") if one["before"] != one["after"]
    ]


def test_what_the_copy_shows_as_open_is_not_done_again_and_counters_go_on_above(
    ami: System, postgresql: Cluster
) -> None:
    schema, copy = postgresql.new_schema(), ami.directory / "copy.dump"
    ami.config["meters"] = ami.config["meters"][:1]
    ami.config["meters"][0]["simulated"]["answer_delay_s"] = 0.3
    ami.config["hes"] |= {"deadline_s": 60.0, "apdu_timeout_s": 30.0, "store": postgresql.url(schema)}
    ami.config["cis"] |= {"request_timeout_s": 90.0}
    place = Server(make_url(ami.config["hes"]["store"]))
    server = ["-h", str(postgresql.socket), "-p", str(postgresql.port), "-U", "postgres", "-d", "postgres"]
    tap = ami.tap("M1001")
    ami.start()
    meter, stranger = [by_mrid(ami.meter("M1001"))], Stranger(ami.hes_url)
    asking = ami.send(DISCONNECT)
    ami.process("M1001").wait_for("switched")
    os.kill(ami.process("M1001").pid, signal.SIGSTOP)  # so that the copy is made amid the control
    try:
        run("pg_dump", "--format=custom", f"--schema={schema}", f"--file={copy}", *server)
    finally:
        os.kill(ami.process("M1001").pid, signal.SIGCONT)
    asking.wait()
    for control in (CONNECT, DISCONNECT):
        assert stranger.switch(control, meter).result == "OK"
    assert ami.hes is not None
    ami.hes.stop()
    before = counters(tap.requests)
    postgresql.run(f"DROP SCHEMA {schema} CASCADE")
    run("pg_restore", "--exit-on-error", *server, str(copy))
    assert rows(place, "SELECT count(*) FROM commands WHERE finished_at IS NULL") == [(1,)], "the copy has it open"
    run(str(Path(sys.executable).with_name("hes")), "store", "restored", "--config", ami.write())
    ami.start_hes()
    until(
        lambda: rows(place, "SELECT count(*) FROM commands WHERE finished_at IS NULL") == [(0,)],
        "what was open in the copy has its end",
    )
    assert stranger.switch(DISCONNECT, meter).result == "OK"
    assert moves(ami) == [False, True, False]
    seen = counters(tap.requests)
    assert len(seen) > len(before) > 10
    assert [pair for pair, times in Counter(seen).items() if times > 1] == []
    assert seen[-1][1] >= max(value for _, value in before)
