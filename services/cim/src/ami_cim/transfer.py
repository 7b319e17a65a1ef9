"""What was read from a message, or why it could not be, as JSON: from the process that read it to the one that acts on it.

The process that reads is not trusted by the other (C code goes over a stranger's octets there), so nothing but plain data is
exchanged, and every value is decoded as the type that it has to be: text that is not what a field holds is an error here, and
never runs anything. Of errors the class goes by its name, out of a closed table.

What nonsense costs is bounded by the length that an answer may have, and by an end at the first fault of a sequence: pydantic
would collect them all, in gigabytes."""

from dataclasses import dataclass, make_dataclass, replace
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from typing import Any, Literal, cast

from lxml import etree
from pydantic import TypeAdapter
from pydantic_core import SchemaValidator, ValidationError, core_schema

from ami_cim.envelope import Delivered, Received
from ami_cim.errors import CimError, InvalidMessage, LocalError, PeerFault, UnsupportedMedia
from ami_cim.limits import Limits
from ami_cim.message import EventMessage, RequestMessage, ResponseMessage
from ami_cim.nouns import EXTENSIONS, ROOTS
from ami_cim.payloads import Payload
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.payloads.operation_set import OperationSet
from ami_cim.peers import OURS, Spelling

Kind = Literal["request", "delivery", "response"]
Read = Received | Delivered | ResponseMessage

ERRORS: dict[str, type[CimError]] = {
    kind.__name__: kind for kind in (CimError, InvalidMessage, UnsupportedMedia, PeerFault, LocalError)
}


_OPAQUE = "opaque"
_ROOM = 100_000
_GROWTH = 2


