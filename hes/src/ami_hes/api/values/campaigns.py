"""Campaigns as `/api/v1/campaigns` takes and gives them."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from ami_hes.api.values.moments import Moment
from ami_hes.campaign_size import MOST_METERS

if TYPE_CHECKING:
    from ami_hes.store import CampaignLine


MOST_FAILURES = 1_000
MOST_NAMED = 1_000


def checked_group(value: str) -> str:
    """TAG=VALUE; ValueError for anything else."""
    tag, _, wanted = value.partition("=")
    if not (tag and wanted):
        raise ValueError("TAG=VALUE was expected, as feeder=F12")
    return value


class WhichKey(StrEnum):
    """A key of a meter, as an operator calls it."""

    ENCRYPTION = "encryption"
    AUTHENTICATION = "authentication"
    SECRET = "secret"  # noqa: S105  # what it is called
    MASTER = "master"

    @property
    def field(self) -> str:
        """Of the meter's entry."""
        return self.value if self is WhichKey.SECRET else f"{self.value}_key"


class Chosen(BaseModel):
    """Meters (names or mRIDs) or a group of them; `within_hours`: by when each has to have an end; `at_once`: how many are under way at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meters: Annotated[tuple[str, ...], Field(max_length=MOST_NAMED)] = ()
    group: Annotated[str | None, AfterValidator(lambda one: one and checked_group(one))] = None
    within_hours: Annotated[float, Field(gt=0, le=60 * 24)] = 7 * 24.0
    at_once: Annotated[int | None, Field(ge=1, le=MOST_METERS)] = None

    @property
    def within(self) -> timedelta:
        return timedelta(hours=self.within_hours)


class EventLogOrder(Chosen):
    """Meters whose event logs are read; `whole`: also what was read before."""

    whole: bool = False
    within_hours: Annotated[float, Field(gt=0, le=60 * 24)] = 24.0


class KeyRoll(Chosen):
    """Keys to be changed."""

    key: WhichKey = WhichKey.ENCRYPTION


class FirmwareStart(Chosen):
    """Meters to be brought to an image; `activate_at`: None for each as soon as it has verified it."""

    image: str
    activate_at: AwareDatetime | None = None


class Failure(BaseModel):
    """A meter at which it was not done, and why."""

    model_config = ConfigDict(frozen=True)

    meter: str
    reply_code: str | None
    reason: str | None


class Transfer(BaseModel):
    """A meter on its way to another firmware: `there` of so many blocks of the image it had when it was asked last."""

    model_config = ConfigDict(frozen=True)

    meter: str
    stage: str
    blocks: int
    there: int
    percent: float


class Campaign(BaseModel):
    """A campaign; `done` counts meters with whatever end. Where one campaign is asked for, `failures` are the first of them, and `transfers` the first meters that have a part of an image and no end; `blocks_percent` is the share of blocks that are there, of all meters of a firmware campaign."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    summary: str
    state: str
    created_at: Moment
    meters: int
    done: int
    ok: int
    failed: int
    percent: float
    blocks_percent: float | None = None
    failures: tuple[Failure, ...] = ()
    transfers: tuple[Transfer, ...] = ()

    @classmethod
    def of(cls, line: CampaignLine, **more: Any) -> Self:
        one = line.campaign
        ended = line.done == line.meters and one.state != "cancelled"
        return cls(
            id=one.campaign_id,
            kind=one.kind,
            summary=one.summary,
            state="ended" if ended else str(one.state),
            created_at=one.created_at,
            meters=line.meters,
            done=line.done,
            ok=line.ok,
            failed=line.done - line.ok,
            percent=int(1000 * line.done / line.meters) / 10,
            **more,
        )


class CampaignList(BaseModel):
    """Campaigns, the latest first."""

    model_config = ConfigDict(frozen=True)

    campaigns: tuple[Campaign, ...]
