"""What `ami()` gives: processes, clock, meters, inbox, journal, and the way back to the beginning."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from patience import PATIENCE_S

from ami_testkit import KitError, System, ami
from ami_testkit.processes import wait_until

METERS = ["M1001", "M1002"]
COVER = "12.0.257"
GUARD = {
    "disconnects": {"per_principal": 1_000_000, "in_all": 1_000_000},
    "load_limits": {"per_principal": 1_000_000, "in_all": 1_000_000},
    "keys": {"per_principal": 1},
}


@pytest.fixture(scope="module")
def running() -> Iterator[System]:
    slow = {"fault": "slow", "seconds": 0.0, "meters": ["M1004"]}
    with ami(meters=4, seed=7, faults=[slow], hes_settings={"guard": GUARD}) as system:
        yield system


@pytest.fixture
def system(running: System) -> System:
    running.reset()
    return running


def test_a_read_is_answered_by_meter(system: System) -> None:
    answer = system.hes.read([*METERS, "M9"])
    answer.expect(result="PARTIAL", codes={"M9": "2.4"}, xpath="count(//p:MeterReading) = 2")
    assert answer.schema_problem is None
    assert {one.meter for one in answer.readings} == set(METERS)
    assert {one.meter: round(float(one.value) * 1000) for one in answer.readings} == {
        name: system.meters[name].import_wh for name in METERS
    }
    with pytest.raises(AssertionError, match=r"result is 'PARTIAL', expected 'OK'\n.*codes are .*M9.*expected none"):
        answer.expect(result="OK", codes={})


def test_a_late_reply_comes_to_the_inbox_and_the_switch_inside_the_meter_has_moved(system: System) -> None:
    order = system.hes.control("disconnect", METERS, later=True)
    reply = system.inbox.expect_reply(order, result="OK", codes={}, within=PATIENCE_S)
    assert (reply.noun, reply.verb) == ("EndDeviceControls", "reply") and reply.schema_problem is None
    system.expect.switch("M1001", connected=False)
    system.expect.untouched("M1003")
    system.expect.event("31.0.68", "M1001", within=PATIENCE_S)
    with pytest.raises(AssertionError, match="M1001 was expected to be connected and is disconnected"):
        system.expect.switch("M1001", connected=True)
    with pytest.raises(AssertionError, match="nothing was expected to go to M1001, and there are"):
        system.expect.untouched("M1001")
    with pytest.raises(AssertionError, match=r"but result is 'OK', expected 'FAILED'; \d came"):
        system.inbox.expect_reply(order, result="FAILED")
    with pytest.raises(AssertionError, match=r"no EndDeviceEvent 9\.9\.9\.9 came within 0 s"):
        system.expect.event("9.9.9.9", within=0)


def test_what_happens_at_a_meter_is_an_event_in_the_inbox(system: System) -> None:
    system.meters["M1002"].condition("meter_cover")
    system.clock.advance(60)
    event = system.expect.event(COVER, "M1002", within=PATIENCE_S)
    system.inbox.expect_message(noun="EndDeviceEvents", verb="created", xpath="//p:EndDeviceEvent", within=PATIENCE_S)
    assert event.schema_problem is None and not event.is_reply
    with pytest.raises(AssertionError, match="nothing was expected; 1 came"):
        system.inbox.expect_nothing()


def test_the_journal_has_every_message_and_every_apdu(system: System) -> None:
    order = system.hes.read(METERS[:1])
    assert [str(one.leg) for one in system.journal.messages] == ["request", "answer"]
    assert "get MeterReadings" in system.journal.summary()
    apdus = system.journal.apdus()
    assert apdus == system.journal.apdus(order) == system.journal.apdus(meter="M1001")
    ciphered = [one for one in apdus if one.clear is not None and one.clear != one.octets]
    assert {one.direction for one in ciphered} == {"request", "response"}
    assert system.journal.apdus(meter="M1002") == []


def test_the_clock_is_that_of_head_end_and_meters(system: System) -> None:
    before = system.clock.now
    (first,) = system.hes.read(["M1001"]).readings
    assert system.clock.advance(hours=2) == before + timedelta(hours=2) == system.clock.now
    (second,) = system.hes.read(["M1001"]).readings
    assert first.at == before and second.at == system.clock.now and float(second.value) > float(first.value)
    with pytest.raises(KitError, match="never goes back"):
        system.clock.move_to(before)
    with pytest.raises(AssertionError, match="did not happen within 0:00:05"):
        system.clock.advance_until(lambda: False, most=timedelta(seconds=5))


def test_a_silent_meter_ends_its_request_when_the_clock_has_moved(system: System) -> None:
    system.meters["M1003"].fault("silent")
    order = system.hes.control("disconnect", ["M1003"], later=True)
    system.clock.advance_until(lambda: bool(system.inbox.replies))
    system.expect.reply(order, result="FAILED", codes={"M1003": "4.1"})


def test_a_reset_brings_back_all_but_counters_and_the_clock(system: System) -> None:
    """Of a system in which everything is in the way: a switch, a fault, a schedule, an order without an end, a fault of the border."""
    order = system.hes.control("disconnect", ["M1001"], later=True)
    system.expect.reply(order, result="OK", within=PATIENCE_S)
    system.meters.fault("silent", meters=["M1002"])
    system.border.fault("never", on="reply")
    waiting = system.hes.control("disconnect", ["M1002"], later=True)
    counter, now = system.meters["M1001"].counter, system.clock.now
    used = {one.octets for one in system.journal.apdus(order)}
    system.reset()
    assert system.meters["M1001"].counter >= counter and system.clock.now >= now
    system.expect.switch("M1001", connected=True)
    assert (system.inbox.messages, system.journal.messages, system.border.faults) == ([], [], [])
    assert [one["rule"]["fault"] for one in system.simulator.get("/api/v1/faults")] == ["slow"], "that of the options"
    assert system.hes.rest.get("/api/v1/jobs")["requests"] == 0
    again = system.hes.control("disconnect", ["M1001", "M1002"], later=True)
    system.expect.reply(again, result="OK", codes={}, within=PATIENCE_S)
    assert [one.correlation_id for one in system.inbox.replies] == [again.correlation_id] != [waiting.correlation_id]
    ciphered = {one.octets for one in system.journal.apdus(again) if one.clear not in (None, one.octets)}
    assert ciphered and not ciphered & used, "no counter is used twice under one key"


def test_a_campaign_that_waits_for_approval_is_gone_with_a_reset(system: System) -> None:
    wanted = {"meters": METERS, "key": "authentication"}
    ordered = system.hes.rest.post("/api/v1/campaigns/keys", **wanted)
    path = f"/api/v1/campaigns/{ordered['id']}"
    assert system.hes.rest.get(path)["state"] == "waiting for approval"
    system.reset()
    assert system.hes.rest.get(path)["state"] == "cancelled"


def test_two_systems_of_one_seed_say_the_same_and_know_nothing_of_each_other(system: System) -> None:
    with ami(meters=2, seed=7) as other:
        assert other.hes.url != system.hes.url
        other.hes.control("disconnect", ["M1001"]).expect(result="OK", codes={})
        system.expect.switch("M1001", connected=True)
        assert system.journal.messages == []
        assert other.meters["M1001"].entry["encryption_key"] == system.meters["M1001"].entry["encryption_key"]


def test_what_can_not_be_is_said_before_anything_starts() -> None:
    for options, said in (
        ({"meters": 0}, "from 1 to 5,000"),
        ({"clock": "reel"}, "virtual or real"),
        ({"pack": "is15960"}, "there is no pack 'is15960'; there are .*is15959"),
        ({"pack": "is15959/four-phase"}, "has no model 'four-phase'; there are ct, single-phase, three-phase"),
        ({"pack": "prime-es"}, "is a list, without models"),
        ({"pack": "is15959", "model": "residential"}, "give one of them"),
    ):
        with pytest.raises(KitError, match=said), ami(**options):
            pass


def test_a_head_end_that_ends_at_once_says_why_and_state_is_kept_when_a_block_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unusable = {"deadline_s": "soon"}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = pytest.raises(KitError, match=r"(?s)hes ended with exit code 2 .*deadline_s")
    with ended as said, ami(meters=1, hes_settings=unusable):
        pass
    (log,) = tmp_path.glob("*/hes.log")
    assert f"({log})" in str(said.value), "what is named is still there"
    with pytest.raises(ZeroDivisionError) as failure, ami(meters=1, directory=tmp_path / "kept"):
        raise ZeroDivisionError
    assert "are kept in" in failure.value.__notes__[0] and "meter_sim.log" in failure.value.__notes__[0]
    assert (tmp_path / "kept/hes.log").read_text().count('"ready"') == 1


@pytest.mark.needs("proc")
def test_no_process_outlives_the_tests_that_started_it() -> None:
    code = "import sys\nfrom ami_testkit import ami\nwith ami(meters=1) as one:\n    print(*(p.pid for p in one._running.processes), flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        pids = [int(one) for one in tests.stdout.readline().split()]
        assert len(pids) == 2 and all(Path(f"/proc/{pid}").exists() for pid in pids)
        os.kill(tests.pid, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the processes ended", PATIENCE_S)


def test_a_system_that_is_there_already_is_taken_by_its_addresses(system: System) -> None:
    """Nothing is started; and what it is asked is seen at this border alone."""
    token, simulator = system.hes.rest.token, system.simulator
    there = {
        "hes": system.hes.api_url,
        "hes_token": token,
        "meter_sim": simulator.url,
        "meter_sim_token": simulator.token,
    }
    with ami(**there, clock="real") as other:
        assert list(other.meters) == list(system.meters)
        order = other.hes.read(METERS, later=True)
        assert len(other.inbox.expect_reply(order, result="OK", codes={}, within=PATIENCE_S).readings) == len(METERS)
        assert system.journal.messages == []
        other.hes.control("disconnect", ["M1001"]).expect(result="OK", codes={})
        other.reset()
        system.expect.switch("M1001", connected=True)
