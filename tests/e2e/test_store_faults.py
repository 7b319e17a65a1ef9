"""A store that is locked, full or held by another process: nothing ends, nothing is lost, and the words say so."""

from __future__ import annotations

import json
import os
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
from free_ports import free_port
from harness import Process, System, system, until
from patience import PATIENCE_S
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
        with urllib.request.urlopen(f"{ami.hes_url}/healthz", timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path, meters=1) as ami:
        yield ami


@pytest.fixture(scope="module")
def _serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("serving"), meters=1) as ami:
        ami.meter("M1001")["simulated"]["answer_delay_s"] = 0.1
        yield ami.start()


@pytest.fixture
def serving(_serving: System) -> System:
    """A meter that takes its time, connected, and a HES that tests share: whatever a store has, both go on."""
    assert Stranger(_serving.hes_url).switch(CONNECT, [by_mrid(_serving.meter("M1001"))]).result == "OK"
    _serving.forget()
    return _serving


def test_what_a_meter_has_done_is_kept_when_a_locked_store_is_free_again(serving: System) -> None:
    one, hes = serving, serving.hes
    assert hes is not None
    asked = Asked(one, DISCONNECT)
    one.process("M1001").wait_for("switched")
    with locked(one.config["hes"]["store"]):
        said = hes.wait_for("store_outage")
        assert "locked" in said["reason"]
        assert not hes.seen("meter_done"), "what is not kept is not reported"
    hes.wait_for("meter_done")
    assert asked.answered().result == "OK"
    hes.wait_for("store_outage_ended")
    assert Stranger(one.hes_url).switch(CONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"
    until(lambda: health(one) == (200, {"status": "ok"}), "healthz says ok again")


def test_a_request_that_a_locked_store_cannot_take_is_refused_and_nothing_is_switched(serving: System) -> None:
    one = serving
    with locked(one.config["hes"]["store"]):
        answer = Stranger(one.hes_url).switch(DISCONNECT, [by_mrid(one.meter("M1001"))])
    assert answer.result == "FAILED"
    (error,) = answer.failures
    assert error.code == "5.1" and "othing was accepted by this message" in error.reason
    assert not one.process("M1001").seen("switched")
    assert Stranger(one.hes_url).switch(DISCONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"


@pytest.mark.needs("linux")
def test_a_full_disk_ends_nothing_and_is_reported(serving: System) -> None:
    one, hes = serving, serving.hes
    assert hes is not None
    asked = Asked(one, DISCONNECT)
    one.process("M1001").wait_for("switched")
    with full(hes):
        hes.wait_for("store_outage")

        refused = Stranger(one.hes_url).switch(CONNECT, [by_mrid(one.meter("M1001"))])
        assert (refused.result, refused.failures[0].code) == ("FAILED", "5.1")
    hes.wait_for("meter_done")
    assert asked.answered().result == "OK"
    assert Stranger(one.hes_url).switch(CONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"


def test_a_second_head_end_system_on_one_store_is_refused(serving: System) -> None:
    """Under the same name, through a symbolic link, and through a hard link, which locks can't see."""
    one = serving
    store = one.config["hes"]["store"]
    for number, (link, why) in enumerate(((None, "in use"), (os.symlink, "in use"), (os.link, "hard links"))):
        moved = {"port": free_port(), "dlms_port": free_port()}
        if link is not None:
            moved["store"] = str(one.directory / f"other-{number}.sqlite")
            link(store, moved["store"])
        second = one.config | {"hes": one.config["hes"] | moved}
        process = one._start("ami_hes", "serve", "--config", one.write(f"second-{number}.toml", second))
        assert process.wait() == 2, why
        said = process.wait_for("text")["text"]
        assert why in said and "another" in said
    assert Stranger(one.hes_url).switch(DISCONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"


def test_a_second_customer_system_on_one_store_is_refused(one: System) -> None:
    one.start_cis("--no-loop").wait_for("ready")
    moved = one.config | {"cis": one.config["cis"] | {"port": free_port()}}
    process = one._start("ami_cis", "serve", "--config", one.write("second.toml", moved), "--no-loop")
    assert process.wait() == 2
    assert "in use by another customer information system" in process.wait_for("text")["text"]


def test_the_store_of_a_killed_head_end_system_is_free(one: System) -> None:
    one.start().hes.kill()  # type: ignore[union-attr]
    one.start_hes()
    assert Stranger(one.hes_url).switch(DISCONNECT, [by_mrid(one.meter("M1001"))]).result == "OK"


def test_a_second_life_of_a_meter_beside_the_first_is_refused(tmp_path: Path) -> None:
    with system(tmp_path, meters=2) as ami:
        ami.start_meter("M1001")
        moved = {
            **ami.config,
            "meters": [meter | {"address": f"127.0.0.1:{free_port()}"} for meter in ami.config["meters"]],
        }
        process = ami._start("ami_meter_sim", "serve", "--config", ami.write("second.toml", moved))
        assert process.wait() == 2
        assert "M1001 already runs" in process.wait_for("text")["text"]
        ami.start_meter("M1002")


def test_what_the_processes_keep_is_for_their_owner_alone(one: System) -> None:
    directory = one.directory / "state"
    one.config["hes"]["store"] = str(directory / "hes.sqlite")
    one.config["cis"]["store"] = str(directory / "cis.sqlite")
    one.config["meter_sim"]["state"] = str(directory / "meters")
    one.start()
    one.start_cis("--cycles", "1").wait()
    kept = [file for file in directory.rglob("*") if file.is_file()]
    assert {"hes.sqlite", "cis.sqlite", "meters.sqlite"} <= {file.name for file in kept}
    assert any(file.suffix == ".journal" for file in kept)
    assert {file.name for file in kept if file.stat().st_mode & 0o077} == set()


@pytest.mark.parametrize(("module", "section", "key"), [("ami_hes", "hes", "store"), ("ami_cis", "cis", "store")])
def test_a_file_that_is_no_store_is_refused_by_name(one: System, module: str, section: str, key: str) -> None:
    file = one.directory / "shopping.txt"
    file.write_text("apples and pears\n" * 100)
    one.config[section][key] = str(file)
    process = one._start(module, "serve", "--config", one.write())
    assert process.wait() == 2
    assert "shopping.txt can't be used as a store" in process.wait_for("text")["text"]


def test_the_customer_system_goes_on_when_its_store_was_locked(one: System) -> None:
    one.config["demo"] |= {"period_s": 1.0, "connect_after_s": 0.2}
    one.start()
    cis = one.start_cis()
    cis.wait_for("reply_received", result="OK")
    with locked(one.config["cis"]["store"]):
        cis.wait_for("store_outage")
    cis.forget()
    cis.wait_for("reply_received", result="OK")
    assert cis.stop() == 0
