"""The messages of IEC 61968-100 ed. 1 as elements: typed wrappers of a noun, and the generic ones, both ways.

In a typed message the wrapper and its children Header, Request, Reply and Payload are in the noun's *Message namespace,
what is inside Header, Request and Reply in the envelope's, the payload in its noun's; in a generic message everything
outside the payload is in the envelope's. Reading takes `lxml` elements that the schema has accepted (see `wire`)."""

from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from ami_cim import ns
from ami_cim.codes import VERBS, Verb
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import Identifier
from ami_cim.message import EventMessage, FaultMessage, Header, Reply, RequestMessage, ResponseMessage
from ami_cim.message_types import HEADER, IDENTIFIER, REPLY, REQUEST, demand_own_header, tag
from ami_cim.nouns import BY_NAME, EVENT_VERBS, EXTENSIONS, NOUNS, OPERATION_SETS, REQUEST_VERBS, element_of, payload_of
from ami_cim.payloads import Payload
from ami_cim.peers import OURS, Spelling
from ami_cim.white_space import SPACE
from ami_cim.xml import Element
from ami_cim.xml_fields import Codec

REQUEST_MESSAGE = etree.QName(ns.MESSAGE, "RequestMessage")
RESPONSE_MESSAGE = etree.QName(ns.MESSAGE, "ResponseMessage")
EVENT_MESSAGE = etree.QName(ns.MESSAGE, "EventMessage")
FAULT_MESSAGE = etree.QName(ns.MESSAGE, "FaultMessage")
_OLDER_GET = "{}RequestMessage"
_ANY_MESSAGE = etree.QName(ns.MESSAGE, "Message")

_ANY_SET = "OperationSet"
"""The noun of all OperationSets, typed or not, once they are read."""
_ANY_REQUEST_VERBS = (*REQUEST_VERBS, Verb.GET, Verb.EXECUTE)
"""Also those that a noun without a row has; its messages are read far enough to be answered 2.5."""
_ID = tag("ID")
_REQUEST = REQUEST.bind(ns.MESSAGE)
_QUERIES = {
    namespace: REQUEST.bind(namespace)
    for noun in NOUNS
    if noun.query is not None
    for namespace in [ns.typed_message(ns.query(noun.name))]
}
"""Of the typed messages of a get."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request and the wrapper that it came in, which decides the answer's."""

    message: RequestMessage
    wrapper: etree.QName
    spelling: Spelling = field(default=OURS, compare=False)
    """Where it was not that of the 2011 set; it changes nothing of what is asked."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a ReplyAddress is given: a late response or an event, and its wrapper."""

    message: ResponseMessage | EventMessage
    wrapper: etree.QName


def typed_wrapper(verb: str, noun: str) -> etree.QName:
    """The typed wrapper of a request or event verb: CreateEndDeviceControls, GetMeterReadings."""
    if noun in OPERATION_SETS and verb == Verb.EXECUTE:
        return etree.QName(ns.typed_message(noun), f"Execute{noun}")
    row = BY_NAME.get(noun)
    if row is not None and verb == Verb.GET and row.query is not None:
        return etree.QName(ns.typed_message(ns.query(noun)), ns.query(noun))
    if row is None or verb not in (*row.verbs, *row.events):
        raise LocalError("There is no typed wrapper", f"{verb} {noun}")
    return etree.QName(ns.typed_message(noun), f"{verb.capitalize()}{noun}")


def older_get(noun: str) -> etree.QName:
    """{Noun}RequestMessage: the get of the oldest schema set, with IDs in its Request and without a profile."""
    return etree.QName(ns.typed_message(noun), _OLDER_GET.format(noun))


def typed_response(noun: str) -> etree.QName:
    """{Noun}ResponseMessage, as which a late reply may be sent."""
    return etree.QName(ns.typed_message(noun), f"{noun}ResponseMessage")


