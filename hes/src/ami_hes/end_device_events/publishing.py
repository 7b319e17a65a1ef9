"""What is new and what has ended goes to the subscribers of EndDeviceEvents, by the road of late replies (docs/adr/0023, docs/adr/0027).

Changes wait in the store until their messages are kept there as well, so none is lost when the process ends; one whose message was kept
and that was not struck off yet may come in another message again, under its own mRID.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby

from ami_cim.errors import CimError
from ami_cim.schema import Schemas
from ami_hes import events
from ami_hes.end_device_events.taking import EventTaker
from ami_hes.end_device_events.writing import NOUN, message_id_of, payload_of
from ami_hes.engine import Engine, ReplyJob
from ami_hes.meters.registry import Registry
from ami_hes.schedules import EventHead, Subscriber, request_of, write_message, written
from ami_hes.store import EventChange, Outgoing, StoredDeviceEvent, StoreUnavailable
from ami_mapping.events import IMPORTANCE, rank_of
from ami_process.environment import Environment, real_sleep

EVENTS_PER_MESSAGE = 100
CHANGES_AT_ONCE = 500
"""That are handed on before others have their turn."""
GATHER_S, REST_S = 0.1, 5.0
"""How long further changes are waited for: a transaction costs more than what is in it. Where nobody is told of them they are only struck off."""
AGAIN_S = 2.0
"""When it is tried again after the store was away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPublisher:
    """Hands them on."""

    taker: EventTaker
    subscribers: Sequence[Subscriber]
    outgoing: Outgoing
    engine: Engine
    registry: Registry
    schemas: Schemas
    source: str
    environment: Environment
    reply_age: timedelta

    async def work(self) -> None:
        """Until cancelled; begins with what an earlier life has left."""
        told = any(NOUN in one.nouns for one in self.subscribers)
        while True:
            self.taker.kept.clear()
            try:
                while told and await self._hand_on():
                    pass
                if not told:
                    await self.taker.store.all_handed_on()
            except StoreUnavailable:
                await real_sleep(AGAIN_S)
                continue
            await self.taker.kept.wait()
            await real_sleep(GATHER_S if told else REST_S)

    async def _hand_on(self) -> int:
        changes = await self.taker.store.changes(CHANGES_AT_ONCE, IMPORTANCE)
        for (rank, verb), some in groupby(changes, key=_rank_and_verb):
            same = list(some)
            for subscriber in self.subscribers:
                theirs = [one.event for one in same if self._wants(subscriber, one)]
                for piece in _pieces(theirs):
                    await self._publish(subscriber, verb, piece, rank)
            await self.taker.store.handed_on([one.number for one in same])
        return len(changes)

    def _wants(self, subscriber: Subscriber, change: EventChange) -> bool:
        """A meter that has left the registry has no tags any more."""
        meter = self.registry.find_by_mrid(change.event.mrid)
        return subscriber.wants(NOUN, {} if meter is None else meter.tags)

    async def _publish(self, subscriber: Subscriber, verb: str, piece: Sequence[StoredDeviceEvent], rank: int) -> None:
        now = self.environment.now()

        def write(some: Sequence[StoredDeviceEvent]) -> tuple[EventHead, bytes]:
            message_id = message_id_of(subscriber.name, verb, some)
            head = EventHead(verb=verb, noun=NOUN, message_id=message_id, source=self.source, at=now)
            return head, write_message(subscriber, head, payload_of(some, self.registry), self.schemas)

        def lost(one: StoredDeviceEvent, problem: CimError) -> None:  # what a meter is called may not be fit for XML
            self.environment.emit(
                events.DeviceEventsNotWritten(
                    subscriber=subscriber.name, meter=one.meter_name, event_id=one.event_id, reason=str(problem)
                )
            )

        for head, octets in written(piece, write, lost):
            request = request_of(subscriber, head, octets, self.reply_age)
            if await self.outgoing.publish(request, subscriber.name):
                await self.engine.replies.put([replace(ReplyJob.of(request, self.reply_age), rank=rank)])


def _rank_and_verb(change: EventChange) -> tuple[int, str]:
    return rank_of(change.event.code), change.verb


def _pieces(found: Sequence[StoredDeviceEvent]) -> Iterator[Sequence[StoredDeviceEvent]]:
    return (found[start : start + EVENTS_PER_MESSAGE] for start in range(0, len(found), EVENTS_PER_MESSAGE))
