"""A front end and workers on PostgreSQL and NATS: a control goes from the front end to a worker and its truth back, whoever is killed on the way."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import secured
from harness import Process, System, until
from nats_server import Broker
from patience import PATIENCE_S
from postgresql_server import Cluster
from prometheus_client.parser import text_string_to_metric_families
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

pytestmark = [pytest.mark.needs("postgresql"), pytest.mark.needs("nats")]


@pytest.fixture
def shared(ami: System, postgresql: Cluster, nats: Broker, request: pytest.FixtureRequest) -> System:
    """Meters that leave time to kill somebody, and a front end, which knows some or all; its workers say what they exchange with meters."""
    for meter in ami.config["meters"]:
        meter["simulated"]["answer_delay_s"] = 0.1
    ami.config["hes"] |= {
        "deadline_s": 30.0,
        "log_apdus": True,
        "store": postgresql.url(postgresql.new_schema()),
        "engine": f"{nats.server}/{nats.new_system()}",
        "status_port": 0,
    }
    ami.config["cis"] |= {"request_timeout_s": 40.0}
    known = getattr(request, "param", len(ami.config["meters"]))
    for name in ("M1001", "M1002"):
        ami.start_meter(name)
    ami.start_hes(ami.config | {"meters": ami.config["meters"][:known]})
    return ami


def start_worker(ami: System) -> Process:
    """It has a share of the meters once it has said so."""
    worker = ami._start("ami_hes", "work", "--config", ami.write("hes.toml"))
    worker.wait_for("ready")
    return worker


def start_workers(ami: System, number: int) -> list[Process]:
    """Each has its share, and all partitions have an owner."""
    workers = [start_worker(ami) for _ in range(number)]
    until(lambda: sum(map(owned, workers)) == 64 and all(map(owned, workers)), "the partitions were not shared out")
    return workers


def owned(worker: Process) -> int:
    """By what it has said last."""
    said = [one for one in worker.events if one["event"] in ("partitions_taken", "partitions_given")]
    return int(said[-1]["owned"]) if said else 0


def counted(workers: list[Process], name: str, **labels: str) -> float:
    """A metric of all of them together."""
    urls = [f"http://{worker.wait_for('ready')['listen'][0]}/metrics" for worker in workers]
    texts = [httpx.get(url, trust_env=False, timeout=PATIENCE_S).text for url in urls]
    samples = [one for text in texts for family in text_string_to_metric_families(text) for one in family.samples]
    return sum(one.value for one in samples if one.name == name and one.labels == labels)


def in_session(workers: list[Process], meter: str) -> Process:
    """The worker that has spoken with the meter."""
    (one,) = [one for one in workers if any(event.get("meter") == meter for event in one.seen("apdu"))]
    return one


def moved(ami: System, meter: str) -> list[dict[str, Any]]:
    return [one for one in ami.process(meter).seen("switched") if one["before"] != one["after"]]


def test_a_control_is_carried_out_by_a_worker_and_answered_by_the_front_end(shared: System) -> None:
    workers = start_workers(shared, 2)
    stranger = Stranger(shared.hes_url)
    both = [by_mrid(meter) for meter in shared.config["meters"]]
    for code in (DISCONNECT, CONNECT):
        answer = stranger.switch(code, both)
        assert (answer.result, answer.failures) == ("OK", [])
    assert [len(moved(shared, name)) for name in ("M1001", "M1002")] == [2, 2]
    assert shared.hes is not None
    assert not shared.hes.seen("apdu"), "the front end works no meter that is called"
    until(lambda: sum(len(worker.seen("meter_done")) for worker in workers) == 4, "four ends at the workers")
    if not secured.chosen:
        assert counted(workers, "hes_lane_done_total", lane="control", outcome="ok") == 4
        assert counted(workers, "hes_partitions") == 64


def test_a_worker_that_is_killed_in_the_middle_is_replaced_and_the_meter_is_switched_once(shared: System) -> None:
    workers = start_workers(shared, 2)
    asking = shared.send(DISCONNECT)
    shared.process("M1001").wait_for("switched")
    dead = in_session(workers, "M1001")
    dead.kill()
    asking.wait()
    asking.stop()
    (said,) = [event for event in asking.events if "confirmed" in event]
    assert (said["result"], said["unknown"], said["reason"]) == ("OK", False, None), said
    assert len(moved(shared, "M1001")) == 1
    (left,) = [one for one in workers if one is not dead]
    done = left.wait_for("meter_done", meter="M1001")
    assert done["ok"] is True
    assert len(shared.process("M1001").seen("switched")) == 1, (
        "its state was read before, and it was not asked to act again"
    )


@pytest.mark.parametrize("shared", [1], indirect=True)
def test_a_meter_that_is_imported_and_taken_out_is_so_for_the_worker(shared: System) -> None:
    worker = start_worker(shared)
    known = {field: value for field, value in shared.meter("M1002").items() if field != "simulated"}
    stranger, there = Stranger(shared.hes_url), by_mrid(known)
    with httpx.Client(base_url=shared.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        rows = [{"place": "a row", "columns": known}]
        assert [one["outcome"] for one in client.post("/api/v1/meters", json={"rows": rows}).json()["rows"]] == [
            "accepted"
        ]
        assert stranger.switch(DISCONNECT, [there]).result == "OK"
        assert worker.wait_for("meter_done", meter="M1002")["ok"] is True
        assert client.delete("/api/v1/meters/M1002").status_code == 200
    assert stranger.switch(CONNECT, [there]).result == "FAILED"
    assert len(moved(shared, "M1002")) == 1


def test_a_worker_that_is_cut_off_from_the_store_in_the_middle_loses_its_meters_and_nothing_is_done_twice(
    shared: System, postgresql: Cluster
) -> None:
    worker = start_worker(shared)
    asking = shared.send(DISCONNECT)
    worker.wait_for("apdu", meter="M1001")
    of_workers = "locktype = 'advisory' AND granted AND objsubid = 2 AND objid < 64"
    pids = {pid for (pid,) in postgresql.run(f"SELECT pid FROM pg_locks WHERE {of_workers}")}
    assert [postgresql.run(f"SELECT pg_terminate_backend({pid})") for pid in pids] == [[(True,)]]
    worker.wait_for("partitions_lost", partitions=64)
    asking.wait()
    asking.stop()
    (said,) = [event for event in asking.events if "confirmed" in event]
    assert all(one["code"] != "4.1" for one in said["errors"]), "it had to wait for its deadline"
    assert said["unknown"] is False, said
    assert (said["result"], len(moved(shared, "M1001"))) in (("OK", 1), ("FAILED", 0)), said
    assert Stranger(shared.hes_url).switch(DISCONNECT, [by_mrid(shared.meter("M1001"))]).result == "OK"
    assert len(moved(shared, "M1001")) == 1
    assert len(worker.seen("partitions_taken")) == 2


def test_a_meter_that_nobody_works_waits_for_the_first_worker(shared: System) -> None:
    asking = shared.send(DISCONNECT)
    assert shared.hes is not None
    shared.hes.wait_for("request_accepted")
    start_worker(shared)
    asking.wait()
    asking.stop()
    (said,) = [event for event in asking.events if "confirmed" in event]
    assert (said["result"], said["unknown"]) == ("OK", False), said
    assert len(moved(shared, "M1001")) == 1


def test_what_waits_at_a_worker_is_cancelled_and_what_it_has_begun_has_its_own_end(shared: System) -> None:
    shared.config["hes"] |= {"max_sessions": 1}
    worker = start_worker(shared)
    order = {"control": "disconnect", "meters": ["M1001", "M1002"], "message_id": "both", "asynchronous": True}
    with httpx.Client(base_url=shared.hes_url, trust_env=False, timeout=PATIENCE_S) as client:
        assert client.post("/api/v1/controls", json=order).json()["accepted"] is True
        worker.wait_for("apdu")
        assert client.delete("/api/v1/jobs/both").json() == {"commands": 1, "waiting": False}

        def shown() -> Any:
            return client.get("/api/v1/requests/both").json()

        until(lambda: shown()["request"]["result"] is not None, "no answer")
        found = shown()
        assert (found["request"]["result"], found["request"]["done"]) == ("PARTIAL", 2)
        (cancelled,) = [one for one in found["commands"] if not one["ok"]]
        assert (cancelled["reply_code"], "cancelled before it was begun" in cancelled["reason"]) == ("6.5", True)
        (switched,) = [one["meter"] for one in found["commands"] if one["ok"]]
    assert (len(moved(shared, switched)), len(moved(shared, cancelled["meter"]))) == (1, 0)