def parse_request(element: Element) -> Received:
    """A typed request, msg:RequestMessage, msg:Message without Reply, or {Noun}RequestMessage, the older get without profile."""
    wrapper = etree.QName(element)
    if wrapper not in (REQUEST_MESSAGE, _ANY_MESSAGE) and not _is_typed(wrapper, _OLDER_GET):
        _demand_typed(wrapper, _ANY_REQUEST_VERBS)
    header = _header(element, wrapper)
    _refuse(element, wrapper, "Reply")
    request = _child(element, wrapper, "Request")
    payload, identifiers = _read_payload(element, wrapper)
    values: dict[str, Any] = (
        {} if request is None else _request_codec(wrapper).read(request) | {"query": _query(request, header.noun)}
    )
    return Received(RequestMessage(header=header, payload=payload, payload_identifiers=identifiers, **values), wrapper)


def format_request(message: RequestMessage, wrapper: etree.QName) -> Element:
    """The element of a request in a typed wrapper or in REQUEST_MESSAGE."""
    noun, verb = message.header.noun, message.header.verb
    if noun == _ANY_SET and (own := ns.noun_of(wrapper.namespace or "") or "") in OPERATION_SETS:
        noun = own
    if wrapper not in (REQUEST_MESSAGE, older_get(noun)) and wrapper != typed_wrapper(verb, noun):
        raise LocalError("The wrapper does not fit the Header", f"{wrapper.localname} for {verb}")
    root = _root(wrapper, message.header)
    if message.request_identifiers or message.options or message.start_at or message.end_at or message.query:
        _write_request(_append(root, wrapper, "Request"), wrapper, message)
    _write_payload(root, wrapper, message.payload, message.payload_identifiers)
    return root


def parse_response(element: Element) -> ResponseMessage:
    """{Noun}ResponseMessage, msg:ResponseMessage, or msg:Message with Reply."""
    wrapper = etree.QName(element)
    if wrapper not in (RESPONSE_MESSAGE, _ANY_MESSAGE) and not _is_typed(wrapper, "{}ResponseMessage"):
        raise _unknown(wrapper, "a ResponseMessage")
    header = _header(element, wrapper)
    return ResponseMessage(header=header, reply=_reply(element, wrapper), payload=_read_payload(element, wrapper)[0])


def format_response(message: ResponseMessage, wrapper: etree.QName) -> Element:
    """The element of a response; `wrapper` is the request's: typed is answered typed, generic generic."""
    answer = _answer(wrapper, "ResponseMessage")
    root = _root(answer, message.header)
    REPLY.write(_append(root, answer, "Reply"), message.reply)
    _write_payload(root, answer, message.payload, ())
    return root


def parse_event(element: Element) -> Delivered:
    """A typed event (Created{Noun}, ...) or msg:EventMessage."""
    wrapper = etree.QName(element)
    if wrapper != EVENT_MESSAGE:
        _demand_typed(wrapper, EVENT_VERBS)
    header = _header(element, wrapper)
    return Delivered(EventMessage(header=header, payload=_read_payload(element, wrapper)[0]), wrapper)


def format_event(message: EventMessage, wrapper: etree.QName) -> Element:
    """The element of an event in a typed wrapper or in EVENT_MESSAGE."""
    if wrapper != EVENT_MESSAGE and wrapper != typed_wrapper(message.header.verb, message.header.noun):
        raise LocalError("The wrapper does not fit the Header", f"{wrapper.localname} for {message.header.verb}")
    root = _root(wrapper, message.header)
    _write_payload(root, wrapper, message.payload, ())
    return root


def parse_delivery(element: Element) -> Delivered:
    """Whatever may come to a ReplyAddress: a response or an event, typed or generic."""
    wrapper = etree.QName(element)
    if wrapper == RESPONSE_MESSAGE or _is_typed(wrapper, "{}ResponseMessage"):
        return Delivered(parse_response(element), wrapper)
    return parse_event(element)


def parse_fault(element: Element) -> FaultMessage:
    """{Noun}FaultMessage or msg:FaultMessage."""
    wrapper = etree.QName(element)
    if wrapper != FAULT_MESSAGE and not _is_typed(wrapper, "{}FaultMessage"):
        raise _unknown(wrapper, "a FaultMessage")
    return FaultMessage(reply=_reply(element, wrapper))


