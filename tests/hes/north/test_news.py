"""What processes tell each other for lists and streams: the same events come out, bounded, and none of what is not for them."""

from __future__ import annotations

from collections import deque
from typing import Any

from ami_hes import events
from ami_hes.api.contacts import Contacts
from ami_hes.api.news import KINDS, MOST, OCTETS, News, batches, read
from ami_hes.engine.memory_events import MemoryEvents
from ami_process.events import Event, utc_now

DONE = events.MeterDone(
    message_id="r1",
    meter="M1",
    operation="disconnect_control",
    details={"after": {"control_state": 0}},
    ok=True,
    reply_code=None,
    reason="ä 'quoted' \"text\"",
    ms=3.5,
)
REFUSED = events.RequestRefused(message_id="r2", errors=[events.ReportedError(code="5.2", reason="no"), "plain"])


def test_events_come_out_as_they_went_in() -> None:
    told = [DONE, REFUSED, events.HungUp(meter="M1", peer="192.0.2.1:5", reason="gone")]
    assert [one for batch in batches(deque(told)) for one in read(batch)] == told


def test_messages_are_bounded_and_what_is_none_is_left_out() -> None:
    many = deque([DONE] * 300, maxlen=MOST)
    found = list(batches(many))
    assert len(found) > 1 and all(len(one) <= OCTETS + 2 for one in found)
    assert sum(1 for one in found for _ in read(one)) == 300
    huge = events.RequestRefused(message_id="r", reason="x" * OCTETS)
    assert list(batches(deque([huge]))) == []
    for body in (b"", b"no JSON", b"{}", b'[1, {"event": "meter_done"}, {"event": "ready", "role": "hes"}]'):
        assert list(read(body)) == []


async def test_contacts_of_one_process_are_those_of_another_and_its_own_count_once() -> None:
    bus, contacts = MemoryEvents(), {name: Contacts(utc_now) for name in "ab"}
    news = {name: News(contacts[name].noting(lambda _: None)) for name in "ab"}
    for name in "ab":
        news[name].hear(bus, name)
    for batch in batches(deque([DONE])):
        await bus.publish("news", "a/1", batch)
    assert [(one.meter, one.switch) for one in contacts["b"].of(["M1"])] == [("M1", "disconnected")]
    assert contacts["a"].of(["M1"]) == [], "it has noted that itself"


def test_kinds_are_what_their_names_say() -> None:
    every: dict[str, Any] = {kind.event: kind for kind in KINDS.values()}
    assert every == dict(KINDS) and all(issubclass(one, Event) for one in every.values())
