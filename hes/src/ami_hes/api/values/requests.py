"""Requests and what is unfinished, as `/api/v1/requests` and `/api/v1/jobs` give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.store.history import Backlog, CommandLine, DeliveryLine, RequestLine


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True)


class RequestEntry(_Given):
    """A request, and how many of its meters are done, and well."""

    message_id: str
    verb: str
    noun: str
    source: str | None
    asynchronous: bool
    accepted_at: Moment
    deadline_at: Moment
    answered_at: Moment | None
    result: str | None
    meters: int
    done: int
    ok: int

    @classmethod
    def of(cls, line: RequestLine) -> Self:
        return cls.model_validate(line._asdict() | {"asynchronous": line.reply_address is not None})


class RequestList(_Given):
    """The latest requests first; `next` is what to ask for `before` to have older ones, where there may be some."""

    requests: tuple[RequestEntry, ...]
    next: str | None


class CommandEntry(_Given):
    """What was asked of one meter, and what came of it; unset as long as it has no end."""

    meter: str
    mrid: str
    operation: str
    lane: str
    ok: bool | None
    reply_code: str | None
    reason: str | None
    attempted: bool | None
    took_ms: float | None
    finished_at: Moment | None

    @classmethod
    def of(cls, line: CommandLine) -> Self:
        return cls.model_validate(line._asdict())


class DeliveryState(_Given):
    """A reply that its receiver has not taken so far; a dead letter since `given_up_at`."""

    message_id: str
    attempts: int
    first_failed_at: Moment
    last_reason: str
    given_up_at: Moment | None

    @classmethod
    def of(cls, line: DeliveryLine) -> Self:
        return cls.model_validate(line._asdict())


class RequestProblem(_Given):
    """What of a request was refused at once: no meter that is known was meant, or nothing that can be asked for."""

    code: str
    reason: str | None


PROBLEMS = TypeAdapter(tuple[RequestProblem, ...])
"""As rows of requests have them."""


class RequestDetails(_Given):
    """A request with all of its commands, and what of it was refused before there were any."""

    request: RequestEntry
    errors: tuple[RequestProblem, ...] = ()
    reply_address: str | None
    commands: tuple[CommandEntry, ...]
    delivery: DeliveryState | None


class Cancelled(_Given):
    """How many commands of a request were not begun, and are not any more; `waiting`: it waited for its time or for approval, all of it."""

    commands: int
    waiting: bool = False


class JobCounts(_Given):
    """What is not at its end: commands by lane, requests without an answer, replies that are owed or given up."""

    commands: dict[str, int]
    requests: int
    replies_owed: int
    dead_letters: int
    undelivered: tuple[DeliveryState, ...]

    @classmethod
    def of(cls, backlog: Backlog, undelivered: list[DeliveryLine]) -> Self:
        return cls.model_validate(backlog._asdict() | {"undelivered": [DeliveryState.of(one) for one in undelivered]})
