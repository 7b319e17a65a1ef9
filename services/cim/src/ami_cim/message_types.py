"""The types of Message.xsd (HeaderType, RequestType, ReplyType, ErrorType, ID) both ways, in the schema's order."""

from typing import Any, Final, cast, get_args

from ami_cim import ns, xml_fields
from ami_cim.codes import VERBS, Level
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import Identifier, IdKind
from ami_cim.message import Header, Property, ReplayDetection, Reply, ReplyError, Result, User
from ami_cim.xml import SPACE, Element
from ami_cim.xml_fields import Part, Shape


def tag(local: str) -> str:
    """The Clark name of an element of the envelope's namespace."""
    return f"{{{ns.MESSAGE}}}{local}"


def _nested(local: str, attribute: str, kind: type, shape: Shape, *, many: bool = False) -> Part:
    table = xml_fields.by_tag(shape)
    return Part(
        tag(local),
        attribute,
        lambda element: kind(**xml_fields.read(element, table)),
        lambda element, value: xml_fields.write(element, shape, value),
        many=many,
    )


def _read_identifier(element: Element) -> Identifier | None:
    value = xml_fields.read_text(element)
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
    xml_fields.write_attribute(element, "idType", identifier.id_type)
    xml_fields.write_attribute(element, "idAuthority", identifier.id_authority)
    xml_fields.write_attribute(element, "kind", identifier.kind)
    xml_fields.write_attribute(element, "objectType", identifier.object_type)
    xml_fields.write_text(element, identifier.value)


IDENTIFIERS: Final = Part(tag("ID"), "identifiers", _read_identifier, _write_identifier, many=True)


def _read_verb(element: Element) -> str | None:
    text = xml_fields.read_text(element)
    return None if text is None else normal_verb(text)


def _write_verb(element: Element, verb: str) -> None:
    if verb not in VERBS:
        raise LocalError("The standard has no such verb", verb)
    xml_fields.write_text(element, verb)


def normal_verb(text: str) -> str:
    """A verb as the standard spells it; capitals and surrounding white space are met in the field."""
    return text.strip(SPACE).lower()


_HEADER: Final = (
    Part(tag("Verb"), "verb", _read_verb, _write_verb, mandatory="1.5"),
    xml_fields.text(tag("Noun"), "noun", mandatory="1.5"),
    xml_fields.text(tag("Revision"), "revision"),
    _nested(
        "ReplayDetection",
        "replay_detection",
        ReplayDetection,
        (
            xml_fields.text(tag("Nonce"), "nonce", mandatory="1.5"),
            xml_fields.moment(tag("Created"), "created_at", mandatory="1.5"),
        ),
    ),
    xml_fields.text(tag("Context"), "context"),
    xml_fields.moment(tag("Timestamp"), "timestamp"),
    xml_fields.text(tag("Source"), "source"),
    xml_fields.boolean(tag("AsyncReplyFlag"), "async_reply_flag"),
    xml_fields.text(tag("ReplyAddress"), "reply_address"),
    xml_fields.boolean(tag("AckRequired"), "ack_required"),
    _nested(
        "User",
        "user",
        User,
        (
            xml_fields.text(tag("UserID"), "user_id", mandatory="1.5"),
            xml_fields.text(tag("Organization"), "organization"),
        ),
    ),
    xml_fields.text(tag("MessageID"), "message_id"),
    xml_fields.text(tag("CorrelationID"), "correlation_id"),
    xml_fields.prose(tag("Comment"), "comment"),
    _nested(
        "Property",
        "properties",
        Property,
        (xml_fields.text(tag("Name"), "name", mandatory="1.5"), xml_fields.text(tag("Value"), "value")),
        many=True,
    ),
)
_HEADER_TABLE: Final = xml_fields.by_tag(_HEADER)


def read_header(element: Element) -> Header:
    """HeaderType; only Verb and Noun are demanded."""
    return Header(**xml_fields.read(element, _HEADER_TABLE))


def write_header(element: Element, header: Header) -> None:
    """HeaderType; LocalError unless Timestamp, MessageID and CorrelationID are there, which we always send."""
    if header.timestamp is None or not header.message_id or not header.correlation_id:
        raise LocalError(
            "A message of ours needs Timestamp, MessageID and CorrelationID", f"{header.verb} {header.noun}"
        )
    if not header.noun:
        raise LocalError("A message of ours needs a Noun", header.verb)
    xml_fields.write(element, _HEADER, header)


_REQUEST: Final = (
    xml_fields.moment(tag("StartTime"), "start_at"),
    xml_fields.moment(tag("EndTime"), "end_at"),
    _nested(
        "Option",
        "options",
        Property,
        (xml_fields.text(tag("name"), "name", mandatory="1.6"), xml_fields.text(tag("value"), "value")),
        many=True,
    ),
    Part(tag("ID"), "request_identifiers", _read_identifier, _write_identifier, many=True),
)
_REQUEST_TABLE: Final = xml_fields.by_tag(_REQUEST)


def read_request(element: Element) -> dict[str, Any]:
    """RequestType as constructor arguments of RequestMessage."""
    return xml_fields.read(element, _REQUEST_TABLE)


def _read_level(element: Element) -> Level | None:
    text = xml_fields.read_text(element)
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
    xml_fields.text(tag("code"), "code", mandatory="1.8"),
    Part(tag("level"), "level", _read_level, xml_fields.write_text),
    xml_fields.prose(tag("reason"), "reason"),
    xml_fields.prose(tag("details"), "details"),
    Part(tag("ID"), "identifier", _read_identifier, _write_identifier),
)
_OBJECT: Final = Part(tag("object"), "object", _read_object, _write_identifier)
_ERROR_TABLE: Final = xml_fields.by_tag((*_ERROR, _OBJECT))


def _read_error(element: Element) -> ReplyError:
    values = xml_fields.read(element, _ERROR_TABLE)
    deprecated = values.pop("object", None)
    return ReplyError(**{"identifier": deprecated, **values})


def _read_result(element: Element) -> str | None:
    text = xml_fields.read_text(element)
    if text is not None and text not in get_args(Result):
        raise InvalidMessage("1.8", "Not a Result", text[:40])
    return text


_REPLY: Final = (
    Part(tag("Result"), "result", _read_result, xml_fields.write_text, mandatory="1.8"),
    Part(
        tag("Error"), "errors", _read_error, lambda element, error: xml_fields.write(element, _ERROR, error), many=True
    ),
    IDENTIFIERS,
)
_REPLY_TABLE: Final = xml_fields.by_tag(_REPLY)


def read_reply(element: Element) -> Reply:
    """ReplyType; extensions, stack traces and locations are not carried."""
    return Reply(**xml_fields.read(element, _REPLY_TABLE))


def write_reply(element: Element, reply: Reply) -> None:
    """ReplyType."""
    xml_fields.write(element, _REPLY, reply)


def write_request(parent: Element, value: object) -> None:
    """The children of RequestType out of a RequestMessage."""
    xml_fields.write(parent, _REQUEST, value)
