"""Dead letters and subscribers, as `/api/v1/dead-letters` and `/api/v1/subscribers` give and take them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.store.history import DeadLetterLine


MAX_IDS = 1_000
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


class DeadLetter(BaseModel):
    """A late reply, or an event for a subscriber, that was given up."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    noun: str
    subscriber: str | None
    address: str
    attempts: int
    first_failed_at: Moment
    given_up_at: Moment
    reason: str

    @classmethod
    def of(cls, line: DeadLetterLine) -> Self:
        return cls.model_validate(line._asdict())


class DeadLetterList(BaseModel):
    """The latest first, and how many there are."""

    model_config = ConfigDict(frozen=True)

    dead_letters: tuple[DeadLetter, ...]
    total: int


class Chosen(BaseModel):
    """Dead letters by their MessageIDs, or all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message_ids: Annotated[tuple[str, ...], Field(max_length=MAX_IDS)] = ()
    everything: Annotated[bool, Field(alias="all")] = False

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        if bool(self.message_ids) == self.everything:
            raise ValueError("name message_ids, or all")
        return self

    @property
    def ids(self) -> tuple[str, ...] | None:
        return None if self.everything else self.message_ids


class Again(BaseModel):
    """How many messages are posted again from now on."""

    model_config = ConfigDict(frozen=True)

    messages: int


class Dropped(BaseModel):
    """How many dead letters are kept no more."""

    model_config = ConfigDict(frozen=True)

    messages: int


class SubscriberEntry(BaseModel):
    """A subscriber, and its events that are kept; those that are neither taken nor dead letters are owed. `target` is unset for one that is not configured any more."""

    model_config = ConfigDict(frozen=True)

    name: str
    target: str | None
    events: int
    taken: int
    dead_letters: int
    last_taken_at: Moment | None


class SubscriberList(BaseModel):
    """By name."""

    model_config = ConfigDict(frozen=True)

    subscribers: tuple[SubscriberEntry, ...]


class Replay(BaseModel):
    """Which events are sent again: those that were made since a moment, and before another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: AwareDatetime
    until: AwareDatetime = LATEST
