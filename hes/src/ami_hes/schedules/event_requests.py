"""An event for a subscriber as a message, and as the request of the store that it is (docs/adr/0023). Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from ami_cim import envelope, wire
from ami_cim.errors import CimError
from ami_cim.message import EventMessage, Header
from ami_cim.payloads import Payload
from ami_cim.schema import Schemas
from ami_hes.nouns.kept_partners import format_partner
from ami_hes.outbox import ACK_REQUIRED
from ami_hes.schedules.subscribers import Subscriber
from ami_hes.store import StoredRequest

DONE = "OK"
"""As result of an event: it has no Reply that could say otherwise."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHead:
    """Of a message to a subscriber; its MessageID follows from what is in it."""

    verb: str
    noun: str
    message_id: str
    source: str
    at: datetime


def write_message(subscriber: Subscriber, head: EventHead, payload: Payload, schemas: Schemas) -> bytes:
    """In SOAP, or as a document for a file; raises CimError for one that would not be valid."""
    header = Header(
        verb=head.verb,
        noun=head.noun,
        timestamp=head.at,
        source=head.source,
        ack_required=subscriber.ack_required,
        message_id=head.message_id,
        correlation_id=head.message_id,
    )
    wrapper = envelope.typed_wrapper(head.verb, head.noun) if subscriber.typed else envelope.EVENT_MESSAGE
    write = wire.write_event if subscriber.file is None else wire.write_event_document
    return write(EventMessage(header=header, payload=payload), wrapper, schemas)


def request_of(subscriber: Subscriber, head: EventHead, octets: bytes, reply_age: timedelta) -> StoredRequest:
    """A request without commands that has its answer, which is the message; `reply_age`: how long it is posted."""
    return StoredRequest(
        request_id=head.message_id,
        digest="",
        verb=head.verb,
        noun=head.noun,
        query=ACK_REQUIRED if subscriber.ack_required else "",
        partner=format_partner(subscriber.partner),
        correlation_id=head.message_id,
        reply_address=subscriber.address,
        accepted_at=head.at,
        deadline_at=head.at + reply_age,
        errors="[]",
        answer=octets,
        result=DONE,
    )


def written(
    items: Sequence[T], write: Callable[[Sequence[T]], tuple[EventHead, bytes]], lost: Callable[[T, CimError], None]
) -> Iterator[tuple[EventHead, bytes]]:
    """Some things in one message; where that is not valid each half in one of its own, so that what can't be told keeps nothing else back.

    `lost` hears of what is no valid message alone.
    """
    try:
        yield write(items)
    except CimError as problem:
        if len(items) == 1:
            lost(items[0], problem)
            return
        middle = len(items) // 2
        yield from written(items[:middle], write, lost)
        yield from written(items[middle:], write, lost)
