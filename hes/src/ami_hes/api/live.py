"""`/api/v1/live`: what has changed in the head-end, four times a second, as server-sent events: requests, contacts with meters, events,
and messages that were refused, which no list has.

A frame names each thing that has changed once, as the lists of the API have it, however often it has changed. What is more than a frame
takes waits for the next one; events that come faster than that are not all told, and `more_events` says so.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_console import Live, live_response
from ami_hes import events
from ami_hes.api import paths
from ami_hes.api.contacts import Contacts
from ami_hes.api.values.contacts import ContactEntry
from ami_hes.api.values.device_events import DeviceEvent
from ami_hes.api.values.guard import StopState
from ami_hes.api.values.live import ChangesFrame, GuardNews, RefusedMessage
from ami_hes.api.values.moments import ZONE
from ami_hes.api.values.requests import RequestEntry
from ami_hes.end_device_events import EventTaker
from ami_hes.guard import Guard
from ami_hes.meters.registry import Registry
from ami_hes.store import StoreUnavailable
from ami_hes.store.history import SqlHistory
from ami_process.environment import real_time
from ami_process.events import Emit, Event, utc_now
from ami_process.query_parameters import check_known

MOST_NOTED = 10_000
MOST_REQUESTS = 50
MOST_CONTACTS = 2_000
MOST_EVENTS = 100
LOOK_EVERY_S = 1.0
"""At what the store alone knows of the guard."""
MOST_REFUSED = 50
"""Between two frames; of more the latest are told."""
LONGEST_ID, LONGEST_REASON = 300, 1_000
"""Characters: they are a sender's own."""


