"""A head-end with a meter that pushes to it, and what a subscriber reads of its EndDeviceEvents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from free_ports import free_port
from north_bench import SCHEMAS, North, north
from pushing_meter import PushingMeter, ciphered

from ami_cim import wire
from ami_cim.message import EventMessage
from ami_cim.payloads.end_device_events import EndDeviceEvent, EndDeviceEvents

FRAUD, CLOCK = 1 << 13, 1 << 0
POWER_DOWN = 1 << 0


@asynccontextmanager
async def head_end(
    directory: Path, url: str, events: list[Any], timeout_s: float = 10.0, **subscriber: Any
) -> AsyncIterator[tuple[North, PushingMeter]]:
    port = free_port()
    named = {"name": "oms", "url": url, "nouns": ["EndDeviceEvents"]} | subscriber
    async with north(
        directory,
        events=events,
        registry=[ciphered(1), ciphered(2)],
        dlms_port=port,
        subscribers=[named],
        reply_timeout_s=timeout_s,
    ) as hes:
        yield hes, PushingMeter(ciphered(1), port)


def message_of(body: bytes) -> EventMessage:
    """As the subscriber reads it, which is valid."""
    message = wire.read_delivery(body, SCHEMAS).message
    assert isinstance(message, EventMessage)
    return message


def events_of(body: bytes) -> list[EndDeviceEvent]:
    payload = message_of(body).payload
    assert isinstance(payload, EndDeviceEvents)
    return list(payload.events)
