"""The line of an event, which is written field by field, is the JSON text of its object."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from ami_process.events import Event, Events, Severity, as_object, format_object
from ami_process.output import Output

AT = datetime(2026, 3, 29, 1, 2, 3, 45, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SomethingHappened(Event):
    severity: ClassVar[Severity | None] = "warning"

    words: str
    number: int
    there: bool
    share: float
    endless: float
    place: Place
    names: list[str]
    moment: datetime | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToSay(Event):
    """Without fields."""


def happened(words: str, reason: str | None) -> SomethingHappened:
    return SomethingHappened(
        words=words,
        number=-7,
        there=True,
        share=0.5,
        endless=float("inf"),
        place=Place("meter", 4059),
        names=["a", "b"],
        moment=None,
        reason=reason,
    )


@pytest.mark.parametrize(
    "event",
    [happened('a "word"\n\\ \u00e9 \U0001f50c', None), happened("", "\udc80"), NothingToSay()],
    ids=["quoted", "half a character", "empty"],
)
def test_a_line_is_the_text_of_the_object(event: Event) -> None:
    reading, writing = os.pipe()
    output = Output(writing, str)
    Events(output, lambda: AT)(event)
    output.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as lines:
        line = lines.read().decode()
    found = as_object(event)
    assert line == format_object({"event": found["event"], "at": AT.isoformat()} | found) + "\n"
    assert json.loads(line)["event"] == event.event
