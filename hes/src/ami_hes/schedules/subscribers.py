"""Who gets what was collected: subscribers of the configuration, and the events that are written for them.

An event is a created MeterReadings about some of the meters, as many as give it a bounded number of values. Its MessageID follows from
what it is made of, so that the same event has the same one whenever it is made or sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from ami_cim import envelope, wire
from ami_cim.codes import Verb
from ami_cim.message import EventMessage, Header
from ami_cim.schema import Schemas
from ami_hes.nouns import Worked
from ami_hes.nouns.meter_readings import created
from ami_hes.operations.read_results import ReadValues

NOUN = "MeterReadings"
Read = tuple[Worked, ReadValues]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Who gets events, and how they are written."""

    name: str
    url: str
    nouns: frozenset[str] = frozenset({NOUN})
    groups: tuple[tuple[str, str], ...] = ()
    """Tags of the registry with their values: meters with one of them; all meters where there is none."""
    typed: bool = False
    """Whether events are the noun's own (CreatedMeterReadings) and not the generic EventMessage."""
    ack_required: bool = True
    values_per_message: int = 2_000

    def wants(self, noun: str, tags: Mapping[str, str]) -> bool:
        """Whether events of this noun about a meter with these tags are for it."""
        return noun in self.nouns and (not self.groups or any(tags.get(tag) == value for tag, value in self.groups))


@dataclass(frozen=True, slots=True)
class Written:
    """An event as it is kept and posted."""

    message_id: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes events."""

    source: str
    schemas: Schemas

    def write(self, subscriber: Subscriber, part_id: str, read: Sequence[Read], at: datetime) -> Iterator[Written]:
        """The events of what came of one part of a run; raises CimError for one that would not be valid."""
        for number, some in enumerate(_bounded(read, subscriber.values_per_message), 1):
            message_id = str(uuid5(UUID(part_id), f"{subscriber.name}/{number}"))
            header = Header(
                verb=Verb.CREATED,
                noun=NOUN,
                timestamp=at,
                source=self.source,
                ack_required=subscriber.ack_required,
                message_id=message_id,
                correlation_id=part_id,
            )
            message = EventMessage(header=header, payload=created(some))
            wrapper = envelope.typed_wrapper(Verb.CREATED, NOUN) if subscriber.typed else envelope.EVENT_MESSAGE
            yield Written(message_id, wire.write_event(message, wrapper, self.schemas))


def _bounded(read: Sequence[Read], values: int) -> Iterator[Sequence[Read]]:
    """In pieces of a limited number of values, but of one meter at least."""
    first, size = 0, 0
    for place, (_, found) in enumerate(read):
        if size + _size(found) > values and place > first:
            yield read[first:place]
            first, size = place, 0
        size += _size(found)
    if read:
        yield read[first:]


def _size(found: ReadValues) -> int:
    return len(found.values) + sum(len(one.times) for one in found.series)
