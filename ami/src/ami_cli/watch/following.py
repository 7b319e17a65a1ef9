"""Following a process: its stream of changes, all of it anew when that says so, and details of what has changed.

A lost connection is reported with its reason and opened again, after growing pauses of at most half a minute. What is looked up besides (the details of
requests, their traces) waits in places that are bounded; a request that changes many times while others are looked up is looked up once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ami_cis.api_values import requests as cis
from ami_cli.observations import Happening, Octets, Step
from ami_cli.watch.heard import MOST_METERS, MOST_NAMED, WatchState
from ami_cli.watch.wire import code_of, octets_of
from ami_hes.api import paths
from ami_hes.api.values.contacts import ContactList
from ami_hes.api.values.device_events import DeviceEventList
from ami_hes.api.values.guard import ApprovalList, StopState
from ami_hes.api.values.live import ChangesFrame, GuardNews
from ami_hes.api.values.meters import MeterList
from ami_hes.api.values.requests import RequestDetails, RequestList
from ami_process.environment import real_sleep
from ami_process.rest_client import AnswerLost, NotReached, ProcessRefused, TokenUnusable
from ami_process.rest_stream import RestStream, parsed
from ami_trace.form import Trace

FIRST_S, LONGEST_S = 0.5, 30.0
LISTED = 100
CONTACTS = 5_000
"""Asked for at once."""
MOST_WANTED = 100
"""Requests that wait to be looked up; of more the oldest are not."""
MOST_TRACED = 50
"""Meters of a request whose trace is looked at: those of larger ones are long, and one line is as good as another."""
Problem = NotReached, AnswerLost, ProcessRefused
RESYNC, FRAME = "resync", "frame"


@dataclass(frozen=True, slots=True)
class News:
    """What was heard that was not known."""

    steps: Sequence[Step] = ()
    happenings: Sequence[Happening] = ()
    octets: Sequence[Octets] = ()


@dataclass(slots=True)
class Told:
    """The two receivers: `news` takes what was heard, `link` the state of the connection (empty: it is live)."""

    news: Callable[[News], None]
    link: Callable[[str, str], None]


class Lookups:
    """Requests whose details are wanted, each once, the latest first."""

    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}
        self._more = asyncio.Event()

    def want(self, message_ids: Iterable[str]) -> None:
        """Look them up when there is time."""
        for one in message_ids:
            self._wanted.pop(one, None)
            self._wanted[one] = None
            if len(self._wanted) > MOST_WANTED:
                del self._wanted[next(iter(self._wanted))]
        self._more.set()

    async def each(self, look_up: Callable[[str], Awaitable[None]]) -> None:
        """Look them up one after the other, until cancelled; one that can't be is left out, for the stream says when all is lost."""
        while True:
            while self._wanted:
                message_id, _ = self._wanted.popitem()
                with suppress(*Problem):
                    await look_up(message_id)
            self._more.clear()
            await self._more.wait()


