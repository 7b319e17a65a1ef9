"""Requests, usage points and what changes of them, as `/api/v1/requests`, `/api/v1/usage-points` and `/api/v1/live` give them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from ami_cim.control_names import name_of
from ami_cim.reading_type_words import describe
from ami_cis.api_values.device_events import DeviceEvent
from ami_cis.meters import Place, Switch

if TYPE_CHECKING:
    from ami_cis.standings import Standing
    from ami_cis.store import RequestLine


REQUESTS = "/api/v1/requests"
REQUEST = f"{REQUESTS}/{{message_id:path}}"
USAGE_POINTS = "/api/v1/usage-points"
LIVE = "/api/v1/live"


class RequestError(BaseModel):
    """An error of a reply; `meter` is the name by which the request named it, where it is about one."""

    model_config = ConfigDict(frozen=True)

    code: str | None
    reason: str | None
    meter: str | None


class RequestEntry(BaseModel):
    """A request; `control` is its code in a word, `words` are the ReadingTypes of one that reads, `meters` are counted, `failed` those of them that an error is about. `state` is that of the exchange, `result` that of the latest reply."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    verb: str
    noun: str
    code: str
    control: str | None
    words: str | None
    meters: int
    failed: int
    asynchronous: bool
    sent_at: datetime
    state: Literal["sent", "acknowledged", "failed", "unknown", "answered"]
    reason: str | None
    result: str | None
    replied_at: datetime | None

    @classmethod
    def of(cls, line: RequestLine, zone: ZoneInfo) -> Self:
        failing = {one["meter"] for one in line.errors if one["meter"] and not (one["code"] or "").startswith("0.")}
        of_all = line.result == "FAILED" and not failing
        return cls.model_validate(
            line._asdict()
            | {
                "control": name_of(line.code),
                "words": _in_words(line.code),
                "meters": len(line.meters),
                "failed": len(line.meters) if of_all else len(failing),
                "sent_at": line.sent_at.astimezone(zone),
                "replied_at": None if line.replied_at is None else line.replied_at.astimezone(zone),
            }
        )


class RequestList(BaseModel):
    """The latest first; `next` is what to ask for `before` to have older ones, where there may be some."""

    model_config = ConfigDict(frozen=True)

    requests: tuple[RequestEntry, ...]
    next: str | None


class RequestDetails(BaseModel):
    """A request, whom it was for, and the errors of its latest reply."""

    model_config = ConfigDict(frozen=True)

    request: RequestEntry
    meters: tuple[str, ...]
    errors: tuple[RequestError, ...]


class UsagePoint(BaseModel):
    """A meter and its usage points: what its switch and its power were when the CIS was told last (unset: never), how the latest request to it ended, and where the usage point is."""

    model_config = ConfigDict(frozen=True)

    meter: str
    mrid: str | None
    usage_points: tuple[str, ...]
    switch: Switch | None
    switched_at: datetime | None
    powered: bool | None
    power_at: datetime | None
    answered: bool | None
    asked_at: datetime | None
    code: str | None
    reason: str | None
    requests: int
    failures: int
    place: Place | None

    @classmethod
    def of(cls, one: Standing, zone: ZoneInfo) -> Self:
        found = {name: getattr(one, name) for name in cls.model_fields}
        return cls(**{name: _home(value, zone) for name, value in found.items()})


class UsagePointList(BaseModel):
    """In the order of the configuration; `next` is the offset of those behind them, where there are more."""

    model_config = ConfigDict(frozen=True)

    usage_points: tuple[UsagePoint, ...]
    total: int
    next: int | None


class ChangesFrame(BaseModel):
    """What has changed since the previous frame; `more_events`: there are more events than this frame lists; `acknowledged`: events that somebody has acknowledged."""

    model_config = ConfigDict(frozen=True)

    requests: tuple[RequestEntry, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    events: tuple[DeviceEvent, ...] = ()
    more_events: bool = False
    acknowledged: tuple[DeviceEvent, ...] = ()


def _home(value: Any, zone: ZoneInfo) -> Any:
    return value.astimezone(zone) if isinstance(value, datetime) else value


_READING_TYPE = re.compile(r"(?:-?\d{1,6}\.){17}-?\d{1,6}", re.ASCII)


def _in_words(code: str) -> str | None:
    """The ReadingTypes of a request that reads; None where there are none."""
    return "; ".join(describe(one) for one in _READING_TYPE.findall(code)) or None
