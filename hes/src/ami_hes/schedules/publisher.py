"""What was collected goes to its subscribers, by the road of late replies: kept, then posted until it is taken or a dead letter.

An event is a request of the store with a reply address, without commands, answered by itself. So `ami_hes.jobs.reply_sender` posts it,
counts its attempts, gives it up and keeps receivers from waiting for each other, also over restarts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami_cim.codes import Verb
from ami_hes.engine import Engine, ReplyJob
from ami_hes.meters.registry import Registry
from ami_hes.nouns.kept_partners import format_partner
from ami_hes.outbox import ACK_REQUIRED
from ami_hes.schedules.event_requests import DONE
from ami_hes.schedules.event_writer import EventWriter
from ami_hes.schedules.event_writing import WrittenEvent
from ami_hes.schedules.subscribers import NOUN, Subscriber
from ami_hes.store import Collected, Outgoing, StoredRequest
from ami_process.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Hands events on."""

    subscribers: Sequence[Subscriber]
    writer: EventWriter
    outgoing: Outgoing
    engine: Engine
    registry: Registry
    environment: Environment
    reply_age: timedelta
    """How long an event is posted."""

    async def publish(self, part_id: str, collected: Sequence[Collected]) -> int:
        """What came of a part of a run, to each subscriber what it wants; how many events. What was published before is not repeated.

        Raises StoreUnavailable and WorkerBusy; then some may be kept, and it is done again.
        """
        published = 0
        now = self.environment.now()
        for subscriber in self.subscribers:
            theirs = [one for one in collected if self._wants(subscriber, one)]
            async for event in self.writer.write(subscriber, part_id, theirs, now):
                published += await self._post(event, subscriber, part_id, now)
        return published

    def _wants(self, subscriber: Subscriber, collected: Collected) -> bool:
        """A meter that has left the registry has no tags any more."""
        meter = self.registry.find_by_mrid(collected.mrid)
        return subscriber.wants(NOUN, {} if meter is None else meter.tags)

    async def _post(self, event: WrittenEvent, subscriber: Subscriber, part_id: str, now: datetime) -> bool:
        request = StoredRequest(
            request_id=event.message_id,
            digest="",
            verb=Verb.CREATED,
            noun=NOUN,
            query=ACK_REQUIRED if subscriber.ack_required else "",
            partner=format_partner(subscriber.partner),
            correlation_id=part_id,
            reply_address=subscriber.address,
            accepted_at=now,
            deadline_at=now + self.reply_age,
            errors="[]",
            answer=event.octets,
            result=DONE,
        )
        if not await self.outgoing.publish(request, subscriber.name):
            return False
        await self.engine.replies.put([ReplyJob.of(request, self.reply_age)])
        return True
