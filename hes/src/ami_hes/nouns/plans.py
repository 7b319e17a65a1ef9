"""What planning and reporting hand on: plain values, the same for every noun."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads import Payload
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.nouns.partners import STANDARD, Partner


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What a noun may know of a request beside its body, when it plans and when it reports: the same after a restart."""

    request_id: str
    verb: str
    """Header.Verb."""
    source: str | None = None
    """Header.Source."""
    accepted_at: datetime
    """When it is planned, which is the present for all that it asks for; aware."""
    partner: Partner = STANDARD
    """Who sent it, with the settings of then."""
    query: str = ""
    """What the plan has noted of the body; empty while it is planned."""

    @classmethod
    def of(cls, header: Header, accepted_at: datetime, partner: Partner = STANDARD) -> Self:
        """That of a message that has come."""
        return cls(
            request_id=header.message_id or "",
            verb=header.verb,
            source=header.source,
            accepted_at=accepted_at,
            partner=partner,
        )


class Refused(Exception):
    """The whole request is refused before anything is done for it."""

    def __init__(self, *errors: ReplyError) -> None:
        super().__init__("; ".join(error.reason or error.code for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request asks for: at most one command for each meter, and an error for everything that names no meter of ours."""

    commands: tuple[Command, ...] = ()
    errors: tuple[ReplyError, ...] = ()
    summary: str = ""
    """What is asked for, in a few words, for who reads the events."""
    query: str = ""
    """What reporting will have to know of the body, in the noun's own form; short, since it is kept."""
    lane: Lane | None = None
    """In place of that of the operation, as for what is collected by schedule."""
    until: datetime | None = None
    """Nothing of it may be done afterwards; None: the deadline of the lane alone counts."""


Meant = frozenset[tuple[str, str | None]]
"""What is asked of which meters: the key of an mRID, and a word of the noun; None is anything."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as a get of its noun shows it: what it asks for if it waits for its time, and some of its commands if it is begun."""

    request_id: str
    source: str | None
    correlation_id: str
    waiting: RequestMessage | None
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Worked:
    """A command and what came of it."""

    command: Command
    outcome: Outcome


Ask = Callable[[RequestMessage], Awaitable[tuple[ResponseMessage, int]]]
"""Carries out one request as if it had come by itself; its answer, and how many octets that is."""
Report = tuple[Reply, Payload | None]
"""The Reply, and the payload that goes with it where the noun has one."""
Order = Callable[[RequestContext, RequestMessage], Awaitable[Report]]
"""Carries out a request that asks nothing of a meter; it may be done twice, and raises Refused."""
