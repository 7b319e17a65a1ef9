"""A field with a time: in an answer with the offset of `hes.time_zone`, whatever zone it is kept in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import PlainSerializer, SerializationInfo

ZONE = "zone"


def _shown(moment: datetime | None, info: SerializationInfo) -> datetime | None:
    zone = (info.context or {}).get(ZONE)
    if moment is None or zone is None:
        return moment
    try:
        return moment.astimezone(zone)
    except OverflowError:  # the first and the last day that there are
        return moment


Moment = Annotated[datetime, PlainSerializer(_shown, return_type=datetime)]
"""A field with a time."""
