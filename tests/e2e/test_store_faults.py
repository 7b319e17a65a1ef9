"""A store that is locked, full or held by another process: nothing ends, nothing is lost, and the words say so."""

from __future__ import annotations

import json
import resource
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import Process, System, system, until
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid


@contextmanager
def locked(store: str) -> Iterator[None]:
    """Somebody else writes into the file and takes their time."""
    connection = sqlite3.connect(store, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextmanager
def full(process: Process) -> Iterator[None]:
    """No file of the process can grow, as on a full disk."""
    pid = process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class Asked(threading.Thread):
    """A control that is asked for while something else happens."""

    def __init__(self, ami: System, control: str) -> None:
        super().__init__(daemon=True)
        self._ami, self._control = ami, control
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        self.answer = Stranger(self._ami.hes_url).switch(self._control, [by_mrid(self._ami.meter("M1001"))])

    def answered(self) -> Any:
        self.join(30)
        assert self.answer is not None, "no answer came"
        return self.answer


def health(ami: System) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{ami.hes_url}/healthz", timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path, meters=1) as ami:
        yield ami


def test_what_a_meter_has_done_is_kept_when_a_locked_store_is_free_again(one: System) -> None:
    one.meter("M1001")["simulated"]["answer_delay_s"] = 0.1
    hes = one.start().hes
    assert hes is not None
    asked = Asked(one, DISCONNECT)
    one.process("M1001").wait_for("switched")
    with locked(one.config["hes"]["store"]):
        hes.wait_for("meter_done")
        said = hes.wait_for("store_unavailable")
        assert "locked" in said["reason"]
    assert asked.answered().result == "OK"
    hes.wait_for("store_available")
    assert Stranger(one.hes_url).switch(CONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"
    until(lambda: health(one) == (200, {"status": "ok"}), "healthz says ok again")


def test_a_request_that_a_locked_store_cannot_take_is_refused_and_nothing_is_switched(one: System) -> None:
    hes = one.start().hes
    assert hes is not None
    with locked(one.config["hes"]["store"]):
        answer = Stranger(one.hes_url).switch(DISCONNECT, [by_mrid(one.meter("M1001"))])
    assert answer.result == "FAILED"
    (error,) = answer.failures
    assert error.code == "5.1" and "othing was accepted" in error.reason
    assert not one.process("M1001").seen("switched")
    assert Stranger(one.hes_url).switch(DISCONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"


def test_a_full_disk_ends_nothing_and_is_reported(one: System) -> None:
    one.meter("M1001")["simulated"]["answer_delay_s"] = 0.1
    hes = one.start().hes
    assert hes is not None
    asked = Asked(one, DISCONNECT)
    one.process("M1001").wait_for("switched")
    with full(hes):
        hes.wait_for("meter_done")
        hes.wait_for("store_unavailable")

        refused = Stranger(one.hes_url).switch(CONNECT, [by_mrid(one.meter("M1001"))])
        assert (refused.result, refused.failures[0].code) == ("FAILED", "5.1")
    assert asked.answered().result == "OK"
    assert Stranger(one.hes_url).switch(CONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"
