"""Whatever a stranger sends to the door ends in one event that JSON can hold, and in nothing else."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reported import as_read

from ami_dlms import apdu, data
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import protect_notification
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_hes.meters.confirming import Confirmations, WayBack
from ami_hes.meters.counters import InvocationCounters
from ami_hes.meters.push import MAX_PLAIN_OCTETS, MAX_PUSH_OCTETS, Notifications, shown
from ami_hes.meters.pushed import MOST_OCTETS, NotedPush
from ami_hes.meters.received import ReceiveCounters
from ami_hes.meters.recording import Passed, Recording
from ami_hes.meters.registry import Registry
from ami_hes.meters.session_slots import SessionSlots
from ami_hes.store import CounterRange, ReceivedKey
from ami_process.events import Event

BODY = data.structure(data.octet_string(b"abc"), data.array(data.double_long_unsigned(5)), data.visible_string("x"))
SENT_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


WAY = WayBack("127.0.0.1:1", "udp", lambda octets: True)


class NothingKept:
    """A store that nothing is asked of: nothing here is protected."""

    async def load(self) -> dict[ReceivedKey, int]:
        raise AssertionError

    async def keep(self, key: ReceivedKey, lowest_acceptable: int) -> None:
        raise AssertionError

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        raise AssertionError

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        raise AssertionError


def notifications_into(events: list[Any]) -> Notifications:
    def emit(event: Event) -> None:
        events.append(as_read(event))

    own = InvocationCounters(NothingKept(), 1)
    confirmations = Confirmations(bytes(8), own, SessionSlots(1), 1.0, emit)
    return Notifications(Registry(), ReceiveCounters(NothingKept()), confirmations, emit)


def told_by(octets: bytes, events: list[Any]) -> Any:
    events.clear()
    taken = notifications_into(events).take(octets, WAY)
    event, *confirmed = events
    assert [one["event"] for one in confirmed] in ([], ["notification_confirmed"]) and (not confirmed or taken)
    assert taken == (event["event"] == "notification")
    json.dumps(event, allow_nan=False)
    return event


def plain(body: Data = BODY) -> bytes:
    return protect_notification(DataNotification(5, CosemDateTime.from_datetime(SENT_AT), body), None, None)


async def test_body_and_time_are_told(events: list[Any]) -> None:
    event = told_by(plain(), events)
    assert len(events) == 1, "it did not ask to be confirmed"
    assert (event["body"], event["sent_at"]) == (["616263", [5], "x"], SENT_AT.isoformat())


async def test_mutated_notifications_end_in_one_event(events: list[Any]) -> None:
    chance = random.Random(1)
    for _ in range(3000):
        octets = bytearray(plain())
        for _ in range(chance.randint(1, 4)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        told_by(bytes(octets[: chance.randint(1, len(octets))]), events)
        told_by(bytes(octets), events)


def test_values_that_json_has_no_word_for() -> None:
    assert shown([float("nan"), float("inf"), b"\x01", {"a": (None, True)}]) == [
        "nan",
        "inf",
        "01",
        {"a": [None, True]},
    ]


async def test_pushes_that_anybody_can_send_are_small(events: list[Any]) -> None:
    event = told_by(plain(data.octet_string(bytes(MAX_PLAIN_OCTETS))), events)
    assert event["event"] == "dropped" and f"{MAX_PLAIN_OCTETS} are the most" in event["reason"]


@dataclass
class OneRecording:
    """Notes everything in one place."""

    noted: Recording

    def recording(self) -> Recording:
        return self.noted

    def pushed(self, push: NotedPush) -> None:
        return


def test_blocks_of_a_push_are_few_octets_together(events: list[Any]) -> None:
    """A block that makes it too long drops what came before, and the push never ends; no more of it is noted for its trace."""
    notifications = notifications_into(events)
    noted = Recording(SENT_AT, lambda: 0.0, 10_000_000)
    notifications.notes = OneRecording(noted)
    block = bytes(8000)
    for number in range(1, 2 * MAX_PUSH_OCTETS // len(block)):
        part = GeneralBlockTransfer(BlockControl(False, True, 0), number, 0, block)
        assert notifications.take(apdu.encode(part), WAY) is None
    ((kept, _),) = notifications._blocks.values()
    assert kept._blocks._size <= MAX_PUSH_OCTETS and not events
    assert sum(len(one.octets) for one in noted.read() if isinstance(one, Passed)) <= MOST_OCTETS and noted.left_out
