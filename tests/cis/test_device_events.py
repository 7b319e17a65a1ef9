"""EndDeviceEvents that the HES sends: each event kept once by its mRID, in whichever message and order it comes, and shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from cis_stand_in import SCHEMAS, Events, environment, post
from patience import PATIENCE_S

from ami_cim import envelope, wire
from ami_cim.identity import EndDevice, Name
from ami_cim.message import EventMessage, Header
from ami_cim.payloads.end_device_events import EndDeviceEvent, EndDeviceEvents, EventDetail
from ami_cis.device_events_api import device_event_routes
from ami_cis.events_client import events as events_command
from ami_cis.inbox import Inbox
from ami_cis.meters import Meter
from ami_cis.pending import Pending
from ami_cis.store import DeviceEventQuery, Store
from ami_cis.taken_readings import Names
from ami_process.api import Branch, create_api
from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.sockets import listening
from ami_process.tokens import Tokens
from ami_process.worker import Worker

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
CLOSED = "2026-03-01T12:05:00Z"


@pytest.fixture
async def cis(tmp_path: Path) -> AsyncIterator[tuple[str, Store, Events]]:
    events = Events()
    async with Store.opened(tmp_path / "cis.sqlite") as store:
        given = environment(events)
        names = Names((Meter(name="M1001", mrid=MRID),))
        inbox = Inbox(Pending(store, given.now), store, given, SCHEMAS, Worker("ami_cim.reading:read"), names=names)
        with listening("127.0.0.1", 0, "cis.") as listener:
            tokens = Tokens.of(None, "cis.token_file", bound_to="127.0.0.1")
            api = create_api(
                device_event_routes(store, ZoneInfo("Europe/Berlin")), tokens, names=(), names_setting="cis.host_names"
            )
            application = Branch("/api/v1", api, inbox.application(Health({"store": store.check}, role="cis")))
            async with serving(application, listener):
                yield f"http://127.0.0.1:{listener.getsockname()[1]}", store, events


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

    def listed(*options: str) -> str:
        with pytest.raises(SystemExit) as end:
            events_command(["--url", url, *options])
        assert end.value.code == 0
        return capsys.readouterr().out

    shown = await asyncio.to_thread(listed, "--meter", "M1001", "--type", "0.12.0.257", "--from", "2026-03-01T12:00Z")
    assert "2026-03-01T13:00:00+01:00" in shown and "fraud attempt" in shown and "bit 13" in shown
    assert "no such events" in await asyncio.to_thread(listed, "--meter", "M2")
    assert "no such events" in await asyncio.to_thread(listed, "--to", "2026-03-01T12:00Z")


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
