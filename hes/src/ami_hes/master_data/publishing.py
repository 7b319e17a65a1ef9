"""Changes of master data for the subscribers of MeterConfig, EndDeviceConfig, UsagePointConfig and MasterDataLinkageConfig (docs/adr/0032).

They wait in the store, noted with the change itself, until their messages are kept there as well, by the road of late replies (docs/adr/0023). One
whose message was kept and that was not struck off yet may come in another message again. A link is a message of its own: a payload that
lists several meters would say that they belong together.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from uuid import UUID, uuid5

from ami_cim.errors import CimError
from ami_cim.identity import Identified, Name
from ami_cim.payloads import Payload
from ami_cim.payloads.end_device_config import EndDeviceConfig
from ami_cim.payloads.master_data_linkage_config import MasterDataLinkageConfig
from ami_cim.payloads.meter_config import MeterConfig
from ami_cim.payloads.usage_point_config import UsagePointConfig
from ami_cim.schema import Schemas
from ami_hes import events
from ami_hes.engine import Engine, ReplyJob
from ami_hes.master_data.changes import LINK, METER, USAGE_POINT
from ami_hes.master_data.device_entries import asset_of
from ami_hes.master_data.usage_point_entries import parse_point, point_of_meter
from ami_hes.schedules import EventHead, Subscriber, request_of, write_message, written
from ami_hes.store import MasterDataChanges, NotedChange, Outgoing, StoreUnavailable
from ami_process.environment import Environment, real_sleep

_NAMESPACE = UUID("0c3b6a52-9d0f-4a3e-8a0b-6f4e2d7c1b95")
"""Of the MessageIDs, which follow from the subscriber and from what is in the message."""
PER_MESSAGE = 100
AT_ONCE = 500
"""Changes that are handed on before others have their turn."""
GATHER_S = 0.1
"""How long further ones are waited for."""
AGAIN_S = 2.0
"""When it is tried again after the store was away."""
Documents = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _Told:
    """How a noun tells changes of a subject."""

    subject: str
    payload: Callable[[Documents], Payload]
    per_message: int = PER_MESSAGE


def _link(documents: Documents) -> MasterDataLinkageConfig:
    (table,) = documents
    meter = Identified(mrid=str(table["mrid"]), names=(Name(name=str(table["name"])),))
    point = point_of_meter(table)
    return MasterDataLinkageConfig(meters=(meter,), usage_points=(Identified(point.mrid, point.names),))


TOLD: Mapping[str, _Told] = {
    "MeterConfig": _Told(METER, lambda found: MeterConfig(devices=tuple(map(asset_of, found)))),
    "EndDeviceConfig": _Told(METER, lambda found: EndDeviceConfig(devices=tuple(map(asset_of, found)))),
    "UsagePointConfig": _Told(
        USAGE_POINT,
        lambda found: UsagePointConfig(usage_points=tuple(parse_point(str(one["point"])) for one in found)),
    ),
    "MasterDataLinkageConfig": _Told(LINK, _link, 1),
}
"""By the nouns of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterDataPublisher:
    """Hands them on."""

    changes: MasterDataChanges
    kept: asyncio.Event
    """There are new ones."""
    subscribers: Sequence[Subscriber]
    outgoing: Outgoing
    engine: Engine
    schemas: Schemas
    source: str
    environment: Environment
    reply_age: timedelta

    async def work(self) -> None:
        """Until cancelled; begins with what an earlier life has left."""
        while True:
            self.kept.clear()
            try:
                while await self._hand_on():
                    pass
            except StoreUnavailable:
                await real_sleep(AGAIN_S)
                continue
            await self.kept.wait()
            await real_sleep(GATHER_S)

    async def _hand_on(self) -> int:
        waiting = await self.changes.waiting(AT_ONCE)
        for (subject, verb), some in groupby(waiting, key=lambda one: (one.change.subject, one.change.verb)):
            same = list(some)
            for noun, told in TOLD.items():
                if told.subject == subject:
                    await self._tell(noun, told, verb, [one.change for one in same])
            await self.changes.handed_on([one.number for one in same])
        return len(waiting)

    async def _tell(self, noun: str, told: _Told, verb: str, changes: Sequence[NotedChange]) -> None:
        for subscriber in self.subscribers:
            theirs = [one for one in changes if subscriber.wants(noun, _tags(one))]
            for piece in _pieces(theirs, told.per_message):
                await self._publish(subscriber, noun, verb, piece)

    async def _publish(self, subscriber: Subscriber, noun: str, verb: str, piece: Sequence[NotedChange]) -> None:
        now = self.environment.now()

        def write(some: Sequence[NotedChange]) -> tuple[EventHead, bytes]:
            about = " ".join(one.change_id for one in some)
            message_id = str(uuid5(_NAMESPACE, f"{subscriber.name}/{noun}/{verb}/{about}"))
            head = EventHead(verb=verb, noun=noun, message_id=message_id, source=self.source, at=now)
            payload = TOLD[noun].payload([json.loads(one.document) for one in some])
            return head, write_message(subscriber, head, payload, self.schemas)

        def lost(one: NotedChange, problem: CimError) -> None:
            about = f"{verb} {one.subject}"
            self.environment.emit(
                events.MasterDataNotWritten(subscriber=subscriber.name, change=about, reason=str(problem))
            )

        for head, octets in written(piece, write, lost):
            request = request_of(subscriber, head, octets, self.reply_age)
            if await self.outgoing.publish(request, subscriber.name):
                await self.engine.replies.put([ReplyJob.of(request, self.reply_age)])


def _tags(change: NotedChange) -> Mapping[str, str]:
    """Those of the meter, by which groups are."""
    tags: Mapping[str, str] = json.loads(change.document).get("tags", {})
    return tags


def _pieces(found: Sequence[NotedChange], most: int) -> Iterator[Sequence[NotedChange]]:
    return (found[start : start + most] for start in range(0, len(found), most))
