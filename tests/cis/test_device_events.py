"""EndDeviceEvents that the HES sends: each event kept once by its mRID, in whichever message and order it comes, and shown."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cis_stand_in import (
    SCHEMAS,
    Events,
    StandInHes,
    answering,
    environment,
    failed_meter,
    post,
    reply_to,
    settings,
    soap,
)
from patience import PATIENCE_S
from starlette.responses import Response

from ami_cim import envelope, wire
from ami_cim.envelope import Received
from ami_cim.identity import EndDevice, Identified, Name
from ami_cim.message import EventMessage, Header, Reply
from ami_cim.paging import page_of
from ami_cim.payloads.end_device_events import (
    AskedPeriod,
    EndDeviceEvent,
    EndDeviceEvents,
    EventDetail,
    GetEndDeviceEvents,
)
from ami_cim.periods import Period
from ami_cis.app import running
from ami_cis.events_client import events as events_command
from ami_cis.meters import Meter
from ami_cis.store import DeviceEventQuery, Store
from ami_cis.workflows.device_events import PAGE

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MRID = "00000000-0000-4000-8000-000000001001"
ONE = EndDeviceEvent(
    mrid="an-event",
    event_type="0.12.0.257",
    created_at=NOW,
    reason="fraud attempt",
    asset=EndDevice(MRID, (Name(name="as the HES calls it"),)),
    details=(EventDetail(name="bit", value="13"), EventDetail(name="clock", value="meter")),
)
M1001 = Meter(name="M1001", mrid=MRID)
CLOSED = "2026-03-01T12:05:00Z"


@pytest.fixture
async def cis(tmp_path: Path, hes: StandInHes) -> AsyncIterator[tuple[str, Store, Events]]:
    events = Events()
    async with running(settings(tmp_path, hes.url, meters=(M1001,)), environment(events), 0) as system:
        yield f"http://{system.listen}", system.store, events


async def sent(url: str, message_id: str, *happened: EndDeviceEvent, verb: str = "created") -> str:
    head = Header(verb=verb, noun="EndDeviceEvents", timestamp=NOW, message_id=message_id, correlation_id=message_id)
    message = EventMessage(header=head, payload=EndDeviceEvents(happened))
    octets = wire.write_event(message, envelope.typed_wrapper(verb, "EndDeviceEvents"), SCHEMAS)
    return wire.read_response((await post(f"{url}/cim", octets)).content, SCHEMAS).reply.result


def ended() -> EndDeviceEvent:
    return replace(ONE, details=(*ONE.details, EventDetail(name="closedDateTime", value=CLOSED)))


@pytest.mark.parametrize("order", [("created", "closed"), ("closed", "created")])
async def test_an_event_is_kept_once_and_its_end_in_whichever_order_they_come(
    cis: tuple[str, Store, Events], order: tuple[str, str]
) -> None:
    url, store, events = cis
    for number, verb in enumerate((*order, *order)):
        assert await sent(url, f"m-{number}", ended() if verb == "closed" else ONE, verb=verb) == "OK"
    (kept,) = await store.device_events(DeviceEventQuery())
    assert (kept.meter, kept.code, kept.at, kept.reason) == ("M1001", "0.12.0.257", NOW, "fraud attempt")
    assert kept.closed_at == NOW + timedelta(minutes=5)
    assert events.names.count("device_events_kept") == 4


async def test_an_event_is_acknowledged_once_and_stays_so(cis: tuple[str, Store, Events]) -> None:
    url, store, _ = cis
    await sent(url, "m-1", ONE, replace(ONE, mrid="another"))
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        address = "/api/v1/device-events/acknowledge"
        for body in ({"event_ids": []}, {"event_ids": ["x"] * 1_001}, {"event_ids": ["x"], "by": "me"}):
            assert (await client.post(address, json=body)).status_code == 422
        both = {"event_ids": ["an-event", "nobody's"]}
        assert (await client.post(address, json=both)).json() == {"events": 1}
        (first,) = (one for one in await store.device_events(DeviceEventQuery()) if one.acknowledged_at)
        assert (first.event_id, first.acknowledged_by) == ("an-event", "local")
        assert (await client.post(address, json=both)).json() == {"events": 0}
        assert await sent(url, "m-2", ended(), verb="closed") == "OK"
        told = (await client.get("/api/v1/device-events")).json()["events"]
        shown = {one["event_id"]: (one["acknowledged_by"], one["closed_at"] is not None) for one in told}
        assert shown == {"an-event": ("local", True), "another": (None, False)}


async def test_what_can_not_be_kept_is_counted_and_the_rest_is(cis: tuple[str, Store, Events]) -> None:
    url, store, events = cis
    nobody, nameless, early = (
        replace(ONE, asset=None),
        replace(ONE, mrid=None),
        replace(ONE, created_at=datetime(1, 1, 2, tzinfo=UTC)),
    )
    assert await sent(url, "m-1", nobody, nameless, early, replace(ONE, mrid="another")) == "OK"
    assert [one.event_id for one in await store.device_events(DeviceEventQuery())] == ["another"]
    (told,) = (one for one in events.told if one["event"] == "device_events_kept")
    assert (told["events"], told["unusable"]) == (1, 3)


async def test_they_are_shown_by_meter_type_and_time(
    cis: tuple[str, Store, Events], capsys: pytest.CaptureFixture[str]
) -> None:
    url, _, _ = cis
    await sent(url, "m-1", ONE)

    def listed(*options: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            events_command(["--url", url, *options])
        assert end.value.code == code
        said = capsys.readouterr()
        return said.err if code else said.out

    shown = await asyncio.to_thread(listed, "--meter", "M1001", "--type", "0.12.0.257", "--from", "2026-03-01T12:00Z")
    assert "2026-03-01T12:00:00+00:00" in shown and "fraud attempt" in shown and "bit 13" in shown
    (row,) = csv.DictReader((await asyncio.to_thread(listed, "--csv")).splitlines())
    assert (row["time"], row["meter"], row["type"]) == ("2026-03-01T12:00:00Z", "M1001", "0.12.0.257")
    assert row["what"] == "fraud attempt" and "bit=13" in row["details"] and row["closed"] == ""
    assert await asyncio.to_thread(listed, "--csv", "--meter", "M2") == ",".join(row) + "\n"
    assert "one of them" in await asyncio.to_thread(listed, "--csv", "--json", code=2)
    assert "no such events" in await asyncio.to_thread(listed, "--meter", "M2")
    assert "no such events" in await asyncio.to_thread(listed, "--to", "2026-03-01T12:00Z")
    for other in ("fraud", "*.12.0.257", "26.12.0.257"):
        assert "bit 13" in await asyncio.to_thread(listed, "--type", other), other
    for wrong, near in (("frad", "fraud"), ("0.26.38.86", "0.26.38.85 (power-down)")):
        assert near in await asyncio.to_thread(listed, "--type", wrong, code=2)
    assert "--fetch" in await asyncio.to_thread(listed, "--group", "F12", code=2)


async def test_the_head_end_is_asked_page_by_page_and_what_it_has_is_kept_once(
    cis: tuple[str, Store, Events], hes: StandInHes
) -> None:
    """A page that is full has another one behind it."""
    url, store, _ = cis
    there = [replace(ONE, mrid=f"e-{number}", created_at=NOW + timedelta(seconds=number)) for number in range(PAGE + 2)]

    async def giving(_: StandInHes, received: Received) -> Response:
        page = page_of(received.message)
        found = there[page.offset : page.offset + (page.limit or 0)]
        return soap(reply_to(received.message, Reply(result="OK"), EndDeviceEvents(tuple(found))), received.wrapper)

    hes.behaviour = giving
    asked = {"groups": ["feeder=F12"], "meters": ["M1001"], "types": ["fraud"], "from": "2026-03-01T12:00"}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        for _ in range(2):
            answer = (await client.post(f"{url}/api/v1/device-events", json=asked)).json()
            assert (answer["result"], answer["came"], answer["complete"]) == ("OK", PAGE + 2, True)
        refused = await client.post(f"{url}/api/v1/device-events", json={"types": ["frad"]})
    assert refused.status_code == 422 and "fraud" in refused.text
    assert len(await store.device_events(DeviceEventQuery(most=2 * PAGE))) == PAGE + 2 and len(hes.requests) == 4
    query = hes.requests[0].query
    assert isinstance(query, GetEndDeviceEvents) and query.schedules == (AskedPeriod(Period(start=NOW)),)
    assert [one.mrid for one in (*query.meters, *query.event_types)] == [MRID, "0.12.0.257"]
    assert query.end_device_groups == (Identified(names=(Name(name="F12", name_type="feeder"),)),)


async def test_what_the_head_end_refuses_is_told_with_the_exit_code(
    cis: tuple[str, Store, Events], hes: StandInHes, capsys: pytest.CaptureFixture[str]
) -> None:
    url, _, _ = cis
    hes.behaviour = answering(Reply(result="FAILED", errors=(failed_meter("2.4", "not known", "M9", "name"),)))

    def fetched() -> str:
        with pytest.raises(SystemExit) as end:
            events_command(["--url", url, "--fetch", "--meter", "M9"])
        assert end.value.code == 1
        return capsys.readouterr().err

    said = await asyncio.to_thread(fetched)
    assert "FAILED" in said and "0 events came" in said and "M9 2.4" in said


async def test_moments_that_no_zone_can_show_keep_no_event_from_being_shown(
    cis: tuple[str, Store, Events],
) -> None:
    url, store, _ = cis
    last = datetime.max.replace(tzinfo=UTC)
    assert await sent(url, "m1", replace(ONE, mrid="far", created_at=last), ONE) == "OK"
    never = EventDetail(name="closedDateTime", value="9999-12-31T23:59:59-14:00")
    assert await sent(url, "m2", replace(ONE, details=(never,)), verb="changed") == "OK"
    (kept,) = await store.device_events(DeviceEventQuery())
    assert (kept.event_id, kept.closed_at) == ("an-event", None)
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        assert (await client.get(f"{url}/api/v1/device-events")).status_code == 200