def format_fault(message: FaultMessage, wrapper: etree.QName | None = None) -> Element:
    """The element of a fault message; `wrapper` is the request's, or None if it could not be read."""
    answer = FAULT_MESSAGE if wrapper is None else _answer(wrapper, "FaultMessage")
    root = etree.Element(answer, nsmap=_nsmap(answer))
    REPLY.write(_append(root, answer, "Reply"), message.reply)
    return root


def is_known(wrapper: etree.QName) -> bool:
    """Whether the wrapper is in the envelope's namespace or in that of a noun's typed messages, served or not."""
    return wrapper.namespace == ns.MESSAGE or ns.noun_of(wrapper.namespace or "") is not None


def check_one_payload(element: Element) -> None:
    """Raise InvalidMessage 3.1 for payloads side by side; the schema would say only that the second is not expected."""
    own = etree.QName(element).namespace
    beside = {f"{{{own}}}Format", _ID}
    tags = [child.tag for payload in element.iterchildren(f"{{{own}}}Payload") for child in payload.iterchildren("*")]
    payloads = [etree.QName(tag).localname for tag in tags if tag not in beside]
    if len(payloads) < 2:
        return
    first = payloads[0][:80]
    if set(payloads) == {payloads[0]}:
        reason = f"The Payload holds {len(payloads)} {first} side by side, and one payload a message is read here"
        raise InvalidMessage(
            "3.1", reason, f"what belongs together goes into one {first}, the rest into other messages"
        )
    names = ", ".join(dict.fromkeys(name[:80] for name in payloads[:10]))
    raise InvalidMessage("3.1", "One payload a message is read here", f"{len(payloads)} came: {names}")


def _answer(wrapper: etree.QName, kind: str) -> etree.QName:
    noun = ns.noun_of(wrapper.namespace or "")
    return etree.QName(ns.MESSAGE, kind) if noun is None else etree.QName(wrapper.namespace, f"{noun}{kind}")


def _is_typed(wrapper: etree.QName, pattern: str) -> bool:
    noun = ns.noun_of(wrapper.namespace or "")
    return noun is not None and wrapper.localname == pattern.format(noun)


def _demand_typed(wrapper: etree.QName, verbs: tuple[Verb, ...]) -> None:
    if not any(_is_typed(wrapper, f"{verb.capitalize()}{{}}") for verb in verbs):
        raise _unknown(wrapper, f"a message with one of the verbs {', '.join(verbs)}")


def _unknown(wrapper: etree.QName, expected: str) -> InvalidMessage:
    return InvalidMessage(
        "1.8", f"{wrapper.localname} is not {expected} of the 2011 set", f"namespace {wrapper.namespace}"
    )


def _child(element: Element, wrapper: etree.QName, local: str) -> Element | None:
    return element.find(f"{{{wrapper.namespace}}}{local}")


def _refuse(element: Element, wrapper: etree.QName, local: str) -> None:
    if _child(element, wrapper, local) is not None:
        raise InvalidMessage("1.8", f"{wrapper.localname} has a {local} here")


def _header(element: Element, wrapper: etree.QName) -> Header:
    found = _child(element, wrapper, "Header")
    if found is None:
        raise InvalidMessage("1.5", f"{wrapper.localname} has no Header")
    header = HEADER.read(found)
    if header.verb not in VERBS:
        raise InvalidMessage("2.9", "The standard has no such verb", header.verb[:40])
    if (own := ns.noun_of(wrapper.namespace or "") or "") in OPERATION_SETS:
        if header.noun not in (own, OPERATION_SETS[own], _ANY_SET):  # which of them is right, no public text says
            raise InvalidMessage("2.5", f"{wrapper.localname} says another noun than its Header", header.noun[:80])
        return replace(header, noun=_ANY_SET)
    _check_consistent(header, wrapper)
    return header


