"""A trace as a value with a JSON form: what happened for one request, as spans in a flat list that say whose part they are.

Whatever shows, exports or serves a trace takes this and nothing else. The form has a version, `FORMAT`: what is added to it later
is optional, what changes its meaning gets another number. Octets are hex; times have an offset. Secrets are never in it: what was
struck out is zeros, and `hidden` says where.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

FORMAT: Literal["ami-trace/1"] = "ami-trace/1"
MOST_SPANS = 100_000
MOST_DEPTH = 100
"""Spans within each other."""
MOST_OCTETS = 65_535
"""Of one APDU: the wrapper takes no longer ones."""
MOST_CLEAR_OCTETS = 10_000_000
"""Of what an APDU holds: blocks complete one that is longer than any that travels."""
MOST_TEXT = 5_000_000
"""Characters of a message."""


class Kind(StrEnum):
    """What a span is; the words are those that people see."""

    REQUEST = "request"
    """The whole; the only one without a parent."""
    MESSAGE = "cim-request"
    VALIDATION = "validation"
    PLAN = "plan"
    COMMAND = "command"
    """All that was done for one meter."""
    ATTEMPT = "attempt"
    CONNECTION = "connection"
    ASSOCIATION = "association"
    EXCHANGE = "exchange"
    """A request of DLMS until its answer, in however many APDUs."""
    STEP = "step"
    """Of a recipe, as reading back."""
    APDU = "apdu"
    FRAME = "frame"
    """Of HDLC: what carries APDUs, or parts of them, on such a line."""
    VERDICT = "verdict"
    REPLY = "cim-reply"
    DELIVERY = "delivery"


class Outcome(StrEnum):
    """How a span ended."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"
    REFUSED = "refused"
    """The meter said no; the session goes on."""
    RUNNING = "running"


class Direction(StrEnum):
    """As the head-end sees it."""

    REQUEST = "request"
    RESPONSE = "response"


def _hex(value: str) -> str:
    bytes.fromhex(value)
    return value


Hex = Annotated[str, Field(max_length=2 * (MOST_OCTETS + 8)), AfterValidator(_hex)]
ClearHex = Annotated[str, Field(max_length=2 * MOST_CLEAR_OCTETS), AfterValidator(_hex)]
Carrier = Literal["wrapper", "hdlc"]
"""What carried an APDU."""
Places = tuple[tuple[int, int], ...]
"""First octet and the one behind the last of what was struck out."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApduRecord(_Value):
    """One APDU as it was on the wire, between two wrapper ports, and what it holds where it was protected.

    `octets` are those of the APDU alone, whatever carried it, which `carrier` says: over HDLC `source` and `destination` are the addresses of client and
    server, which the standard gives the same numbers. `clear` is the APDU without its protection, after every layer; of an AARQ or AARE
    it is the InitiateRequest or InitiateResponse that it carries; of a block it is the APDU that it completed. Empty octets: they were
    left out, and `left_out` says how many there were.
    """

    direction: Direction
    source: int = Field(ge=0, le=0xFFFF)
    destination: int = Field(ge=0, le=0xFFFF)
    octets: Hex
    clear: ClearHex | None = None
    hidden: Places = ()
    clear_hidden: Places = ()
    left_out: int = Field(default=0, ge=0)
    connection: int = Field(default=0, ge=0)
    """Which connection of its attempt, from 1; 0 where that is not known."""
    carrier: Carrier = "wrapper"


class FrameRecord(_Value):
    """What was on a line of HDLC from one flag to another: a frame, or noise of the line.

    Empty octets: they were left out, as they are where a frame carries a secret in clear, and `left_out` says how many there were.
    """

    direction: Direction
    octets: Hex
    left_out: int = Field(default=0, ge=0)
    connection: int = Field(default=0, ge=0)
    """As of an APDU."""


class Span(_Value):
    """A part of what happened. `ended_at` is None as long as it goes on, or where its end was not seen."""

    id: int = Field(ge=1)
    parent: int | None = None
    kind: Kind
    name: str = Field(max_length=1000)
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    outcome: Outcome = Outcome.OK
    text: str = Field(default="", max_length=10_000)
    """Why, in words."""
    meter: str | None = Field(default=None, max_length=1000)
    peer: str | None = Field(default=None, max_length=300)
    """Of a connection: host and port of the meter, or the device."""
    transport: str | None = Field(default=None, max_length=20)
    xml: str | None = Field(default=None, max_length=MOST_TEXT)
    """Of a CIM message."""
    apdu: ApduRecord | None = None
    frame: FrameRecord | None = None


class Meters(_Value):
    """How many meters the request named that were found, at how many it has ended, how many of these well; and of how many the sessions are here."""

    asked: int = Field(ge=0)
    done: int = Field(ge=0)
    ok: int = Field(ge=0)
    recorded: int = Field(ge=0)


class Trace(_Value):
    """What happened for the request with this MessageID; the first span is the whole."""

    format: Literal["ami-trace/1"] = FORMAT
    message_id: str = Field(max_length=1000)
    verb: str = Field(max_length=100)
    noun: str = Field(max_length=100)
    source: str | None = Field(default=None, max_length=1000)
    outcome: Outcome
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    meters: Meters
    clear_text: bool
    """Whether something is in it that was ciphered on the wire: such a trace is to be handled as the data of customers is."""
    redacted: bool = False
    notes: tuple[str, ...] = ()
    """What is not in it, in sentences."""
    spans: tuple[Span, ...] = Field(min_length=1, max_length=MOST_SPANS)

    @model_validator(mode="after")
    def _is_a_tree(self) -> Self:
        depths: dict[int | None, int] = {None: 0}
        for span in self.spans:
            if span.id in depths:
                raise ValueError(f"span {span.id} is there twice")
            if span.parent not in depths:
                raise ValueError(f"span {span.id} is within {span.parent}, which is no span before it")
            depths[span.id] = depth = depths[span.parent] + 1
            if depth > MOST_DEPTH + 1:
                raise ValueError(f"span {span.id} is too deep: {depth} within each other")
        return self

    def children(self) -> dict[int | None, list[Span]]:
        """The spans by their parents, each in the order in which they began."""
        found: dict[int | None, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.parent, []).append(span)
        return found

    def apdus(self) -> Iterator[tuple[Span, ApduRecord]]:
        """Every APDU, in order."""
        return ((span, span.apdu) for span in self.spans if span.apdu is not None)

    def frames(self) -> Iterator[tuple[Span, FrameRecord]]:
        """Every frame of HDLC, in order."""
        return ((span, span.frame) for span in self.spans if span.frame is not None)
