"""The messages of IEC 61968-100 ed. 1 (clause 6 of the 2013 edition: Header, Request, Reply, Payload) as values.

Names are the schema's in snake_case. What the schema allows and is not needed here (stack traces, XPath, pipeline locations)
is accepted on the wire and not carried; `envelope` turns these values into elements and back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ami_cim.codes import Level
from ami_cim.identity import Identifier
from ami_cim.payloads import Payload

Result = Literal["OK", "PARTIAL", "FAILED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """Header/Property or Request/Option: a name and perhaps a value."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDetection:
    """Header/ReplayDetection."""

    nonce: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Header/User."""

    user_id: str
    organization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """HeaderType. Only Verb and Noun are mandatory when reading; we always send Timestamp, MessageID and CorrelationID."""

    verb: str
    noun: str
    revision: str | None = None
    context: str | None = None
    timestamp: datetime | None = None
    source: str | None = None
    async_reply_flag: bool | None = None
    reply_address: str | None = None
    ack_required: bool | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    comment: str | None = None
    properties: tuple[Property, ...] = ()
    replay_detection: ReplayDetection | None = None
    user: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyError:
    """Reply/Error; `identifier` is the one thing that it is about, e.g. the meter."""

    code: str
    level: Level | None = None
    reason: str | None = None
    details: str | None = None
    identifier: Identifier | None = None
    related: Identifier | None = None
    """relatedID: here the mRID of a meter that `identifier` gives by the name that it was asked for by."""
    operation_id: int | None = None
    """operationId: the operation of an OperationSet that it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """ReplyType."""

    result: Result
    errors: tuple[ReplyError, ...] = ()
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMessage:
    """Header, Request?, Payload?. `query` is the profile of a get (Request/Get{Noun}): which ones are asked for, or of another verb our extension of the noun;
    `payload_identifiers` name transactions to cancel, close or delete without a payload."""

    header: Header
    request_identifiers: tuple[Identifier, ...] = ()
    options: tuple[Property, ...] = ()
    start_at: datetime | None = None
    end_at: datetime | None = None
    query: Payload | None = None
    payload: Payload | None = None
    payload_identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMessage:
    """Header, Reply, Payload?."""

    header: Header
    reply: Reply
    payload: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage:
    """Header, Payload?."""

    header: Header
    payload: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMessage:
    """Reply alone: the answer to what could not be read, header included."""

    reply: Reply
