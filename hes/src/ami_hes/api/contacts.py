"""`/api/v1/contacts`: how each meter answered when it was asked last, and how often, since this process began.

Counted from the events that the process reports, as the metrics are: it costs an entry in a table for each command. What the store has
of older commands is not in it; so every answer says since when it counts.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes import events
from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.contacts import ContactEntry, ContactList, Switch
from ami_process.events import Emit, Event
from ami_process.query_parameters import check_known

DEFAULT_LISTED, MOST_LISTED = 1_000, 10_000
MOST_KEPT = 1_000_000
"""Meters of which something is kept; of those beyond nothing is."""
SWITCH: Mapping[int, Switch] = {0: "disconnected", 1: "connected", 2: "ready"}
"""By the control_state of class 70 (Blue Book, 4.5.8)."""


@dataclass(slots=True)
class Contact:
    """What is known of a meter; a time is that of the clock of the process."""

    meter: str
    heard_at: datetime | None = None
    """When it did last what it was asked for, or sent something of itself."""
    asked_at: datetime | None = None
    operation: str | None = None
    ok: bool | None = None
    reply_code: str | None = None
    reason: str = ""
    ms: float | None = None
    commands: int = 0
    failures: int = 0
    pushes: int = 0
    switch: Switch | None = None
    dialled_in: bool = False


class Contacts:
    """Of all meters that were asked or heard."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.since = now()
        self._by_name: dict[str, Contact] = {}
        self._sorted: list[str] | None = None
        """Their names, as long as none is added."""
        self.changed: set[str] = set()
        """Names of the meters that have changed and are in no frame yet; the live stream empties it."""
        self._note: dict[type[Event], Callable[[Any], None]] = {
            events.MeterDone: self._done,
            events.Notification: self._pushed,
            events.DialledIn: lambda event: self._connected(event.meter, there=True),
            events.HungUp: lambda event: self._connected(event.meter, there=False),
        }

    def noting(self, emit: Emit) -> Emit:
        """The sink that notes what it hands on."""

        def noted(event: Event) -> None:
            note = self._note.get(type(event))
            if note is not None:
                note(event)
            emit(event)

        return noted

    def of(self, names: Iterable[str]) -> list[Contact]:
        """Those of them that there are."""
        return [self._by_name[name] for name in names if name in self._by_name]

    def after(self, name: str, limit: int) -> list[Contact]:
        """By name, those behind this one."""
        names = self._sorted
        if names is None:
            names = self._sorted = sorted(self._by_name)
        first = bisect_right(names, name)
        return self.of(names[first : first + limit])

    def _done(self, event: events.MeterDone) -> None:
        one, now = self._found(event.meter), self._now()
        if one is None:
            return
        one.asked_at, one.operation, one.ok = now, event.operation, event.ok
        one.reply_code, one.reason, one.ms = event.reply_code, event.reason, event.ms
        one.commands += 1
        one.failures += not event.ok
        one.heard_at = now if event.ok else one.heard_at
        after = (event.details or {}).get("after") or {}
        if after.get("control_state") in SWITCH:
            one.switch = SWITCH[after["control_state"]]

    def _pushed(self, event: events.Notification) -> None:
        one = None if event.meter is None else self._found(event.meter)
        if one is not None:
            one.heard_at = self._now()
            one.pushes += 1

    def _connected(self, meter: str, *, there: bool) -> None:
        one = self._found(meter)
        if one is not None:
            one.dialled_in = there
            one.heard_at = self._now() if there else one.heard_at

    def _found(self, meter: str) -> Contact | None:
        one = self._by_name.get(meter)
        if one is None:
            if len(self._by_name) >= MOST_KEPT:
                return None
            one = self._by_name[meter] = Contact(meter)
            self._sorted = None
        self.changed.add(meter)
        return one


def contact_routes(contacts: Contacts, zone: tzinfo) -> list[Route]:
    """GET lists. `zone`: in which times are given."""

    async def list_contacts(request: Request) -> Response:
        check_known(request, ("limit", "after"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MOST_LISTED)
        found = contacts.after(request.query_params.get("after", ""), limit + 1)
        listed = tuple(map(ContactEntry.model_validate, found[:limit]))
        following = listed[-1].meter if len(found) > limit else None
        return given(ContactList(since=contacts.since, contacts=listed, next=following), zone)

    return [Route(paths.CONTACTS, list_contacts, methods=["GET"])]
