"""The faults of the border, a row each: on which legs they may happen, what they may be told, what they do and what a good client does."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Leg(StrEnum):
    """What passes the border. A late reply and an event are HTTP requests of the head-end, which the client answers with a receipt."""

    REQUEST = "request"
    ANSWER = "answer"
    REPLY = "reply"
    EVENT = "event"
    RECEIPT = "receipt"


ALL = tuple(Leg)
ASKED = (Leg.REQUEST, Leg.REPLY, Leg.EVENT)
"""What is an HTTP request."""


class Parameters(BaseModel):
    """What a fault may be told; nothing, unless it says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LateParameters(Parameters):
    """Of `late`."""

    seconds: float | None = Field(
        default=None, ge=0, le=3600, description="of the machine's clock; unset: until it is released"
    )


class NounParameters(Parameters):
    """Of `wrong-noun`."""

    says: str = Field(default="UsagePointConfig", min_length=1, max_length=100, description="what it says then")


class VerbParameters(Parameters):
    """Of `wrong-verb`."""

    says: str = Field(default="deleted", min_length=1, max_length=100, description="what it says then")


class PartialParameters(Parameters):
    """Of `partial`."""

    failed: str = Field(min_length=1, max_length=1000, description="name or mRID of the meter that has failed")
    code: str = Field(default="4.1", pattern=r"^\d{1,2}\.\d{1,3}$", description="its reply code")
    reason: str = Field(default="the meter did not answer in time", max_length=1000, description="in words")


class OversizedParameters(Parameters):
    """Of `oversized`."""

    octets: int = Field(default=12_000_000, ge=1_000, le=16_000_000, description="of the whole message")


class SlowParameters(Parameters):
    """Of `slow`."""

    octets: int = Field(default=64, ge=1, le=65_536, description="that leave at once")
    pause_s: float = Field(default=0.05, ge=0, le=60, description="behind each of them")


class BusyParameters(Parameters):
    """Of `http-503`."""

    retry_after_s: int = Field(default=1, ge=0, le=86_400, description="what Retry-After says")


class NamespaceParameters(Parameters):
    """Of `wrong-namespace`."""

    to: str = Field(
        default="http://www.iec.ch/TC57/2011/",
        min_length=1,
        max_length=200,
        description="in place of http://iec.ch/TC57/2011/; as it is, the dialect of drafts",
    )


class TlsParameters(Parameters):
    """Of `tls`."""

    how: Literal["expired", "wrong-name", "unknown-issuer", "handshake"] = Field(
        default="expired", description="what is wrong with the certificate; `handshake`: there is an alert in its place"
    )


class EditParameters(Parameters):
    """Of `edit`."""

    select: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="elements or attributes of the envelope, XPath 1.0; `m` is the envelope of IEC 61968-100",
    )
    text: str | None = Field(default=None, max_length=100_000, description="what they hold then; unset: they go")


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table."""

    name: str
    does: str
    client: str
    legs: tuple[Leg, ...] = ALL
    parameters: type[Parameters] = Parameters


_ROWS = (
    Kind(
        "late",
        "It waits at the border.",
        "Waits as long as it has said, then asks again under the same MessageID; takes what comes late once.",
        parameters=LateParameters,
    ),
    Kind(
        "never",
        "It is lost; the connection stays open until the system is reset or closed.",
        "Has a limit for every wait, and says which request has no answer.",
    ),
    Kind(
        "twice",
        "It is delivered twice, one after the other.",
        "Counts a reply or an event once, by its MessageID or CorrelationID.",
        legs=ASKED,
    ),
    Kind(
        "out-of-order",
        "It waits for the next one on its leg and is delivered behind it. A reply or an event is acknowledged at once by the border.",
        "Takes each reply for the request that its CorrelationID names, in any order.",
    ),
    Kind(
        "wrong-correlation",
        "Its CorrelationID is one that nobody has asked under.",
        "Refuses what it has not asked for, and goes on waiting.",
    ),
    Kind(
        "wrong-noun",
        "Header/Noun is another.",
        "Refuses it; does not read a payload as something else.",
        parameters=NounParameters,
    ),
    Kind(
        "wrong-verb",
        "Header/Verb is another.",
        "Refuses it, or asks; never takes `deleted` for `created`.",
        parameters=VerbParameters,
    ),
    Kind(
        "partial",
        "Of a reply one meter's part has failed: PARTIAL, an Error with its code, none of its values.",
        "Looks at Result and at each Error, not at the HTTP status alone.",
        legs=(Leg.ANSWER, Leg.REPLY),
        parameters=PartialParameters,
    ),
    Kind("malformed", "It ends within a tag; HTTP is right.", "Refuses it; keeps nothing of it."),
    Kind(
        "oversized",
        "It is well-formed and very large.",
        "Has a limit, and says so, before its memory ends.",
        parameters=OversizedParameters,
    ),
    Kind(
        "slow",
        "Its octets come a few at a time.",
        "Limits the whole wait and not only the wait for the next octet; serves others meanwhile.",
        parameters=SlowParameters,
    ),
    Kind(
        "http-500",
        "The border answers 500 without a body. On `answer` and `receipt` what was asked has been done.",
        "Asks again under the same MessageID, since it may have been done.",
    ),
    Kind(
        "http-503",
        "The same with 503 and Retry-After.",
        "Waits for as long as Retry-After says, then asks again under the same MessageID.",
        parameters=BusyParameters,
    ),
    Kind(
        "cut",
        "The connection ends behind half of the body.",
        "Takes nothing of what is not whole; asks again under the same MessageID.",
    ),
    Kind(
        "wrong-namespace",
        "Its namespaces are spelled otherwise.",
        "Refuses what it does not know, instead of finding nothing and calling that an answer.",
        parameters=NamespaceParameters,
    ),
    Kind(
        "edit", "What an XPath finds holds another text, or goes.", "As the change wants it.", parameters=EditParameters
    ),
    Kind(
        "tls",
        "The certificate of the border is wrong, or there is an alert in its place. Needs `tls=True`; `request` are connections of the client, `reply` those of the head-end.",
        "Breaks off; sends nothing.",
        legs=(Leg.REQUEST, Leg.REPLY),
        parameters=TlsParameters,
    ),
)
KINDS: Mapping[str, Kind] = {one.name: one for one in _ROWS}
"""By their names, in the order of the documentation."""
