"""Who writes events: the event loop what is small, a process of its own the rest, some meters at a time (`ami_hes.schedules.event_writing`)."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from ami_cim.schema import Schemas
from ami_hes.nouns.kept_partners import format_partner
from ami_hes.schedules.event_writing import (
    COMPLETE,
    FUNCTION,
    EventOrder,
    WrittenEvent,
    complete_among,
    format_collected,
    format_order,
    parse_events,
    parse_places,
    write_events,
)
from ami_hes.schedules.subscribers import Subscriber
from ami_hes.store import Collected
from ami_process.worker import Worker

LIGHT = 8_192
"""Characters of payloads that are written on the event loop, in some 2 ms."""
AT_ONCE = 500_000
"""Characters of payloads that the writing process gets in one piece."""
CPU_S, MEMORY = 60, 1_000_000_000
"""What it may have for one piece, and octets of its address space."""
ROOM = 64_000_000
"""Octets that it may answer with."""


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes events."""

    source: str
    schemas: Schemas
    worker: Worker

    @classmethod
    @asynccontextmanager
    async def opened(cls, source: str, schemas: Schemas) -> AsyncIterator[Self]:
        """With a process that begins with the first large piece."""
        async with Worker(FUNCTION, cpu_s=CPU_S, memory=MEMORY) as worker:
            yield cls(source, schemas, worker)

    async def complete_among(self, collected: Sequence[Collected]) -> list[Collected]:
        """Those that gave everything they have; raises WorkerBusy and WorkerLost."""
        complete: list[Collected] = []
        for piece in _pieces(collected):
            if _is_light(piece):
                places = complete_among(piece)
            else:
                places = parse_places(await self.worker.call(COMPLETE, format_collected(piece)))
            complete += map(piece.__getitem__, places)
        return complete

    async def write(
        self, subscriber: Subscriber, part_id: str, collected: Sequence[Collected], at: datetime
    ) -> AsyncIterator[WrittenEvent]:
        """The events of what came of one part of a run; raises CimError for one that would not be valid, WorkerBusy and WorkerLost."""
        number = 1
        for piece in _pieces(collected):
            order = EventOrder(
                subscriber=subscriber.name,
                typed=subscriber.typed,
                ack_required=subscriber.ack_required,
                file=subscriber.file,
                values_per_message=subscriber.values_per_message,
                meters_per_message=subscriber.meters_per_message,
                part_id=part_id,
                first=number,
                source=self.source,
                at=at,
                partner=format_partner(subscriber.partner),
            )
            for one in await self._written(order, piece):
                yield one
                number += 1

    async def _written(self, order: EventOrder, piece: Sequence[Collected]) -> list[WrittenEvent]:
        if _is_light(piece):
            return write_events(order, piece, self.schemas)
        return parse_events(await self.worker.call(format_order(order), format_collected(piece), room=ROOM))


def _is_light(collected: Sequence[Collected]) -> bool:
    return sum(len(one.payload) for one in collected) <= LIGHT


def _pieces(collected: Sequence[Collected]) -> Iterator[Sequence[Collected]]:
    """What is worked at a time; at least one meter."""
    first, size = 0, 0
    for place, one in enumerate(collected):
        size += len(one.payload)
        if size > AT_ONCE and place > first:
            yield collected[first:place]
            first, size = place, len(one.payload)
    if collected:
        yield collected[first:]