def _check_consistent(header: Header, wrapper: etree.QName) -> None:
    noun = ns.noun_of(wrapper.namespace or "")
    if noun is None:
        return
    if header.noun != noun:
        raise InvalidMessage("2.5", f"{wrapper.localname} says another noun than its Header", header.noun[:80])
    operation = wrapper.localname.removesuffix(noun).lower()
    if _is_typed(wrapper, _OLDER_GET):
        operation = Verb.GET
    if operation in VERBS and operation != header.verb:
        raise InvalidMessage("2.9", f"{wrapper.localname} says another verb than its Header", header.verb)


def _reply(element: Element, wrapper: etree.QName) -> Reply:
    found = _child(element, wrapper, "Reply")
    if found is None:
        raise InvalidMessage("1.8", f"{wrapper.localname} has no Reply")
    return REPLY.read(found)


def _read_payload(element: Element, wrapper: etree.QName) -> tuple[Payload | None, tuple[Identifier, ...]]:
    found = _child(element, wrapper, "Payload")
    check_one_payload(element)
    payloads: list[Payload] = []
    identifiers: list[Identifier] = []
    for child in () if found is None else found.iterchildren("*"):
        if child.tag == f"{{{wrapper.namespace}}}Format":
            if (child.text or "").strip(SPACE).upper() not in ("", "XML"):
                raise InvalidMessage("1.8", "Only XML payloads are read here", (child.text or "")[:40])
        elif child.tag == _ID:
            identifier = IDENTIFIER.read(child)
            identifiers += () if identifier is None else (identifier,)
        else:
            payloads.append(payload_of(child))
    if payloads and identifiers:
        raise InvalidMessage("1.8", "A Payload holds a payload or IDs, not both")
    return (payloads[0] if payloads else None), tuple(identifiers)


def _query(request: Element, noun: str) -> Payload | None:
    """The query profile of this noun, or our extension of it, beside whatever else the schema lets stand there."""
    if noun not in BY_NAME:  # any text of a stranger
        return None
    extension = EXTENSIONS.get(noun)
    tags = [f"{{{ns.payload(ns.query(noun))}}}{ns.query(noun)}", *([] if extension is None else [extension.tag])]
    found = [one for tag in tags for one in request.iterchildren(tag)]
    if len(found) > 1:
        raise InvalidMessage("1.8", f"{etree.QName(found[1]).localname} is there twice in Request")
    return payload_of(found[0]) if found else None


def _write_request(element: Element, wrapper: etree.QName, message: RequestMessage) -> None:
    _request_codec(wrapper).write(element, message)
    if message.query is not None:
        element.append(element_of(message.query))


def _request_codec(wrapper: etree.QName) -> Codec[dict[str, Any]]:
    return _QUERIES.get(wrapper.namespace or "", _REQUEST)


def _write_payload(
    root: Element, wrapper: etree.QName, payload: Payload | None, identifiers: tuple[Identifier, ...]
) -> None:
    if payload is not None and identifiers:
        raise LocalError("A Payload holds a payload or IDs, not both", wrapper.localname)
    if payload is None and not identifiers:
        return
    parent = _append(root, wrapper, "Payload")
    if payload is not None:
        parent.append(element_of(payload))
        if ns.noun_of(wrapper.namespace or "") in OPERATION_SETS:
            parent[-1].tag = f"{{{wrapper.namespace}}}{_ANY_SET}"
    for identifier in identifiers:
        IDENTIFIER.write(etree.SubElement(parent, _ID), identifier)


def _root(wrapper: etree.QName, header: Header) -> Element:
    root = etree.Element(wrapper, nsmap=_nsmap(wrapper))
    demand_own_header(header)
    HEADER.write(_append(root, wrapper, "Header"), header)
    return root


def _append(parent: Element, wrapper: etree.QName, local: str) -> Element:
    return etree.SubElement(parent, f"{{{wrapper.namespace}}}{local}")


def _nsmap(wrapper: etree.QName) -> dict[str, str]:
    """The wrapper's namespace without prefix, the envelope's as `msg`."""
    if wrapper.namespace == ns.MESSAGE:
        return {"msg": ns.MESSAGE}
    return ns.default(wrapper.namespace or "") | {"msg": ns.MESSAGE}
