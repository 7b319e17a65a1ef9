"""NATS dies with its disk while a campaign or the run of a schedule is under way: both come to their end, and no meter is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from harness import Process, System, system, until
from nats_server import Broker, broker
from patience import PATIENCE_S
from postgresql_server import Cluster
from test_workers import start_worker

pytestmark = pytest.mark.needs("postgresql", "nats")

METERS = 8
IMPORT = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
RATE = 20.0
"""Seconds of all clocks in one of the machine's: what is due in the next minute is so soon."""


@pytest.fixture
def streams() -> Iterator[Broker]:
    """A server of its own, since its disk is lost."""
    with broker() as one:
        yield one


@pytest.fixture
def ami(tmp_path: Any, postgresql: Cluster, streams: Broker) -> Iterator[System]:
    """One session at a time, and a lane that takes two commands, so that there always is something that waits."""
    with system(tmp_path, meters=METERS) as one:
        for number, meter in enumerate(one.config["meters"]):
            meter["simulated"] |= {"model": "single-phase", "answer_delay_s": 0.02}
            meter["master_key"] = f"{number:032x}".replace("0", "5")
        one.config["hes"] |= {
            "max_sessions": 1,
            "lanes": {"campaign": {"max_pending": 3}, "read": {"max_pending": 3}},
            "store": postgresql.url(postgresql.new_schema()),
            "engine": f"{streams.server}/{streams.new_system()}",
        }
        one.config["clock"] = {"mode": "scaled", "start_at": datetime.now(UTC), "rate": RATE}
        one.start_together()
        yield one


def asking(ami: System) -> httpx.Client:
    return httpx.Client(base_url=ami.hes_url, trust_env=False, timeout=PATIENCE_S)


def lose(streams: Broker) -> None:
    streams.forget()
    streams.start()


def ended(worker: Process) -> Counter[str]:
    """Meters whose commands have ended there, and how often."""
    return Counter(one["meter"] for one in worker.seen("meter_done"))


def test_a_campaign_goes_on_behind_streams_that_are_lost(ami: System, streams: Broker) -> None:
    worker = start_worker(ami)
    names = [meter["name"] for meter in ami.config["meters"]]
    with asking(ami) as client:
        ordered = client.post("/api/v1/campaigns/keys", json={"key": "authentication", "meters": names})
        assert ordered.is_success, ordered.text
        url = f"/api/v1/campaigns/{ordered.json()['id']}"
        worker.wait_for_some("meter_done", 2)
        lose(streams)
        assert len(ended(worker)) < METERS, "it was over before, so that nothing was shown"

        def done() -> int:
            return int(client.get(url).json()["done"])

        until(lambda: done() == METERS, "the campaign has not ended")
        found = client.get(url).json()
        assert (found["done"], found["ok"], found["state"]) == (METERS, METERS, "ended"), found
    assert ended(worker) == Counter(names)


def test_a_run_of_a_schedule_goes_on_behind_streams_that_are_lost(ami: System, streams: Broker) -> None:
    """It is put part by part, as its lane has room; when it was due is by the clock that all of them live by."""
    worker = start_worker(ami)
    names = [meter["name"] for meter in ami.config["meters"]]
    with asking(ami) as client:

        def last_run() -> Any:
            (one,) = client.get("/api/v1/schedules").json()["schedules"]
            return one["runs"][0] if one["runs"] else None

        soon = datetime.fromisoformat(client.get("/api/v1/clock").json()["now"]) + timedelta(minutes=2)
        order = {"reading_types": [IMPORT], "meters": names, "every": "hour", "at": f"{soon:%H:%M}", "time_zone": "UTC"}
        put = client.put("/api/v1/schedules/hourly", json=order | {"deadline_s": 3_000})
        assert put.is_success, put.text
        worker.wait_for_some("meter_done", 2)
        lose(streams)
        assert len(ended(worker)) < METERS, "it was over before, so that nothing was shown"
        until(lambda: last_run()["ended_at"] is not None, "the run has not ended")
        assert (last_run()["meters"], last_run()["delivered"]) == (METERS, METERS), last_run()
    assert ended(worker) == Counter(names)
