"""The types of Message.xsd (HeaderType, RequestType, ReplyType, ErrorType, ID) both ways, in the schema's order."""

from typing import Any, Final, cast, get_args

from ami_cim import ns, parts
from ami_cim.codes import VERBS, Level
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import Identifier, IdKind
from ami_cim.message import Header, Property, ReplayDetection, Reply, ReplyError, Result, User
from ami_cim.parts import Part, Shape
from ami_cim.xml import SPACE, Element


def tag(local: str) -> str:
    """The Clark name of an element of the envelope's namespace."""
    return f"{{{ns.MESSAGE}}}{local}"


def _nested(local: str, attribute: str, kind: type, shape: Shape, *, many: bool = False) -> Part:
    table = parts.by_tag(shape)
    return Part(
        tag(local),
        attribute,
        lambda element: kind(**parts.read(element, table)),
        lambda element, value: parts.write(element, shape, value),
        many=many,
    )


def _read_identifier(element: Element) -> Identifier | None:
    value = parts.read_text(element)
    if value is None:
        return None
    kind = element.get("kind")
    return Identifier(
        value=value,
        kind=cast(IdKind, kind) if kind is None or kind in get_args(IdKind) else "other",
        id_type=element.get("idType"),
        id_authority=element.get("idAuthority"),
        object_type=element.get("objectType"),
    )


def _write_identifier(element: Element, identifier: Identifier) -> None:
    parts.write_attribute(element, "idType", identifier.id_type)
    parts.write_attribute(element, "idAuthority", identifier.id_authority)
    parts.write_attribute(element, "kind", identifier.kind)
    parts.write_attribute(element, "objectType", identifier.object_type)
    parts.write_text(element, identifier.value)


IDENTIFIERS: Final = Part(tag("ID"), "identifiers", _read_identifier, _write_identifier, many=True)


def _read_verb(element: Element) -> str | None:
    text = parts.read_text(element)
    return None if text is None else normal_verb(text)


def _write_verb(element: Element, verb: str) -> None:
    if verb not in VERBS:
        raise LocalError("The standard has no such verb", verb)
    parts.write_text(element, verb)


def normal_verb(text: str) -> str:
    """A verb as the standard spells it; capitals and surrounding white space are met in the field."""
    return text.strip(SPACE).lower()


_HEADER: Final = (
    Part(tag("Verb"), "verb", _read_verb, _write_verb, mandatory="1.5"),
    parts.text(tag("Noun"), "noun", mandatory="1.5"),
    parts.text(tag("Revision"), "revision"),
    _nested(
        "ReplayDetection",
        "replay_detection",
        ReplayDetection,
        (
            parts.text(tag("Nonce"), "nonce", mandatory="1.5"),
            parts.moment(tag("Created"), "created_at", mandatory="1.5"),
        ),
    ),
    parts.text(tag("Context"), "context"),
    parts.moment(tag("Timestamp"), "timestamp"),
    parts.text(tag("Source"), "source"),
    parts.boolean(tag("AsyncReplyFlag"), "async_reply_flag"),
    parts.text(tag("ReplyAddress"), "reply_address"),
    parts.boolean(tag("AckRequired"), "ack_required"),
    _nested(
        "User",
        "user",
        User,
        (parts.text(tag("UserID"), "user_id", mandatory="1.5"), parts.text(tag("Organization"), "organization")),
    ),
    parts.text(tag("MessageID"), "message_id"),
    parts.text(tag("CorrelationID"), "correlation_id"),
    parts.prose(tag("Comment"), "comment"),
    _nested(
        "Property",
        "properties",
        Property,
        (parts.text(tag("Name"), "name", mandatory="1.5"), parts.text(tag("Value"), "value")),
        many=True,
    ),
)
_HEADER_TABLE: Final = parts.by_tag(_HEADER)


def read_header(element: Element) -> Header:
    """HeaderType; only Verb and Noun are demanded."""
    return Header(**parts.read(element, _HEADER_TABLE))


def write_header(element: Element, header: Header) -> None:
    """HeaderType; LocalError unless Timestamp, MessageID and CorrelationID are there, which we always send."""
    if header.timestamp is None or not header.message_id or not header.correlation_id:
        raise LocalError(
            "A message of ours needs Timestamp, MessageID and CorrelationID", f"{header.verb} {header.noun}"
        )
    if not header.noun:
        raise LocalError("A message of ours needs a Noun", header.verb)
    parts.write(element, _HEADER, header)


_REQUEST: Final = (
    parts.moment(tag("StartTime"), "start_at"),
    parts.moment(tag("EndTime"), "end_at"),
    _nested(
        "Option",
        "options",
        Property,
        (parts.text(tag("name"), "name", mandatory="1.6"), parts.text(tag("value"), "value")),
        many=True,
    ),
    Part(tag("ID"), "request_identifiers", _read_identifier, _write_identifier, many=True),
)
_REQUEST_TABLE: Final = parts.by_tag(_REQUEST)


def read_request(element: Element) -> dict[str, Any]:
    """RequestType as constructor arguments of RequestMessage."""
    return parts.read(element, _REQUEST_TABLE)


def _read_level(element: Element) -> Level | None:
    text = parts.read_text(element)
    try:
        return None if text is None else Level(text)
    except ValueError:
        raise InvalidMessage("1.8", "Not a level of an Error", text) from None


def _read_object(element: Element) -> Identifier | None:
    """The deprecated `object`, told as the ID that replaced it."""
    object_type = (element.findtext(tag("objectType")) or "").strip(SPACE) or None
    for path, kind in ((tag("mRID"), "uuid"), (f"{tag('Name')}/{tag('name')}", "name")):
        value = (element.findtext(path) or "").strip(SPACE)
        if value:
            return Identifier(value=value, kind=cast(IdKind, kind), object_type=object_type)
    return None


_ERROR: Final = (
    parts.text(tag("code"), "code", mandatory="1.8"),
    Part(tag("level"), "level", _read_level, parts.write_text),
    parts.prose(tag("reason"), "reason"),
    parts.prose(tag("details"), "details"),
    Part(tag("ID"), "identifier", _read_identifier, _write_identifier),
)
_OBJECT: Final = Part(tag("object"), "object", _read_object, _write_identifier)
_ERROR_TABLE: Final = parts.by_tag((*_ERROR, _OBJECT))


def _read_error(element: Element) -> ReplyError:
    values = parts.read(element, _ERROR_TABLE)
    deprecated = values.pop("object", None)
    return ReplyError(**{"identifier": deprecated, **values})


def _read_result(element: Element) -> str | None:
    text = parts.read_text(element)
    if text is not None and text not in get_args(Result):
        raise InvalidMessage("1.8", "Not a Result", text[:40])
    return text


_REPLY: Final = (
    Part(tag("Result"), "result", _read_result, parts.write_text, mandatory="1.8"),
    Part(tag("Error"), "errors", _read_error, lambda element, error: parts.write(element, _ERROR, error), many=True),
    IDENTIFIERS,
)
_REPLY_TABLE: Final = parts.by_tag(_REPLY)


def read_reply(element: Element) -> Reply:
    """ReplyType; extensions, stack traces and locations are not carried."""
    return Reply(**parts.read(element, _REPLY_TABLE))


def write_reply(element: Element, reply: Reply) -> None:
    """ReplyType."""
    parts.write(element, _REPLY, reply)


def write_request(parent: Element, value: object) -> None:
    """The children of RequestType out of a RequestMessage."""
    parts.write(parent, _REQUEST, value)
