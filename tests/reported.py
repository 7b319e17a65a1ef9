"""A sink that keeps what was reported, as the JSON objects that a reader of the lines gets."""

from __future__ import annotations

import json
from typing import Any

from ami_process.events import Emit, Event, as_object, format_object


def as_read(event: Event) -> dict[str, Any]:
    """The event as it is read from its line, without `at`."""
    found: dict[str, Any] = json.loads(format_object(as_object(event)))
    return found


def ignore(event: Event) -> None:
    """A sink that keeps nothing."""


def into(events: list[Any]) -> Emit:
    """A sink that adds what is reported to this list, as it is read."""
    return lambda event: events.append(as_read(event))


class Reported:
    """The sink; `seen` gives the fields of all events of a name."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        self.events.append(as_read(event))

    def seen(self, name: str) -> list[dict[str, Any]]:
        return [{key: one[key] for key in one.keys() - {"event"}} for one in self.events if one["event"] == name]
