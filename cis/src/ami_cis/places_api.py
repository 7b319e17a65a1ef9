"""`/api/v1/places`: where usage points are. POST says it of some, DELETE takes it back for one; `GET /api/v1/usage-points` shows it.

The CIS alone knows places. What the configuration says of a usage point counts again at the next start; of others it stays as it was said here.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cis.meters import Meter, Place
from ami_cis.standings import Standings
from ami_cis.store import KeptPlace, Store, StoreUnavailable
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known

PLACES = "/api/v1/places"
PLACE = f"{PLACES}/{{name:path}}"
MAX_PLACES = 1_000
MOST_NAMED = 5
"""Usage points that a refusal names."""


class PlaceOf(Place):
    """A place and the usage point that is there, by any of its names."""

    usage_point: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PlacesSaid(BaseModel):
    """Where some usage points are; all of them are taken or none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    places: tuple[PlaceOf, ...] = Field(min_length=1, max_length=MAX_PLACES)


class PlacesKept(BaseModel):
    """How many usage points have a place by this, or have it no more."""

    usage_points: int


def place_routes(store: Store, standings: Standings, now: Callable[[], datetime]) -> list[Route]:
    """POST says where, DELETE takes it back."""

    async def say(request: Request) -> Response:
        said = await read_body(request, PlacesSaid)
        names = [standings.usage_point(one.usage_point) for one in said.places]
        if unknown := [one.usage_point for one, name in zip(said.places, names, strict=True) if name is None]:
            more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
            raise ApiRefused(
                HTTPStatus.NOT_FOUND,
                f"the CIS knows no usage point {', '.join(unknown[:MOST_NAMED])}{more}; nothing was kept",
            )
        at = now()
        places = {
            name: KeptPlace(name, one.latitude, one.longitude, one.main_address, at)
            for name, one in zip(names, said.places, strict=True)
            if name is not None
        }
        try:
            await store.keep_places(list(places.values()))
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        standings.take_places(places.values())
        return answer_of(PlacesKept(usage_points=len(places)))

    async def take_back(request: Request) -> Response:
        check_known(request, ())
        asked = request.path_params["name"]
        name = standings.usage_point(asked)
        if name is None:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"the CIS knows no usage point {asked[:100]}")
        try:
            there = await store.forget_place(name)
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        standings.forget_place(name)
        return answer_of(PlacesKept(usage_points=int(there)))

    return [Route(PLACES, say, methods=["POST"]), Route(PLACE, take_back, methods=["DELETE"])]


async def load_places(store: Store, standings: Standings, meters: Sequence[Meter], now: datetime) -> None:
    """Keep what the configuration says and is not kept so, and have the standings know all places. Raises StoreUnavailable."""
    kept = {one.usage_point: one for one in await store.places()}
    changed = []
    for meter in meters:
        if (place := meter.place) is not None:
            said = KeptPlace(meter.usage_points[0], place.latitude, place.longitude, place.main_address, now)
            before = kept.get(said.usage_point)
            if before is None or before._replace(said_at=now) != said:
                changed.append(said)
    await store.keep_places(changed)
    standings.take_places((kept | {one.usage_point: one for one in changed}).values())
    standings.changed.clear()
