"""The outages as they are now, out of the events that the store keeps, and pings that tell a restoration from a message about one.

Nothing of it is kept beside the events: a head-end that starts again knows the same. A ping is a GetMeterReadings for one register, in the lane of
reads; a meter that answers it has power, and where it was dark that is an event of its own, which goes to subscribers as any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ami_cim.identity import EndDevice, Identified
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.get_meter_readings import AskedReading, GetMeterReadings
from ami_cim.payloads.meter_readings import MeterReadings
from ami_hes.end_device_events import EventTaker
from ami_hes.end_device_events.made import restored_event
from ami_hes.meters.registry import Registry
from ami_hes.outages.places import Place, places_of
from ami_hes.outages.power import ALARM, Power, powers
from ami_hes.outages.sharing import Shared
from ami_hes.store import EventQuery, Happened
from ami_mapping.events import POWER_LOST, POWER_RESTORED
from ami_process.environment import Environment

MOST_EVENTS = 200_000
"""Of power, that are looked at; the latest ones."""
MOST_PINGED = 1_000
"""Meters of one ping."""
PINGED = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"
"""The ReadingType of a ping: the import register, which every meter of a customer has."""
ANSWERED = frozenset({"5.6", "5.7"})
"""Codes of a meter that was reached and has no such register."""
SOURCE = "HES API"
Ask = Callable[[RequestMessage], Awaitable[ResponseMessage]]


class NotAsked(Exception):
    """Nobody was pinged; the text says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """The outages of now."""

    places: Sequence[Place]
    dark: int
    momentary: int
    sustained: int
    """Interruptions that have ended within the time that is looked at."""
    unverified: Sequence[Power]
    """Meters that have said that their power is back, and were not asked since."""
    complete: bool
    """Whether all events of the time were looked at."""


@dataclass(frozen=True, slots=True)
class Ping:
    """What came of asking some meters."""

    answered: Sequence[str]
    silent: Sequence[tuple[str, str]]
    """mRIDs, each with the reply code."""
    restored: Sequence[str]
    """Of those that answered, the ones that were dark."""


@dataclass(slots=True, kw_only=True)
class OutageBook:
    """Looks, one at a time for all who want to know, and asks."""

    taker: EventTaker
    registry: Registry
    environment: Environment
    ask: Ask
    levels: Sequence[str]
    """Tags of the registry, from the largest place to the smallest."""
    share: float
    momentary: timedelta
    look_back: timedelta
    _looks: Shared[tuple[dict[str, Power], bool]] = field(init=False)
    _reports: Shared[Report] = field(init=False)

    def __post_init__(self) -> None:
        self._looks, self._reports = Shared(self._look), Shared(self._made_report)

    async def report(self) -> Report:
        """Raises StoreUnavailable."""
        return await self._reports.get()

    async def _made_report(self) -> Report:
        found, complete = await self._powers()
        return await asyncio.to_thread(self._report, found, complete)  # it takes long for ten thousand

    def _report(self, found: dict[str, Power], complete: bool) -> Report:
        dark = {one.mrid: one.dark_since for one in found.values() if one.dark_since is not None}
        return Report(
            places=places_of(dark, self.registry, self.levels, self.share),
            dark=len(dark),
            momentary=sum(one.momentary for one in found.values()),
            sustained=sum(one.sustained for one in found.values()),
            unverified=[one for one in found.values() if one.restored_at and not one.dark_since and not one.verified],
            complete=complete,
        )

    async def ping(self, mrids: Sequence[str] | None = None) -> Ping:
        """Ask these meters, or those that are dark or back without having been asked. Raises NotAsked and StoreUnavailable."""
        found, _ = await self._powers()
        wanted = mrids if mrids is not None else [one.mrid for one in found.values() if _is_open(one)][:MOST_PINGED]
        known = [one for one in wanted if self.registry.knows(one)]
        if not known and mrids is None:
            raise NotAsked("no meter is dark, or has yet to be asked whether its power is back: name meters or groups")
        if not known or len(known) > MOST_PINGED:
            raise NotAsked(f"{len(known):,} meters: from 1 to {MOST_PINGED:,} can be asked at once")
        asked_at = self.environment.now()
        response = await self.ask(self._message(known))
        payload = response.payload if isinstance(response.payload, MeterReadings) else MeterReadings()
        read = {one.meter.mrid for one in payload.meter_readings if one.meter is not None and one.readings}
        codes = {one.identifier.value: one.code for one in response.reply.errors if one.identifier is not None}
        answered = [one for one in known if one in read or codes.get(one) in ANSWERED]
        back = [one for one in answered if one in found and _is_open(found[one])]
        gone = await self._lost_since(asked_at, back)
        restored = [one for one in back if one not in gone]
        for one in restored:
            await self._keep(one)
        silent = [(one, codes.get(one, "")) for one in known if one not in set(answered)]
        return Ping(answered, silent, restored)

    async def _powers(self) -> tuple[dict[str, Power], bool]:
        return await self._looks.get()

    async def _look(self) -> tuple[dict[str, Power], bool]:
        tails = (*POWER_LOST, *POWER_RESTORED)
        since = self.environment.now() - self.look_back
        query = EventQuery(code_tails=tails, since=since, most=MOST_EVENTS, newest_first=True)
        events = await self.taker.store.find(query)
        return await asyncio.to_thread(powers, events[::-1], self.momentary), len(events) < MOST_EVENTS

    async def _lost_since(self, asked_at: datetime, mrids: Sequence[str]) -> set[str]:
        """Those of them whose loss of power came while others were waited for: who has answered may be dark again."""
        if not mrids:
            return set()
        since = asked_at - self.look_back
        query = EventQuery(mrids=mrids, code_tails=POWER_LOST, since=since, most=MOST_EVENTS, newest_first=True)
        told = await self.taker.store.find(query)
        return {one.mrid for one in told if one.received_at >= asked_at and one.source != ALARM}

    async def _keep(self, mrid: str) -> None:
        meter, now = self.registry.find_by_mrid(mrid), self.environment.now()
        if meter is not None:
            await self.taker.take(Happened(mrid=mrid, at=now, events=(restored_event(meter, now),)))

    def _message(self, mrids: Sequence[str]) -> RequestMessage:
        message_id = str(self.environment.new_uuid())
        return RequestMessage(
            header=Header(
                verb="get",
                noun="MeterReadings",
                timestamp=self.environment.now(),
                source=SOURCE,
                message_id=message_id,
                correlation_id=message_id,
            ),
            query=GetMeterReadings(
                end_devices=tuple(EndDevice(mrid=one) for one in mrids),
                reading_types=(Identified(mrid=PINGED),),
                readings=(AskedReading(source="meter"),),
            ),
        )


def _is_open(one: Power) -> bool:
    """Dark, or back by its own word alone."""
    return one.dark_since is not None or (one.restored_at is not None and not one.verified)