class Touched:
    """MessageIDs of requests that have changed, and messages that were refused, from the events that the process reports."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._ids: dict[str, None] = {}
        self._refused: deque[RefusedMessage] = deque(maxlen=MOST_REFUSED)
        self.pushes = 0
        self._kinds = (events.RequestAccepted, events.MeterDone, events.ReplySent, events.ReplyDeadLetter)

    def noting(self, emit: Emit) -> Emit:
        """The sink that notes what it hands on."""

        def noted(event: Event) -> None:
            if isinstance(event, self._kinds):
                self.note((event.message_id,))
            elif isinstance(event, events.RequestRefused | events.RequestUnreadable | events.RequestTooCostly):
                self._refused.append(_refused(event, self._now()))
            elif isinstance(event, events.Notification | events.Dropped):
                self.pushes += 1
            emit(event)

        return noted

    def note(self, message_ids: Iterable[str]) -> None:
        """These have changed, or could not be told."""
        self._ids.update(dict.fromkeys(message_ids))
        while len(self._ids) > MOST_NOTED:  # nobody looks, and whoever comes looks at everything first
            del self._ids[next(iter(self._ids))]

    def forget(self) -> None:
        """Tell of none of them."""
        self._ids.clear()
        self._refused.clear()
        self.pushes = 0

    def take(self, most: int) -> list[str]:
        """The first of them."""
        taken = [one for one, _ in zip(self._ids, range(most), strict=False)]
        for one in taken:
            del self._ids[one]
        return taken

    def take_refused(self) -> tuple[RefusedMessage, ...]:
        """All of these."""
        taken = tuple(self._refused)
        self._refused.clear()
        return taken


def _refused(
    event: events.RequestRefused | events.RequestUnreadable | events.RequestTooCostly, at: datetime
) -> RefusedMessage:
    message_id, code, reason = None, None, event.reason
    if isinstance(event, events.RequestUnreadable):
        code = event.code
    elif isinstance(event, events.RequestRefused):
        message_id, code = event.message_id, None if event.status is None else f"HTTP {event.status}"
        first = next(iter(event.errors or ()), None)
        if isinstance(first, events.ReportedError):
            code, reason = first.code, first.reason
        elif first is not None:
            reason = first
    cut = None if message_id is None else message_id[:LONGEST_ID]
    return RefusedMessage(message_id=cut, code=code, reason=(reason or "")[:LONGEST_REASON], at=at)


class Changes:
    """Makes frames."""

    def __init__(
        self,
        touched: Touched,
        contacts: Contacts,
        history: SqlHistory,
        taker: EventTaker,
        registry: Registry,
        guard: Guard,
        zone: tzinfo,
    ) -> None:
        self._touched = touched
        self._contacts = contacts
        self._history = history
        self._taker = taker
        self._registry = registry
        self._zone = zone
        self._seen: int | None = None
        self._unanswered: list[str] = []
        self._guard = guard
        self._guard_looked_at = 0.0
        self._guard_told: object = None

    def forget(self) -> None:
        """Somebody begins to look, at everything there is: what has changed before is told to nobody."""
        self._touched.forget()
        self._contacts.changed.clear()
        self._guard_looked_at, self._guard_told = 0.0, None

    async def take(self) -> dict[str, Any] | None:
        """A frame, None when nothing has changed; what the store can't say now, a later one says."""
        requests, found, more, guard = tuple[RequestEntry, ...](), tuple[DeviceEvent, ...](), False, None
        with suppress(StoreUnavailable):  # what was taken before it went away is told all the same
            requests = await self._requests()
            found, more = await self._events()
            guard = await self._guard_news()
        contacts, refused = self._changed_contacts(), self._touched.take_refused()
        pushes, self._touched.pushes = self._touched.pushes, 0
        if not (requests or contacts or found or more or guard or refused or pushes):
            return None
        frame = ChangesFrame(
            requests=requests,
            contacts=contacts,
            events=found,
            more_events=more,
            guard=guard,
            refused=refused,
            pushes=pushes,
        )
        return frame.model_dump(mode="json", context={ZONE: self._zone})

    async def _requests(self) -> tuple[RequestEntry, ...]:
        """A request that came to its end is kept a moment later than its last event says, so it is looked at until it has one."""
        taken = self._touched.take(MOST_REQUESTS)
        ids = list(dict.fromkeys(self._unanswered + taken))
        if not ids:
            return ()
        try:
            lines = await self._history.some(ids)
        except StoreUnavailable:
            self._touched.note(taken)
            raise
        self._unanswered = [one.message_id for one in lines if one.answered_at is None and one.done == one.meters]
        return tuple(map(RequestEntry.of, lines))

    async def _guard_news(self) -> GuardNews | None:
        """Another process may have decided or stopped too, so the store is asked, a few times slower than frames come."""
        now = real_time()
        if now - self._guard_looked_at < LOOK_EVERY_S:
            return None
        self._guard_looked_at = now
        known = marks, stop = await self._guard.store.marks(), await self._guard.store.stopped()
        if known == self._guard_told:
            return None
        self._guard_told = known
        return GuardNews(waiting=marks.waiting, stop=StopState.of_stop(stop))

    def _changed_contacts(self) -> tuple[ContactEntry, ...]:
        changed = self._contacts.changed
        names = [name for name, _ in zip(changed, range(MOST_CONTACTS), strict=False)]
        changed.difference_update(names)
        return tuple(map(ContactEntry.model_validate, self._contacts.of(names)))

    async def _events(self) -> tuple[tuple[DeviceEvent, ...], bool]:
        store = self._taker.store
        if self._seen is None:
            self._seen = await store.latest_change()
            return (), False
        found = await store.changes_after(self._seen, MOST_EVENTS)
        if len(found) == MOST_EVENTS:
            self._seen = await store.latest_change()
        elif found:
            self._seen = found[-1].number
        return tuple(DeviceEvent.of(one.event, self._registry) for one in found), len(found) == MOST_EVENTS


def live_routes(live: Live) -> list[Route]:
    """GET follows."""

    async def follow(request: Request) -> Response:
        check_known(request, ())
        return live_response(live)

    return [Route(paths.LIVE, follow, methods=["GET"])]
