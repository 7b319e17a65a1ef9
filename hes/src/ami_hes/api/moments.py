"""Times in answers: with the offset of `hes.time_zone`, whatever zone they are kept in."""

from datetime import tzinfo

from pydantic import BaseModel
from starlette.responses import Response

from ami_hes.api.values.moments import ZONE
from ami_process.api import JSON


def given(value: BaseModel, zone: tzinfo) -> Response:
    """An answer, its times in this zone."""
    return Response(value.model_dump_json(context={ZONE: zone}), media_type=JSON)
