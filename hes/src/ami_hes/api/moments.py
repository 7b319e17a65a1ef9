"""Times in answers: with the offset of `hes.time_zone`, whatever zone they are kept in."""

from datetime import datetime, tzinfo
from typing import Annotated

from pydantic import BaseModel, PlainSerializer, SerializationInfo
from starlette.responses import Response

from ami_process.api import JSON

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


def given(value: BaseModel, zone: tzinfo) -> Response:
    """An answer, its times in this zone."""
    return Response(value.model_dump_json(context={ZONE: zone}), media_type=JSON)
