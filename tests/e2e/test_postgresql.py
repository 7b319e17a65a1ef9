"""HES and CIS on a PostgreSQL server: killed and restarted, server restarted in the middle, and the answer is the truth."""

from __future__ import annotations

from contextlib import suppress

import pytest
import requests
import zeep
from harness import Process, System
from postgresql_server import Cluster
from sqlalchemy import make_url
from stranger import CONNECT, DISCONNECT, Stranger, by_mrid

from ami_hes.store import SCHEMA
from ami_process.store.holding import hold_store
from ami_process.store.postgresql import Server

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture
def slow(ami: System, postgresql: Cluster) -> System:
    """One meter, whose answers leave time to kill somebody; both stores in one database."""
    ami.config["meters"] = ami.config["meters"][:1]
    ami.config["meters"][0]["simulated"]["answer_delay_s"] = 0.1
    ami.config["hes"] |= {"deadline_s": 20.0, "store": postgresql.url(postgresql.new_schema())}
    ami.config["cis"] |= {"request_timeout_s": 30.0, "store": postgresql.url(postgresql.new_schema())}
    return ami.start()


def hes(ami: System) -> Process:
    assert ami.hes is not None
    return ami.hes


def test_killed_and_restarted_in_the_middle_of_a_control_it_is_carried_out_once(slow: System) -> None:
    asking = slow.send(DISCONNECT)
    slow.process("M1001").wait_for("switched")
    hes(slow).kill()
    slow.start_hes()
    asking.wait()
    asking.stop()
    (said,) = [event for event in asking.events if "confirmed" in event]
    assert (said["result"], said["unknown"], said["reason"]) == ("OK", False, None), said
    moved = [one for one in slow.process("M1001").wait_for_some("switched", 1) if one["before"] != one["after"]]
    assert len(moved) == 1


@pytest.mark.ci
def test_a_server_that_restarts_in_the_middle_of_a_control_loses_nothing(slow: System, postgresql: Cluster) -> None:
    asking = slow.send(DISCONNECT)
    slow.process("M1001").wait_for("switched")
    postgresql.stop()
    hes(slow).wait_for("store_outage")
    postgresql.start()
    hes(slow).wait_for("store_outage_ended")
    asking.wait()
    asking.stop()
    (said,) = [event for event in asking.events if "confirmed" in event]
    assert (said["result"], said["unknown"]) == ("OK", False), said
    assert not [one for one in hes(slow).events if "search_path" in str(one)], (
        "the URL of the store is nobody's business"
    )


@pytest.mark.ci
def test_a_second_hes_on_the_same_store_is_refused_and_who_has_lost_it_ends(slow: System, postgresql: Cluster) -> None:
    second = slow._start("ami_hes", "serve", "--config", slow.write("second.toml", _on_other_ports(slow)))
    second.wait()
    assert second.stop() == 2
    assert "in use by another head-end system" in second.events[-1]["text"]
    stranger = Stranger(slow.hes_url)
    assert stranger.switch(DISCONNECT, [by_mrid(slow.meter("M1001"))]).result == "OK"
    place = Server(make_url(slow.config["hes"]["store"]))
    postgresql.cut(place)
    with hold_store(place, SCHEMA):
        pass
    with suppress(zeep.exceptions.Fault, zeep.exceptions.TransportError, requests.ConnectionError):
        assert stranger.switch(CONNECT, [by_mrid(slow.meter("M1001"))]).result != "OK"
    assert hes(slow).wait() == 2
    hes(slow).stop()
    assert "another head-end system has taken the store" in hes(slow).events[-1]["text"]
    assert len(slow.process("M1001").wait_for_some("switched", 1)) == 1


def _on_other_ports(ami: System) -> dict[str, object]:
    return ami.config | {"hes": ami.config["hes"] | {"port": 0, "dlms_port": 0}}
