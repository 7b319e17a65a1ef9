"""Server-sent events (WHATWG HTML, 9.2): what the process reports, as it happens, one event for each."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, cast

from ami_meter_sim.tap import Tap, TapReader
from ami_process.environment import Environment
from ami_process.events import Event, as_object, format_object

STILL_HERE_S = 15.0
"""A comment after so long without an event, so that neither end takes the other for gone."""


async def stream(tap: Tap, environment: Environment, kinds: frozenset[str], meter: str | None) -> AsyncIterator[bytes]:
    """Until the reader goes. `kinds`: names of events, none for all; `meter`: name, with * and ? for any letters."""
    with tap.read() as reader:
        yield b": these are the events from now on\n\n"
        while not reader.ended.is_set():
            event = await _next(reader)
            if dropped := reader.take_dropped():
                yield _formatted("events_dropped", {"count": dropped}, environment.now())
            if event is None:
                yield b": still here\n\n"
            elif _is_wanted(event, kinds, meter):
                found = as_object(event)
                yield _formatted(found.pop("event"), found, environment.now())


async def _next(reader: TapReader) -> Event | None:
    """The next event; None when there is none for a while, or when nothing more comes."""
    waiting = [asyncio.ensure_future(one) for one in (reader.waiting.get(), reader.ended.wait())]
    try:
        await asyncio.wait(waiting, timeout=STILL_HERE_S, return_when=asyncio.FIRST_COMPLETED)
        return cast(Event, waiting[0].result()) if waiting[0].done() else None
    finally:
        for one in waiting:
            one.cancel()


def _is_wanted(event: Event, kinds: frozenset[str], meter: str | None) -> bool:
    if kinds and type(event).event not in kinds:
        return False
    return meter is None or fnmatchcase(str(getattr(event, "meter", "")), meter)


def _formatted(name: str, found: dict[str, Any], at: datetime) -> bytes:
    return f"event: {name}\ndata: {format_object({'at': at.isoformat(), **found})}\n\n".encode()
