"""The events of what was collected, as octets, and which meters gave everything.

An event is a created MeterReadings about some of the meters, as many as give it a bounded number of values. Its MessageID follows from
what it is made of, so that the same event has the same one whenever it is made or sent. Pure, so that it runs on the event loop for what
is small, and in a process of its own for the rest: `write` is what that process calls. What goes between the two is JSON and octets.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Literal
from uuid import UUID, uuid5

from ami_cim import envelope, wire
from ami_cim.codes import Verb
from ami_cim.message import EventMessage, Header
from ami_cim.schema import Schemas
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.nouns import Worked
from ami_hes.nouns.kept_partners import parse_partner
from ami_hes.nouns.meter_readings import created
from ami_hes.operations.read_results import ReadValues
from ami_hes.schedules.event_csv import csv_of
from ami_hes.schedules.subscribers import NOUN
from ami_hes.store import Collected

FUNCTION = "ami_hes.schedules.event_writing:write"
PASSING = "WARNING"
"""The level of faults that may be gone the next time."""
Read = tuple[Worked, ReadValues]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOrder:
    """What events are made of beside what was read."""

    subscriber: str
    typed: bool
    ack_required: bool
    file: Literal["xml", "csv"] | None
    """The message without a SOAP envelope, or its values in lines; None: in the envelope."""
    values_per_message: int
    meters_per_message: int | None
    part_id: str
    """Of the request that the values came of; MessageIDs follow from it and from the subscriber's name."""
    first: int
    """The number of the first event; those of one part are numbered through."""
    source: str
    at: datetime
    partner: str = "{}"
    """As it is kept with a request."""


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """An event as it is kept and posted."""

    message_id: str
    octets: bytes


def complete_among(collected: Sequence[Collected]) -> list[int]:
    """The places of those with nothing left that asking again could bring: what a meter does not have it will not have tomorrow."""
    return [place for place, one in enumerate(collected) if one.ok or _is_lacking(ReadValues.parse(one.payload))]


def write_events(order: EventOrder, collected: Sequence[Collected], schemas: Schemas) -> list[WrittenEvent]:
    """The events about those that have given anything; raises CimError for one that would not be valid."""
    read = [one for one in (_read_of(each, order.part_id) for each in collected) if _has_something(one[1])]
    pieces = enumerate(_bounded(read, order.values_per_message, order.meters_per_message), order.first)
    return [_event(order, number, some, schemas) for number, some in pieces]


def _event(order: EventOrder, number: int, some: Sequence[Read], schemas: Schemas) -> WrittenEvent:
    message_id = str(uuid5(UUID(order.part_id), f"{order.subscriber}/{number}"))
    if order.file == "csv":
        return WrittenEvent(message_id, csv_of(some))
    header = Header(
        verb=Verb.CREATED,
        noun=NOUN,
        timestamp=order.at,
        source=order.source,
        ack_required=order.ack_required,
        message_id=message_id,
        correlation_id=order.part_id,
    )
    wrapper = envelope.typed_wrapper(Verb.CREATED, NOUN) if order.typed else envelope.EVENT_MESSAGE
    payload = created(some, parse_partner(order.partner))
    write = wire.write_event if order.file is None else wire.write_event_document
    return WrittenEvent(message_id, write(EventMessage(header=header, payload=payload), wrapper, schemas))


def _read_of(one: Collected, request_id: str) -> Read:
    """A command, and what it has read."""
    command = Command(request_id, MeterId(one.meter_name, one.mrid), one.operation, one.body)
    return Worked(command, Outcome(one.ok)), ReadValues.parse(one.payload)


def _has_something(found: ReadValues) -> bool:
    return bool(found.values or found.series)


def _is_lacking(found: ReadValues) -> bool:
    return _has_something(found) and not any(left.level == PASSING for left in found.not_read)


def _bounded(read: Sequence[Read], values: int, meters: int | None) -> Iterator[Sequence[Read]]:
    """In pieces of a limited number of values and meters, but of one meter at least."""
    first, size = 0, 0
    for place, (_, found) in enumerate(read):
        if place > first and (size + _size(found) > values or place - first == meters):
            yield read[first:place]
            first, size = place, 0
        size += _size(found)
    if read:
        yield read[first:]


def _size(found: ReadValues) -> int:
    return len(found.values) + sum(len(one.times) for one in found.series)


# between two processes


def format_order(order: EventOrder) -> bytes:
    """What the writing process gets to write events."""
    return json.dumps(asdict(order) | {"at": order.at.isoformat()}).encode()


COMPLETE = b"{}"
"""What it gets to say who is complete."""


def format_collected(collected: Sequence[Collected]) -> bytes:
    """With it."""
    return json.dumps([[*one[:-1], one.finished_at.isoformat()] for one in collected]).encode()


def write(head: bytes, body: bytes) -> bytes:
    """In the writing process: MessageIDs and lengths of events as a line of JSON, then their octets; or the places of the complete."""
    collected = [Collected._make([*values, datetime.fromisoformat(at)]) for *values, at in json.loads(body)]
    if head == COMPLETE:
        return json.dumps(complete_among(collected)).encode()
    values = json.loads(head)
    order = EventOrder(**(values | {"at": datetime.fromisoformat(values["at"])}))
    written = write_events(order, collected, _schemas())
    lengths = json.dumps([[one.message_id, len(one.octets)] for one in written]).encode()
    return b"\n".join((lengths, b"".join(one.octets for one in written)))


def parse_events(octets: bytes) -> list[WrittenEvent]:
    """What `write` has returned of events."""
    head, _, rest = octets.partition(b"\n")
    written: list[WrittenEvent] = []
    start = 0
    for message_id, length in json.loads(head):
        written.append(WrittenEvent(message_id, rest[start : start + length]))
        start += length
    return written


def parse_places(octets: bytes) -> list[int]:
    """What `write` has returned of who is complete."""
    places: list[int] = json.loads(octets)
    return places


@cache
def _schemas() -> Schemas:
    return Schemas()
