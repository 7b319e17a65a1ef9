"""What the processes of one system report, told to its front ends: each has the contacts, requests and refusals of all of them in its lists and streams.

It goes in batches by the Events port (NATS core, where several processes share a store), a few times a second, and what is more than a batch takes is left out, oldest
first: it is for people who look, and what is kept is in the store. A single process tells nobody.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ami_hes import events
from ami_hes.engine import Events
from ami_process.environment import real_sleep
from ami_process.events import Emit, Event, as_object, format_object

NEWS = "news"
EVERY_S = 0.25
MOST = 500
"""Events that wait to be told."""
OCTETS = 7_000
"""Of one message."""
KINDS: Mapping[str, type[Event]] = {
    one.event: one
    for one in (
        events.DialledIn,
        events.Dropped,
        events.HungUp,
        events.MeterDone,
        events.Notification,
        events.ReplyDeadLetter,
        events.ReplySent,
        events.RequestAccepted,
        events.RequestRefused,
        events.RequestTooCostly,
        events.RequestUnreadable,
    )
}
"""What lists and streams are made of."""


class News:
    """That of one process."""

    def __init__(self, hear: Emit) -> None:
        """`hear` is called with each event of another process."""
        self._hear = hear
        self._due: deque[Event] = deque(maxlen=MOST)
        self._tells = False
        self._origin = ""

    def noting(self, emit: Emit) -> Emit:
        """The sink that notes what it hands on."""

        def noted(event: Event) -> None:
            if self._tells and type(event).event in KINDS:
                self._due.append(event)
            emit(event)

        return noted

    def hear(self, told: Events, origin: str) -> None:
        """Take in what others tell from now on; `origin` is this process."""
        self._origin = origin
        told.listen(NEWS, self._heard)

    async def tell(self, told: Events, origin: str) -> None:
        """Until cancelled."""
        self._tells, numbers = True, count()
        while True:
            await real_sleep(EVERY_S)
            due, self._due = self._due, deque(maxlen=MOST)
            for batch in batches(due):
                await told.publish(NEWS, f"{origin}/{next(numbers)}", batch)

    def _heard(self, event_id: str, body: bytes) -> None:
        if not event_id.startswith(self._origin):
            for event in read(body):
                self._hear(event)


def batches(due: deque[Event]) -> Iterator[bytes]:
    """Messages of bounded size; an event that is larger than one is left out."""
    batch: list[str] = []
    octets = 0
    for event in due:
        text = format_object(as_object(event))
        if len(text) > OCTETS:
            continue
        if octets + len(text) > OCTETS:
            yield f"[{','.join(batch)}]".encode()
            batch, octets = [], 0
        batch.append(text)
        octets += len(text) + 1
    if batch:
        yield f"[{','.join(batch)}]".encode()


def read(body: bytes) -> Iterator[Event]:
    """The events of a message; what is none is left out."""
    try:
        found = json.loads(body)
    except ValueError:
        return
    for one in found if isinstance(found, list) else ():
        kind = KINDS.get(str(one.get("event"))) if isinstance(one, dict) else None
        if kind is not None:
            try:
                yield _adapter(kind.event).validate_python(
                    {name: value for name, value in one.items() if name not in ("event", "level")}
                )
            except ValidationError:  # of another version
                continue


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[name])