class TransferError(CimError):
    """The other process's answer is not what it has to be: a fault of ours, or worse. Nothing of it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOrder:
    """What is to be read, with which bounds; `charset` is what came with the octets."""

    kind: Kind
    limits: Limits
    charset: str | None = None
    understood: frozenset[str] = frozenset()
    """SOAP header blocks (Clark) that the asker deals with."""

    def room(self, octets: bytes) -> int:
        """How many octets the answer may have.

        JSON is shorter than the XML that it comes from, except where text is full of quotation marks or was in Latin-1."""
        return _ROOM + _GROWTH * (
            len(octets) + (max(self.limits.unpacked, self.limits.largest) if may_unpack(octets) else 0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    kind: str
    code: str
    reason: str
    details: str | None = None
    wrapper: str | None = None
    fault_code: str | None = None


_Payload: Any = make_dataclass(
    "_Payload",
    [(root.name, cast(Any, root.shape.make) | None, None) for root in (*ROOTS, *EXTENSIONS.values())]
    + [(_OPAQUE, OpaquePayload | None, None)],
    frozen=True,
    slots=True,
)
"""A payload under the name of its root element; exactly one of the fields is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operations:
    """An OperationSet without the payloads of its operations, and these in their order."""

    without: OperationSet
    payloads: tuple[_Payload | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """One message without what its noun decides, which goes beside it; or the error. `wrapper` is a Clark name."""

    request: RequestMessage | None = None
    response: ResponseMessage | None = None
    event: EventMessage | None = None
    query: _Payload | None = None
    payload: _Payload | None = None
    operations: _Operations | None = None
    """In place of `payload`."""
    wrapper: str | None = None
    spelling: Spelling = OURS
    error: _Error | None = None


def may_unpack(octets: bytes) -> bool:
    """Whether a payload among them might unpack to more, as far as can be seen without reading them."""
    return b"Compressed" in octets or b"\x00" in octets  # NUL: UTF-16 hides the word


def write_order(order: TransferOrder) -> bytes:
    """The order as JSON."""
    return _ORDERS.dump_json(order)


def read_order(octets: bytes) -> TransferOrder:
    """The inverse of `write_order`; ValueError for anything else."""
    return _ORDERS.validate_json(octets, strict=True)


def write_answer(result: Read | CimError) -> bytes:
    """What was read, or the error that was raised, as JSON. KeyError for an error that is not in ERRORS."""
    return _ANSWERS.dump_json(_answer_of(result), exclude_defaults=True)


def read_request(octets: bytes) -> Received:
    """The request in an answer; raises the error in it, or TransferError."""
    answer = _read(octets)
    if answer.request is None:
        raise _unusable("it holds no request")
    message = replace(answer.request, payload=_payload_in(answer), query=_payload(answer.query))
    return Received(message, _wrapper(answer.wrapper), answer.spelling)


def read_delivery(octets: bytes) -> Delivered:
    """The late response or event in an answer; raises the error in it, or TransferError."""
    answer = _read(octets)
    message = answer.response or answer.event
    if message is None:
        raise _unusable("it holds no delivery")
    return Delivered(replace(message, payload=_payload_in(answer)), _wrapper(answer.wrapper))


def read_response(octets: bytes) -> ResponseMessage:
    """The response in an answer; raises the error in it, or TransferError."""
    answer = _read(octets)
    if answer.response is None:
        raise _unusable("it holds no response")
    return replace(answer.response, payload=_payload_in(answer))


def _answer_of(result: Read | CimError) -> _Answer:
    if isinstance(result, CimError):
        return _Answer(error=_told(result))
    message = result if isinstance(result, ResponseMessage) else result.message
    wrapper = None if isinstance(result, ResponseMessage) else result.wrapper.text
    operations = _without_payloads(message.payload) if isinstance(message.payload, OperationSet) else None
    payload = _named(message.payload) if operations is None else None
    match message:
        case RequestMessage():
            bare = replace(message, payload=None, query=None)
            spelling = result.spelling if isinstance(result, Received) else OURS
            return _Answer(
                request=bare,
                payload=payload,
                operations=operations,
                query=_named(message.query),
                wrapper=wrapper,
                spelling=spelling,
            )
        case ResponseMessage():
            bare_response = replace(message, payload=None)
            return _Answer(response=bare_response, payload=payload, operations=operations, wrapper=wrapper)
        case EventMessage():
            bare_event = replace(message, payload=None)
            return _Answer(event=bare_event, payload=payload, operations=operations, wrapper=wrapper)


def _without_payloads(whole: OperationSet) -> _Operations:
    bare = tuple(replace(one, payload=None) for one in whole.operations)
    payloads = tuple(_named(one.payload) for one in whole.operations)
    return _Operations(without=replace(whole, operations=bare), payloads=payloads)


def _payload_in(answer: _Answer) -> Payload | None:
    found = answer.operations
    if found is None:
        return _payload(answer.payload)
    if answer.payload is not None or len(found.payloads) != len(found.without.operations):
        raise _unusable("its OperationSet is not whole")
    pairs = zip(found.without.operations, found.payloads, strict=True)
    return replace(found.without, operations=tuple(replace(one, payload=_payload(held)) for one, held in pairs))


def _named(payload: Payload | None) -> Any:
    return None if payload is None else _Payload(**{_NAMES[type(payload)]: payload})


def _payload(named: Any) -> Payload | None:
    if named is None:
        return None
    given = [value for name in _NAMES.values() if (value := getattr(named, name)) is not None]
    if len(given) != 1:
        raise _unusable(f"{len(given)} payloads are where one is")
    payload: Payload = given[0]
    return payload


def _told(error: CimError) -> _Error:
    kind = type(error).__name__
    return _Error(kind=kind, **{field.name: getattr(error, field.name) for field in fields_of(ERRORS[kind])})


def _read(octets: bytes) -> _Answer:
    try:
        answer: _Answer = _VALIDATOR.validate_json(octets, strict=True)
    except ValidationError as problem:
        raise _unusable(f"{problem.error_count()} of its values are not what they have to be") from None
    if answer.error is not None:
        raise _error(answer.error)
    return answer


def _error(told: _Error) -> CimError:
    kind = ERRORS.get(told.kind)
    if kind is None:
        raise _unusable("it holds an error of no known kind")
    error = kind.__new__(kind)  # not every one takes its fields as arguments
    for name in {field.name for field in fields_of(kind)}:
        if (value := getattr(told, name)) is not None:
            setattr(error, name, value)
    if error.wrapper is not None:
        _wrapper(error.wrapper)
    return error


def _wrapper(text: str | None) -> etree.QName:
    try:
        return etree.QName(text or "")
    except ValueError:
        raise _unusable("its wrapper is no name") from None


def _unusable(why: str) -> TransferError:
    return TransferError("5.2", "What the reading process answered cannot be used", why)


def _hardened(schema: Any) -> Any:
    """The schema with sequences that end at their first fault, and moments in UTC.

    Keys that a type does not have are ignored, except by one that demands none: everything would be of that type."""
    if isinstance(schema, list):
        return [_hardened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "datetime":
        return core_schema.no_info_after_validator_function(_in_utc, core_schema.datetime_schema(tz_constraint=0))
    harder = {key: _hardened(part) for key, part in schema.items()}
    if schema.get("type") == "tuple":
        harder["fail_fast"] = True
    if schema.get("type") == "dataclass-args" and all(one["schema"]["type"] == "default" for one in schema["fields"]):
        harder["extra_behavior"] = "forbid"
    return harder


def _in_utc(moment: datetime) -> datetime:
    """The reader's own time zone, where pydantic has one of its own."""
    return moment.replace(tzinfo=UTC)


_NAMES: dict[Any, str] = {root.shape.make: root.name for root in (*ROOTS, *EXTENSIONS.values())} | {
    OpaquePayload: _OPAQUE
}
_ORDERS = TypeAdapter(TransferOrder)
_ANSWERS = TypeAdapter(_Answer)
_VALIDATOR = SchemaValidator(_hardened(_ANSWERS.core_schema))
