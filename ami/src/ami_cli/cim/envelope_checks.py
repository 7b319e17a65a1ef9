"""What can be wrong with the envelope of a message: Header, Request and Reply (IEC 61968-100), beyond what a schema says."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ami_cim import ns
from ami_cim.codes import VERBS, reply_codes
from ami_cim.nouns import EVENT_VERBS, REQUEST_VERBS
from ami_cim.xml import Element
from ami_cli.cim.findings import Finding, error, name_of, printable, text_of, warning
from ami_cli.cim.recognise import Message
from ami_cli.cim.tables import DROPPED_VERBS, NOUNS

_HEADER = "IEC 61968-100, HeaderType"
_REPLY = "IEC 61968-100, ReplyType"
_VERBS_OF = {
    "request": (*REQUEST_VERBS, "get", "execute"),
    "event": (*EVENT_VERBS, "executed"),
    "response": ("reply", *EVENT_VERBS),
}


def check_verb(message: Message) -> Iterator[Finding]:
    """The verb is one of the standard, spelled as it does, and fits the message that it is in."""
    element = _field(message, "Verb")
    if element is None:
        return
    came = element.text or ""
    verb = came.strip().lower()
    if verb not in VERBS:
        dropped = " It is of a draft, and edition 1 has dropped it." if verb in DROPPED_VERBS else ""
        near = "canceled has one l" if verb == "cancelled" else f"there are {', '.join(sorted(VERBS))}"
        yield error(
            "verb-unknown", element, f"The standard has no verb {printable(came.strip())!r}.{dropped}", _HEADER, near
        )
        return
    if came != verb:
        yield warning(
            "verb-spelling", element, f"The verb is written {printable(came)!r}", _HEADER, f"the standard has {verb}"
        )
    fitting = _VERBS_OF.get(message.archetype)
    if fitting is not None and verb not in fitting:
        reason = f"The verb {verb} does not belong into this kind of message ({message.archetype}), whose verbs are {', '.join(fitting)}"
        yield error("verb-message", element, reason, "IEC 61968-100, message archetypes")


def check_noun(message: Message) -> Iterator[Finding]:
    """The noun is known, and wrapper, Header and payload say the same one."""
    element = _field(message, "Noun")
    noun = message.header("Noun")
    if element is None or not noun:
        return
    if noun not in NOUNS:
        yield warning("noun-unknown", element, f"No noun {noun} is known here", "IEC 61968-9, nouns")
    for payload in message.payloads():
        name = name_of(payload)
        if name != noun and name in NOUNS:
            yield error("noun-payload", payload, f"The Header says {noun}, and the payload is {name}", _HEADER)


_SET = "OperationSet"


def check_wrapper(message: Message) -> Iterator[Finding]:
    """A typed wrapper says the verb and the noun of its Header."""
    body = message.body
    if body is None or message.form != "typed" or message.part("Header") is None:
        return
    noun = ns.noun_of(etree.QName(body).namespace or "") or ""
    said, verb = message.header("Noun"), message.header("Verb").lower()
    several = noun.endswith(_SET) and said in (
        _SET,
        noun.removesuffix(_SET),
    )  # which of them is right, no public text says
    if said != noun and not several:
        yield error(
            "noun-wrapper", body, f"The wrapper is one of {noun}, and the Header says {said or 'no noun'}", _HEADER
        )
    operation = name_of(body).removesuffix(noun).lower()
    if operation in VERBS and verb in VERBS and operation != verb:
        yield error("verb-wrapper", body, f"The wrapper says {operation}, and the Header {verb}", _HEADER)


def check_identifiers(message: Message) -> Iterator[Finding]:
    """What lets a message be repeated, answered and found again is there, and is what it is called."""
    header = message.part("Header")
    if header is None:
        return
    for name, why in _IDENTIFIERS.items():
        if not message.header(name):
            yield warning("header-field-missing", header, f"The Header has no {name}: {why}", _HEADER)


_IDENTIFIERS = {
    "MessageID": "without it a request can't be repeated without harm, and nothing can be answered to it",
    "CorrelationID": "a strict set demands it, and a reply is found by it",
    "Timestamp": "a strict set demands it",
}


def check_asynchronous(message: Message) -> Iterator[Finding]:
    """An asynchronous request says where its reply goes."""
    flag = _field(message, "AsyncReplyFlag")
    if flag is not None and text_of(flag) in ("true", "1") and not message.header("ReplyAddress"):
        reason = "AsyncReplyFlag is true, and there is no ReplyAddress that the reply could go to"
        yield error("reply-address-missing", flag, reason, "IEC 61968-100, exchange patterns")


def check_content(message: Message) -> Iterator[Finding]:
    """A request says what it is about; one message has one payload."""
    body, verb = message.body, message.header("Verb").lower()
    payloads, identifiers = message.payloads(), _identifiers(message)
    if len(payloads) > 1:
        names = ", ".join(dict.fromkeys(name_of(one) for one in payloads[:10]))
        yield error("payloads-several", payloads[1], f"The Payload holds {len(payloads)} payloads: {names}", _PAYLOAD)
    if payloads and identifiers:
        yield error(
            "payload-and-ids", identifiers[0], "The Payload holds a payload and IDs: it is one or the other", _PAYLOAD
        )
    if message.archetype != "request" or body is None:
        return
    if verb in ("create", "change", "execute") and not payloads:
        yield error("payload-missing", body, f"A request with the verb {verb} has no payload", _PAYLOAD)
    request = message.part("Request")
    if verb == "get" and message.query() is None and (request is None or not _named(request, "ID")):
        reason = f"A get has no Get{message.noun} in its Request, and no IDs: nothing is asked for"
        yield error("query-missing", body, reason, "IEC 61968-100, RequestType")


_PAYLOAD = "IEC 61968-100, PayloadType"


def check_reply(message: Message) -> Iterator[Finding]:
    """Result and the codes of its Errors agree, and the codes are in the list."""
    reply = message.part("Reply")
    if reply is None:
        return
    (result,) = _named(reply, "Result")[:1] or (None,)
    errors = _named(reply, "Error")
    codes = [text_of(code) for one in errors for code in _named(one, "code")]
    for one in errors:
        yield from _check_error(one)
    bad = [code for code in codes if not code.startswith("0.")]
    if text_of(result) == "OK" and bad:
        yield error("result-contradicts", result, f"Result is OK, and an Error has the code {bad[0]}", _REPLY)
    if text_of(result) == "FAILED" and not bad:
        what = f"its only codes are {', '.join(codes[:5])}" if codes else "no Error says why"
        yield warning("result-unexplained", result, f"Result is FAILED, and {what}", _REPLY)


def _check_error(one: Element) -> Iterator[Finding]:
    for code in _named(one, "code"):
        if text_of(code) not in reply_codes():
            reason = f"The code {text_of(code) or '(none)'} is in no list that is known here; the schema lets a code be any text"
            yield warning("reply-code-unknown", code, reason, "IEC 61968-9, Reply.Error codes")
    for replaced in _named(one, "object"):
        yield warning(
            "error-object", replaced, "Error/object is deprecated", "IEC 61968-100, ErrorType", "use Error/ID"
        )


def _identifiers(message: Message) -> list[Element]:
    payload = message.part("Payload")
    return [] if payload is None else _named(payload, "ID")


def _field(message: Message, name: str) -> Element | None:
    header = message.part("Header")
    return None if header is None else next(iter(_named(header, name)), None)


def _named(element: Element, name: str) -> list[Element]:
    return [one for one in element.iterchildren("*") if name_of(one) == name]


CHECKS = (
    check_verb,
    check_noun,
    check_wrapper,
    check_identifiers,
    check_asynchronous,
    check_content,
    check_reply,
)