@dataclass(slots=True)
class HeadEnd:
    """The head-end: its requests, meters, events and traces."""

    process: RestStream
    model: WatchState
    told: Told
    lookups: Lookups = field(default_factory=Lookups)
    _traced: dict[str, None] = field(default_factory=dict)
    _before: set[str] = field(default_factory=set)
    """Requests that were there when it was looked at last: what is found about them is no news."""
    name = "HES"
    live_path = paths.LIVE

    async def load(self) -> None:
        """All there is to see, as it is now."""
        model, get = self.model, self.process.get
        model.meters = (await get(f"{paths.METERS}?limit=1", MeterList)).total
        listed = (await get(f"{paths.REQUESTS}?limit={LISTED}", RequestList)).requests
        model.took_requests(reversed(listed))
        await self._contacts()
        waiting = (await get(f"{paths.APPROVALS}?state=waiting", ApprovalList)).approvals
        stop = await get(paths.CONTROLS_STOP, StopState)
        model.took_guard(GuardNews(waiting=len(waiting), stop=stop))
        if not model.happenings:
            events = (await get(f"{paths.DEVICE_EVENTS}?limit={LISTED}", DeviceEventList)).events
            model.took_events(reversed(events))
        looked_at = [one.message_id for one in reversed(listed[:MOST_NAMED])]
        self._before = set(looked_at)
        self.lookups.want(looked_at)

    async def _contacts(self) -> None:
        after, seen = "", 0
        while seen < MOST_METERS:
            query = urlencode({"limit": CONTACTS, "after": after})
            found = await self.process.get(f"{paths.CONTACTS}?{query}", ContactList)
            self.model.took_contacts(found.contacts)
            seen += len(found.contacts)
            if found.next is None:
                return
            after = found.next

    async def take(self, data: str) -> None:
        """A frame of changes."""
        frame = await parsed(data, ChangesFrame)
        steps = [*self.model.took_requests(frame.requests), *self.model.took_refused(frame.refused)]
        self.model.took_contacts(frame.contacts)
        if frame.guard is not None:
            self.model.took_guard(frame.guard)
        happenings = self.model.took_events(frame.events)
        self.told.news(News(steps, happenings))
        changed = [one.message_id for one in frame.requests if one.message_id in self.model.requests]
        self._before.difference_update(changed)
        self.lookups.want(changed)

    async def look_up(self, message_id: str) -> None:
        """Who of a request failed and why, once it has an end or is small; and its octets, once."""
        request = self.model.requests.get(message_id)
        if request is None or not request.accepted or (request.size > MOST_NAMED and request.sent is None):
            return
        place = quote(message_id, safe="")
        details = await self.process.get(f"{paths.REQUESTS}/{place}", RequestDetails)
        self._tell(message_id, News(self.model.took_details(details)))
        if request.sent is None or request.size > MOST_TRACED or message_id in self._traced:
            return
        self._traced[message_id] = None
        if len(self._traced) > 2 * LISTED:
            del self._traced[next(iter(self._traced))]
        trace = await self.process.get(f"{paths.TRACES}/{place}", Trace)
        request.code = request.code or ("" if request.is_read else code_of(trace))
        octets = list(octets_of(trace))
        self.model.wire.extend(octets)
        self._tell(message_id, News(octets=octets))

    def _tell(self, message_id: str, news: News) -> None:
        if message_id not in self._before:
            self.told.news(news)


@dataclass(slots=True)
class Customers:
    """The CIS: what it has sent, what it took for the replies, and what it was told of meters."""

    process: RestStream
    model: WatchState
    told: Told
    lookups: Lookups = field(default_factory=Lookups)
    name = "CIS"
    live_path = cis.LIVE

    async def load(self) -> None:
        """Its latest requests."""
        listed = (await self.process.get(f"{cis.REQUESTS}?limit={LISTED}", cis.RequestList)).requests
        self.model.took_sent(reversed(listed))
        self.lookups.want(one.message_id for one in reversed(listed) if one.result not in ("OK", None))

    async def take(self, data: str) -> None:
        """A frame of changes."""
        frame = await parsed(data, cis.ChangesFrame)
        steps, happenings = self.model.took_sent(frame.requests), self.model.took_inbox(frame.events)
        self.told.news(News(steps, happenings))
        self.lookups.want(one.message_id for one in frame.requests if one.result not in ("OK", None))

    async def look_up(self, message_id: str) -> None:
        """Why it is not OK."""
        path = f"{cis.REQUESTS}/{quote(message_id, safe='')}"
        self.model.took_errors(await self.process.get(path, cis.RequestDetails))


async def follow(one: HeadEnd | Customers) -> None:
    """Until cancelled. Raises ProcessRefused where the process refuses before anything was seen of it, and TokenUnusable likewise."""
    pause_s, seen = FIRST_S, False
    async with _looking_up(one):
        while True:
            try:
                async for event in one.process.events(one.live_path):
                    if event.name == RESYNC:
                        await one.load()
                        one.told.link(one.name, "")
                    elif event.name == FRAME:
                        await one.take(event.data)
                    pause_s, seen = FIRST_S, True
                reason = f"{one.process.url} has ended the stream"
            except (ProcessRefused, TokenUnusable) as problem:
                if not seen:
                    raise
                reason = f"{one.process.url}: {problem}"
            except (NotReached, AnswerLost) as problem:
                reason = str(problem)
            one.told.link(one.name, f"{reason}; trying again in {pause_s:g} s")
            await real_sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_S)


@asynccontextmanager
async def _looking_up(one: HeadEnd | Customers) -> AsyncIterator[None]:
    task = asyncio.create_task(one.lookups.each(one.look_up))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
