"""Whatever a stranger sends to the door ends in one event that JSON can hold, and in nothing else."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

from dlms import data
from dlms.apdu.notify import DataNotification
from dlms.association import protect_notification
from dlms.data import Data
from dlms.datetimes import CosemDateTime
from hes.meters.push import Notifications, shown
from hes.meters.registry import Registry

BODY = data.structure(data.octet_string(b"abc"), data.array(data.double_long_unsigned(5)), data.visible_string("x"))
SENT_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def told_by(apdu: bytes, events: list[Any]) -> Any:
    events.clear()
    taken = Notifications(Registry()).take(apdu, peer="127.0.0.1:1", transport="udp")
    (event,) = events
    assert taken == (event["event"] == "notification")
    json.dumps(event, allow_nan=False)
    return event


def plain(body: Data = BODY) -> bytes:
    return protect_notification(DataNotification(5, CosemDateTime.from_datetime(SENT_AT), body), None, None)


def test_body_and_time_are_told(events: list[Any]) -> None:
    event = told_by(plain(), events)
    assert (event["body"], event["sent_at"]) == (["616263", [5], "x"], SENT_AT.isoformat())


def test_mutated_notifications_end_in_one_event(events: list[Any]) -> None:
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
