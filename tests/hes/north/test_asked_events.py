"""GetEndDeviceEvents over real sockets: what the store has of meters, by all that it may be asked for, at once, in pages and in parts."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from north_bench import GENERIC, SCHEMAS, Cis, North, mrid, north
from pushing_meter import NOON, ciphered

from ami_cim import envelope, wire
from ami_cim.identity import EndDevice, Identified, Name, UsagePoint
from ami_cim.message import Header, Property, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_events import AskedPeriod, EndDeviceEvents, GetEndDeviceEvents
from ami_cim.periods import Period
from ami_hes.end_device_events import orders
from ami_hes.end_device_events.writing import payload_of
from ami_hes.store import Database, Happened, SqlDeviceEvents, StoredDeviceEvent

POWER_DOWN, FRAUD, COVER = "0.26.38.85", "0.12.0.257", "0.12.29.212"
TYPED = "/cim/GetEndDeviceEvents"
LATER = NOON + timedelta(hours=1)


def event(number: int, meter: int, code: str, at: datetime) -> StoredDeviceEvent:
    return StoredDeviceEvent(
        event_id=str(uuid.UUID(int=number)),
        mrid=mrid(meter),
        meter_name=f"M{meter}",
        code=code,
        source="log",
        created_at=at,
        by_meter=True,
        received_at=at,
        secured=True,
        details='[["clock", "meter"]]',
    )


KEPT = [
    event(1, 1, POWER_DOWN, NOON),
    event(2, 1, FRAUD, LATER),
    event(3, 2, POWER_DOWN, NOON + timedelta(minutes=1)),
    event(4, 3, COVER, NOON + timedelta(minutes=2)),
]


async def keep(directory: Path, events: Sequence[StoredDeviceEvent]) -> None:
    async with Database(directory / "hes.sqlite") as database:
        for one in events:
            await SqlDeviceEvents(database).keep(Happened(mrid=one.mrid, at=one.created_at, events=[one]))


@pytest.fixture
async def hes(tmp_path: Path) -> AsyncIterator[North]:
    await keep(tmp_path, KEPT)
    registry = [ciphered(1), ciphered(2), ciphered(3, tags={"feeder": "F13"})]
    async with north(tmp_path, registry=registry) as one:
        yield one


def asked(
    query: GetEndDeviceEvents, *options: tuple[str, str], message_id: str = "e-1", **header: Any
) -> RequestMessage:
    verb = header.pop("verb", "get")
    head = Header(
        verb=verb, noun="EndDeviceEvents", message_id=message_id, correlation_id=message_id, timestamp=NOON, **header
    )
    return RequestMessage(
        header=head, query=query, options=tuple(Property(name=one[0], value=one[1]) for one in options)
    )


async def ask(hes: North, message: RequestMessage) -> ResponseMessage:
    """At the operation of the noun."""
    wrapper = envelope.typed_wrapper(message.header.verb, message.header.noun)
    response = await hes.post(wire.write_request(message, wrapper, SCHEMAS), TYPED)
    assert response.status_code == 200, response.text
    return wire.read_response(response.content, SCHEMAS)


def numbers(response: ResponseMessage) -> list[int]:
    """The events that came, in their order."""
    payload = response.payload
    return [uuid.UUID(one.mrid or "").int for one in payload.events] if isinstance(payload, EndDeviceEvents) else []


def during(start: datetime | None, end: datetime | None) -> tuple[AskedPeriod, ...]:
    return (AskedPeriod(Period(start=start, end=end)),)


def types(*codes: str) -> tuple[Identified, ...]:
    return tuple(Identified(mrid=one) for one in codes)


ASKED: list[tuple[GetEndDeviceEvents, list[int]]] = [
    (GetEndDeviceEvents(), [1, 3, 4, 2]),
    (GetEndDeviceEvents(meters=(EndDevice(mrid(1)),)), [1, 2]),
    (GetEndDeviceEvents(meters=(EndDevice(names=(Name(name="M2"),)),)), [3]),
    (GetEndDeviceEvents(usage_points=(UsagePoint(names=(Name(name="UP-3"),)),)), [4]),
    (GetEndDeviceEvents(end_device_groups=(Identified(names=(Name(name="F12", name_type="feeder"),)),)), [1, 3, 2]),
    (GetEndDeviceEvents(event_types=types("3.26.38.85", "*.12.29.212")), [1, 3, 4]),
    (GetEndDeviceEvents(event_types=types("0.99.99.99")), []),
    (GetEndDeviceEvents(schedules=during(NOON + timedelta(minutes=1), LATER)), [3, 4]),
    (GetEndDeviceEvents(events=(Identified(mrid=str(uuid.UUID(int=4)).upper()),)), [4]),
    (GetEndDeviceEvents(meters=(EndDevice(mrid(1)),), event_types=types(FRAUD), schedules=during(NOON, None)), [2]),
]


async def test_what_is_kept_is_found_by_meter_place_group_type_time_and_mrid(hes: North) -> None:
    for number, (query, found) in enumerate(ASKED):
        response = await ask(hes, asked(query, message_id=f"e-{number}"))
        assert (response.reply.result, numbers(response)) == ("OK", found), query
        assert [one.code for one in response.reply.errors] == ([] if found else ["0.0"])


async def test_an_event_is_given_as_subscribers_get_it(hes: North) -> None:
    response = await hes.ask(asked(GetEndDeviceEvents(events=types(str(uuid.UUID(int=2))))), GENERIC)
    assert isinstance(response.payload, EndDeviceEvents)
    (one,) = response.payload.events
    assert (one.event_type, one.created_at, one.asset) == (FRAUD, LATER, EndDevice(mrid(1), (Name(name="M1"),)))
    assert one.usage_point is not None and [each.name for each in one.details] == ["clock"]


async def test_a_long_answer_is_not_made_in_the_turn_of_others(hes: North, monkeypatch: pytest.MonkeyPatch) -> None:
    made_by: list[int] = []

    def noted(*arguments: Any) -> EndDeviceEvents:
        made_by.append(threading.get_ident())
        return payload_of(*arguments)

    monkeypatch.setattr(orders, "payload_of", noted)
    assert numbers(await ask(hes, asked(GetEndDeviceEvents()))) == [1, 3, 4, 2]
    assert made_by and threading.get_ident() not in made_by


async def test_pages_and_what_was_not_found_are_told(hes: North) -> None:
    first = await ask(hes, asked(GetEndDeviceEvents(), ("limit", "3")))
    rest = await ask(hes, asked(GetEndDeviceEvents(), ("limit", "3"), ("offset", "3"), message_id="e-2"))
    assert (numbers(first), numbers(rest), first.reply.errors) == ([1, 3, 4], [2], ())
    nobody = EndDevice(names=(Name(name="M77"),))
    some = await ask(hes, asked(GetEndDeviceEvents(meters=(nobody, EndDevice(mrid(2)))), message_id="e-3"))
    none = await ask(hes, asked(GetEndDeviceEvents(meters=(nobody,)), message_id="e-4"))
    assert (some.reply.result, numbers(some), none.reply.result, none.payload) == ("PARTIAL", [3], "FAILED", None)
    assert [[one.code for one in each.reply.errors] for each in (some, none)] == [["2.4"], ["2.4"]]


REFUSED: list[tuple[GetEndDeviceEvents, dict[str, str], str]] = [
    (GetEndDeviceEvents(event_types=types("power down")), {}, "2.15"),
    (GetEndDeviceEvents(schedules=during(LATER, NOON)), {}, "1.6"),
    (GetEndDeviceEvents(events=(Identified(names=(Name(name="e"),)),)), {}, "5.2"),
    (GetEndDeviceEvents(), {"limit": "no"}, "1.6"),
    (GetEndDeviceEvents(meters=tuple(EndDevice(mrid(7)) for _ in range(1_001))), {}, "3.1"),
]


async def test_what_is_not_understood_is_refused(hes: North) -> None:
    for number, (query, options, code) in enumerate(REFUSED):
        response = await ask(hes, asked(query, *options.items(), message_id=f"e-{number}"))
        assert (response.reply.result, [one.code for one in response.reply.errors]) == ("FAILED", [code])


async def test_a_late_answer_comes_in_parts_and_the_same_request_again_is_acknowledged(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    many = [event(100 + number, 1, POWER_DOWN, start + timedelta(seconds=number)) for number in range(1_100)]
    async with Database(tmp_path / "hes.sqlite") as database:
        await SqlDeviceEvents(database).keep(Happened(mrid=mrid(1), at=start, events=many))
    async with Cis().serving() as cis, north(tmp_path, registry=[ciphered(1)]) as hes:
        at_once = await ask(hes, asked(GetEndDeviceEvents(), message_id="e-0"))
        late = asked(GetEndDeviceEvents(), async_reply_flag=True, reply_address=cis.url)
        for _ in range(2):
            acknowledged = await ask(hes, late)
            assert [one.code for one in acknowledged.reply.errors] == ["0.3"]
        parts = [_response(await cis.taken.get()) for _ in range(3)]
    assert (at_once.reply.result, [one.code for one in at_once.reply.errors]) == ("PARTIAL", ["0.2"])
    assert len(numbers(at_once)) == 1_000
    assert [[one.code for one in each.reply.errors] for each in parts] == [["0.1"], ["0.1"], ["0.2"]]
    assert [number for each in parts for number in numbers(each)] == [100 + number for number in range(1_100)]
    assert len({each.header.message_id for each in parts}) == 3 and len(cis.requests) == 3


def _response(body: bytes) -> ResponseMessage:
    message = wire.read_delivery(body, SCHEMAS).message
    assert isinstance(message, ResponseMessage) and message.header.correlation_id == "e-1"
    return message
