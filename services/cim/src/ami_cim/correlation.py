"""Which answer belongs to which request, and what a request must say beyond the schema so that this can work.

The field disagrees whether a reply's CorrelationID repeats the request's CorrelationID or its MessageID: we always send the
request's CorrelationID, or its MessageID where it has none, and accept a match on either."""

from datetime import datetime

from ami_cim.codes import Verb
from ami_cim.errors import InvalidMessage
from ami_cim.message import Header


def reply_header(
    request: Header, *, message_id: str, timestamp: datetime, source: str | None = None, verb: str = Verb.REPLY
) -> Header:
    """The Header of an answer; without any id in the request the answer's own id has to do."""
    return Header(
        verb=str(verb),
        noun=request.noun,
        revision=request.revision,
        context=request.context,
        timestamp=timestamp,
        source=source,
        message_id=message_id,
        correlation_id=request.correlation_id or request.message_id or message_id,
    )


def correlates(answer: Header, request: Header) -> bool:
    """Whether an answer's CorrelationID is the request's CorrelationID or MessageID."""
    return answer.correlation_id is not None and answer.correlation_id in (request.correlation_id, request.message_id)


def demand_header(header: Header) -> None:
    """Raise InvalidMessage 1.5 for a request without MessageID, or an asynchronous one that cannot be answered."""
    if not header.message_id:
        raise InvalidMessage("1.5", "Header has no MessageID")
    if header.async_reply_flag and not header.reply_address:
        raise InvalidMessage("1.5", "Header has no ReplyAddress, and AsyncReplyFlag asks for a later reply")
