"""The types of Message.xsd (HeaderType, RequestType, ReplyType, ErrorType, ID) both ways, in the schema's order."""

from typing import Any, Final, cast, get_args

from ami_cim import ns
from ami_cim.codes import VERBS, Level
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import Identifier, IdKind
from ami_cim.message import Header, Property, ReplayDetection, Reply, ReplyError, Result, User
from ami_cim.white_space import SPACE
from ami_cim.xml import Element
from ami_cim.xml_fields import Codec, Field, Shape, boolean, many, moment, one, prose, text
from ami_cim.xml_values import INTEGER, Value, read_text, write_attribute, write_text


def tag(local: str) -> str:
    """The Clark name of an element of the envelope's namespace."""
    return f"{{{ns.MESSAGE}}}{local}"


def _read_identifier(element: Element) -> Identifier | None:
    value = read_text(element)
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
    write_attribute(element, "idType", identifier.id_type)
    write_attribute(element, "idAuthority", identifier.id_authority)
    write_attribute(element, "kind", identifier.kind)
    write_attribute(element, "objectType", identifier.object_type)
    write_text(element, identifier.value)


IDENTIFIER: Final = Value(_read_identifier, _write_identifier)
"""ID; where it is one of many, its element is `tag("ID")`."""


def _read_verb(element: Element) -> str | None:
    found = read_text(element)
    return None if found is None else normal_verb(found)


def _write_verb(element: Element, verb: str) -> None:
    if verb not in VERBS:
        raise LocalError("The standard has no such verb", verb)
    write_text(element, verb)


def normal_verb(text: str) -> str:
    """A verb as the standard spells it; capitals and surrounding white space are met in the field."""
    return text.strip(SPACE).lower()


HEADER: Final[Codec[Header]] = Shape(
    Header,
    (
        Field(path="Verb", attribute="verb", kind=Value(_read_verb, _write_verb), mandatory="1.5"),
        text("Noun", "noun", mandatory="1.5"),
        text("Revision", "revision"),
        one(
            "ReplayDetection",
            "replay_detection",
            Shape(
                ReplayDetection,
                (text("Nonce", "nonce", mandatory="1.5"), moment("Created", "created_at", mandatory="1.5")),
            ),
        ),
        text("Context", "context"),
        moment("Timestamp", "timestamp"),
        text("Source", "source"),
        boolean("AsyncReplyFlag", "async_reply_flag"),
        text("ReplyAddress", "reply_address"),
        boolean("AckRequired", "ack_required"),
        one(
            "User",
            "user",
            Shape(User, (text("UserID", "user_id", mandatory="1.5"), text("Organization", "organization"))),
        ),
        text("MessageID", "message_id"),
        text("CorrelationID", "correlation_id"),
        prose("Comment", "comment"),
        many(
            "Property", "properties", Shape(Property, (text("Name", "name", mandatory="1.5"), text("Value", "value")))
        ),
    ),
).bind(ns.MESSAGE)
"""HeaderType; only Verb and Noun are demanded."""

_OPTION = Shape(Property, (text("name", "name", mandatory="1.6"), text("value", "value")))

REQUEST: Final[Shape[dict[str, Any]]] = Shape(
    dict,
    (
        moment("StartTime", "start_at"),
        moment("EndTime", "end_at"),
        many("Option", "options", _OPTION.bind(ns.MESSAGE)),
        many("ID", "request_identifiers", IDENTIFIER),
    ),
)
"""RequestType as arguments of RequestMessage, without the query profile. The typed message of a get has a type of its own for it,
with the same fields in its own namespace."""


def _read_level(element: Element) -> Level | None:
    found = read_text(element)
    try:
        return None if found is None else Level(found)
    except ValueError:
        raise InvalidMessage("1.8", "Not a level of an Error", found) from None


def _read_object(element: Element) -> Identifier | None:
    """The deprecated `object` as the ID that replaced it."""
    object_type = (element.findtext(tag("objectType")) or "").strip(SPACE) or None
    for path, kind in ((tag("mRID"), "uuid"), (f"{tag('Name')}/{tag('name')}", "name")):
        value = (element.findtext(path) or "").strip(SPACE)
        if value:
            return Identifier(value=value, kind=cast(IdKind, kind), object_type=object_type)
    return None


def _error(*, replaced: Identifier | None = None, identifier: Identifier | None = None, **values: Any) -> ReplyError:
    return ReplyError(identifier=identifier or replaced, **values)


_ERROR = Shape(
    _error,
    (
        text("code", "code", mandatory="1.8"),
        Field(path="level", attribute="level", kind=Value(_read_level, write_text)),
        prose("reason", "reason"),
        prose("details", "details"),
        Field(path="ID", attribute="identifier", kind=IDENTIFIER),
        Field(path="relatedID", attribute="related", kind=IDENTIFIER),
        Field(path="object", attribute="replaced", kind=Value(_read_object, _write_identifier), read_only=True),
        Field(path="operationId", attribute="operation_id", kind=INTEGER),
    ),
)


def _read_result(element: Element) -> str | None:
    found = read_text(element)
    if found is not None and found not in get_args(Result):
        raise InvalidMessage("1.8", "Not a Result", found[:40])
    return found


REPLY: Final[Codec[Reply]] = Shape(
    Reply,
    (
        Field(path="Result", attribute="result", kind=Value(_read_result, write_text), mandatory="1.8"),
        many("Error", "errors", _ERROR),
        many("ID", "identifiers", IDENTIFIER),
    ),
).bind(ns.MESSAGE)
"""ReplyType; extensions, stack traces and locations are not carried."""


def demand_own_header(header: Header) -> None:
    """Raise LocalError unless Timestamp, MessageID and CorrelationID are there, which we always send."""
    if header.timestamp is None or not header.message_id or not header.correlation_id:
        raise LocalError(
            "A message of ours needs Timestamp, MessageID and CorrelationID", f"{header.verb} {header.noun}"
        )
    if not header.noun:
        raise LocalError("A message of ours needs a Noun", header.verb)
