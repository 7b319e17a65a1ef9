"""Outages and pings, as `/api/v1/outages` gives and takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ami_hes.api.values.campaigns import checked_group
from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.meters.registry import Registry
    from ami_hes.outages import Ping, Place, Report


MOST_LISTED = 1_000
"""Places in an answer, and names of the meters of each."""
MOST_NAMED = 1_000
Name = Annotated[str, Field(min_length=1, max_length=300)]


class OutageEntry(BaseModel):
    """A place without power: `dark` of its `meters` have said so, since the first of them."""

    model_config = ConfigDict(frozen=True)

    level: str
    place: str
    meters: int
    dark: int
    since: Moment
    names: tuple[str, ...]

    @classmethod
    def of(cls, place: Place, registry: Registry) -> Self:
        """The names of the first of its dark meters."""
        names = tuple(registry.name_of(one) or one for one in place.dark[:MOST_LISTED])
        return cls(
            level=place.level,
            place=place.name,
            meters=place.meters,
            dark=len(place.dark),
            since=place.since,
            names=names,
        )


class OutageList(BaseModel):
    """The outages of now, the largest first. `waiting` are events that are not made into messages yet, by their importance."""

    model_config = ConfigDict(frozen=True)

    outages: tuple[OutageEntry, ...]
    dark: int
    momentary: int
    sustained: int
    unverified: int
    waiting: tuple[int, ...]
    complete: bool

    @classmethod
    def of(cls, report: Report, waiting: Sequence[int], registry: Registry) -> Self:
        return cls(
            outages=tuple(OutageEntry.of(one, registry) for one in report.places[:MOST_LISTED]),
            dark=report.dark,
            momentary=report.momentary,
            sustained=report.sustained,
            unverified=len(report.unverified),
            waiting=tuple(waiting),
            complete=report.complete and len(report.places) <= MOST_LISTED,
        )


class PingOrder(BaseModel):
    """Which meters are asked, by name or mRID, or by TAG=VALUE of the registry; none named: those that are dark, or back by their own word alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meters: tuple[Name, ...] = Field(default=(), max_length=MOST_NAMED)
    groups: tuple[Annotated[Name, AfterValidator(checked_group)], ...] = Field(default=(), max_length=MOST_NAMED)


class Silent(BaseModel):
    """A meter that did not answer, and the reply code that says why."""

    model_config = ConfigDict(frozen=True)

    meter: str
    code: str


class PingAnswer(BaseModel):
    """Who has answered; `restored` are those of them that were dark or not asked since they said that they were back."""

    model_config = ConfigDict(frozen=True)

    answered: tuple[str, ...]
    silent: tuple[Silent, ...]
    restored: tuple[str, ...]

    @classmethod
    def of(cls, ping: Ping, registry: Registry) -> Self:
        def names(mrids: Sequence[str]) -> tuple[str, ...]:
            return tuple(registry.name_of(one) or one for one in mrids)

        silent = tuple(Silent(meter=registry.name_of(mrid) or mrid, code=code) for mrid, code in ping.silent)
        return cls(answered=names(ping.answered), silent=silent, restored=names(ping.restored))
