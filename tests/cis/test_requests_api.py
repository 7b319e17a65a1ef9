"""What the CIS knows of its requests and meters, by its API: the end of each request, events, the stream of changes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cis_stand_in import StandInHes, answering, asking
from patience import PATIENCE_S

from ami_cim.message import Identifier, Reply, ReplyError
from ami_cis.meters import Meter
from ami_cis.standings import Standing, Standings
from ami_cis.store import KeptDeviceEvent, RequestLine

AT = datetime(2026, 11, 30, 5, tzinfo=UTC)
METERS = (Meter(name="M1", mrid="r1", usage_points=("UP1", "UP2")), Meter(name="M2", mrid="r2"), Meter(name="M3"))
WRONG = {"code": "4.1", "reason": "no answer"}


def line(number: int, result: str | None, *meters: str, code: str = "3.31.0.23", **more: Any) -> RequestLine:
    found = {"message_id": str(number), "verb": "create", "noun": "EndDeviceControls", "code": code, "meters": meters}
    found |= {"asynchronous": False, "sent_at": AT, "state": "answered", "reason": None, "result": result, "errors": ()}
    replied = None if result is None else AT + timedelta(seconds=number)
    return RequestLine(**found | {"replied_at": replied} | more)  # type: ignore[arg-type]


def happened(code: str, seconds: int, meter: str = "M1") -> KeptDeviceEvent:
    at = AT + timedelta(seconds=seconds)
    return KeptDeviceEvent(str(seconds), meter, code, at, None, None, (), None, at, "m")


def one(standings: Standings, name: str = "M1") -> Standing:
    return standings.of([name])[0]


@pytest.mark.parametrize("label", ["M1", "r1", "UP1", "UP2"])
def test_a_meter_is_known_by_whatever_it_was_named_by(label: str) -> None:
    standings = Standings(METERS)
    standings.take_requests([line(1, "OK", label)])
    assert (one(standings).switch, one(standings).answered, one(standings).requests) == ("disconnected", True, 1)
    assert standings.changed == {"M1"}


def test_a_switch_is_where_a_control_that_was_done_has_put_it() -> None:
    standings = Standings(METERS)
    standings.take_requests([line(1, None, "M1")])
    assert one(standings).switch is None and one(standings).answered is None, "it has no end yet"
    standings.take_requests(
        [line(1, "OK", "M1"), line(2, "FAILED", "M1", code="3.31.0.18", errors=(WRONG | {"meter": None},))]
    )
    assert (one(standings).switch, one(standings).answered, one(standings).code) == ("disconnected", False, "4.1")
    standings.take_requests([line(3, "OK", "M1", verb="cancel", code="3.31.0.18")])
    assert one(standings).switch == "disconnected", "taking a control back moves nothing"


def timed(number: int, sent: int, replied: int, code: str) -> RequestLine:
    at = [AT + timedelta(seconds=one) for one in (sent, replied)]
    return line(number, "OK", "M1", code=code, sent_at=at[0], replied_at=at[1])


def test_of_two_controls_at_once_it_is_not_known_which_came_last() -> None:
    connect, disconnect = "3.31.0.18", "3.31.0.23"
    standings = Standings(METERS)
    standings.take_requests([timed(1, 12, 13, disconnect), timed(2, 9, 15, connect)])
    assert one(standings).switch is None, "the long one may have been done at this meter before the short one"
    standings.take_requests([timed(3, 20, 21, connect)])
    assert one(standings).switch == "connected"
    standings.take_requests([timed(4, 5, 8, disconnect)])
    assert one(standings).switch == "connected", "one that was over before says nothing new"
    standings.take_requests([timed(5, 20, 22, connect)])
    assert one(standings).switch == "connected", "both say the same"


def test_of_a_partial_reply_each_meter_has_its_own_end() -> None:
    standings = Standings(METERS)
    errors = (WRONG | {"meter": "r2"}, {"code": "0.0", "reason": None, "meter": "M1"})
    standings.take_requests([line(1, "PARTIAL", "M1", "M2", errors=errors)])
    assert (one(standings).answered, one(standings).switch) == (True, "disconnected")
    assert (one(standings, "M2").answered, one(standings, "M2").reason) == (False, "no answer")
    assert one(standings, "M2").switch is None and one(standings, "M3").answered is None


@pytest.mark.parametrize(
    ("label", "found"), [("r2", "M2"), ("M2", "M2"), ("UP2", "r1"), ("M3", "M3"), ("other", "other"), (None, None)]
)
def test_an_error_is_about_the_meter_as_the_request_named_it(label: str | None, found: str | None) -> None:
    """Else a meter that failed is listed twice: as failed by its mRID, and by its name as done."""
    assert Standings(METERS).as_named(label, ("r1", "M2")) == found


def test_a_reply_that_is_seen_twice_counts_once() -> None:
    standings = Standings(METERS)
    for _ in range(3):
        standings.take_requests([line(1, "FAILED", "M1")])
    assert (one(standings).requests, one(standings).failures) == (1, 1)


def test_events_say_what_happened_in_the_order_in_which_it_did() -> None:
    standings = Standings(METERS)
    standings.take_events([happened("0.26.38.49", 20), happened("0.26.38.85", 10), happened("3.31.0.42", 5)])
    assert (one(standings).powered, one(standings).switch) == (True, "connected")
    standings.take_events([happened("0.26.38.85", 15), happened("0.31.26.68", 1), happened("9.9.9.9", 99)])
    assert (one(standings).powered, one(standings).switch) == (True, "connected"), "older ones come too late"
    standings.take_events([happened("0.26.38.85", 30, "M9")])


def test_parts_are_those_of_the_configuration() -> None:
    standings = Standings(METERS)
    assert [each.meter for each in standings.part(1, 5)] == ["M2", "M3"] and len(standings) == 3


async def test_requests_are_listed_and_shown_with_their_reasons(tmp_path: Path, hes: StandInHes) -> None:
    error = ReplyError(
        code="4.1", reason="no answer", identifier=Identifier(value="47cb61c2-bc00-41a0-8501-70b464e9e464")
    )
    hes.behaviour = answering(Reply(result="PARTIAL", errors=(error,)))
    async with asking(tmp_path, hes) as (_, client):
        for name in ("first", "second"):
            order = {"code": "disconnect", "meters": ["M1001", "M1002"], "message_id": name}
            assert (await client.post("/api/v1/controls", json=order)).status_code == 200
        listed = (await client.get("/api/v1/requests", params={"limit": 1})).json()
        assert [one["message_id"] for one in listed["requests"]] == ["second"] and listed["next"] == "second"
        older = (await client.get("/api/v1/requests", params={"before": "second"})).json()
        (entry,) = older["requests"]
        assert (entry["control"], entry["meters"], entry["failed"]) == ("disconnect", 2, 1)
        assert (entry["result"], entry["state"], older["next"]) == ("PARTIAL", "answered", None)
        shown = (await client.get("/api/v1/requests/first")).json()
        assert shown["meters"] == ["M1001", "M1002"]
        assert shown["errors"] == [{"code": "4.1", "reason": "no answer", "meter": "M1002"}]
        points = (await client.get("/api/v1/usage-points")).json()
        switches = {one["meter"]: (one["switch"], one["answered"]) for one in points["usage_points"]}
        assert (switches["M1001"], switches["M1002"]) == (("disconnected", True), (None, False))
        assert (await client.get("/api/v1/requests/none")).status_code == 404
        for path in ("requests?limit=0", "requests?x=1", "usage-points?offset=x", "live?x=1"):
            assert (await client.get(f"/api/v1/{path}")).status_code == 422
    async with asking(tmp_path, hes) as (_, client):
        kept = (await client.get("/api/v1/usage-points", params={"limit": 1})).json()
        assert kept["usage_points"][0]["switch"] == "disconnected", "a restart forgets nothing of it"
        assert kept["next"] == 1


async def test_what_changes_is_told_as_it_does(tmp_path: Path, hes: StandInHes) -> None:
    hes.behaviour = answering(Reply(result="OK", errors=(ReplyError(code="0.0"),)))
    async with asking(tmp_path, hes) as (_, client), client.stream("GET", "/api/v1/live") as stream:
        lines = stream.aiter_lines()
        asked = await client.post("/api/v1/controls", json={"code": "connect", "meters": ["M1001"]})
        assert asked.status_code == 200
        results: list[str | None] = []
        points: dict[str, Any] = {}
        async with asyncio.timeout(PATIENCE_S):
            while "OK" not in results or "M1001" not in points:
                text = await anext(lines)
                if text.startswith("data: {") and "requests" in text:
                    frame = json.loads(text.removeprefix("data: "))
                    results += [one["result"] for one in frame["requests"]]
                    points |= {one["meter"]: one for one in frame["usage_points"]}
        assert points["M1001"]["switch"] == "connected"


async def test_the_console_is_at_the_root(tmp_path: Path, hes: StandInHes) -> None:
    async with asking(tmp_path, hes) as (_, client):
        root = await client.get("/")
        assert (root.status_code, root.headers["location"]) == (303, "/usage-points")
        assert (await client.get("/healthz")).status_code == 200
        paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
        assert {
            "/api/v1/requests",
            "/api/v1/requests/{message_id}",
            "/api/v1/usage-points",
            "/api/v1/live",
        } <= paths.keys()
