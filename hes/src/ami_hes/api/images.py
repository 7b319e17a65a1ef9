"""`/api/v1/images`: firmware images; declared, filled part by part as bodies of requests are bounded, listed, shown, removed."""

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import tzinfo
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.images import PART_OCTETS, Image, ImageList, ImageOrder, ImagePart
from ami_hes.operations import firmware_order, transfer_firmware
from ami_hes.store import FirmwareStore, ImageExists, ImageProgress, StoredImage, WrongPart
from ami_hes.store.history import SqlHistory
from ami_process.api import ApiRefused, read_body
from ami_process.environment import Environment
from ami_process.query_parameters import check_known


def image_routes(
    store: FirmwareStore, history: SqlHistory, environment: Environment, ordering: asyncio.Lock, zone: tzinfo
) -> list[Route]:
    """GET lists and shows, POST declares and fills, DELETE removes. `ordering`: that of campaigns of firmware. `zone`: in which times are given."""
    images = _Images(store, history, environment, ordering, zone)
    return [
        Route(paths.IMAGES, images.list, methods=["GET"]),
        Route(paths.IMAGES, images.declare, methods=["POST"]),
        Route(paths.IMAGE_PARTS, images.add, methods=["POST"]),
        Route(paths.IMAGE, images.show, methods=["GET"]),
        Route(paths.IMAGE, images.remove, methods=["DELETE"]),
    ]


class _Images:
    """What each route answers."""

    def __init__(
        self, store: FirmwareStore, history: SqlHistory, environment: Environment, ordering: asyncio.Lock, zone: tzinfo
    ) -> None:
        self._store = store
        self._ordering = ordering
        self._history = history
        self._environment = environment
        self._zone = zone

    async def list(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            found = await self._store.images()
        return given(ImageList(images=tuple(map(Image.of, found))), self._zone)

    async def declare(self, request: Request) -> Response:
        order = await read_body(request, ImageOrder)
        image = StoredImage(**order.model_dump(), imported_at=self._environment.now())
        try:
            with query.looking():
                progress = await self._store.declare(image)
        except ImageExists:
            reason = f"there is another image {order.identifier}; remove it first, or use another identifier"
            raise ApiRefused(HTTPStatus.CONFLICT, reason) from None
        return given(Image.of(progress), self._zone)

    async def add(self, request: Request) -> Response:
        identifier = request.path_params["identifier"]
        part = await read_body(request, ImagePart)
        octets = _decoded(part.octets)
        try:
            with query.looking():
                progress = await self._store.add_part(identifier, part.offset, octets)
        except LookupError:
            raise _unknown(identifier) from None
        except WrongPart as problem:
            raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
        return given(Image.of(progress), self._zone)

    async def show(self, request: Request) -> Response:
        check_known(request, ())
        return given(Image.of(await self._found(request)), self._zone)

    async def remove(self, request: Request) -> Response:
        progress = await self._found(request)
        identifier = progress.image.identifier
        async with self._ordering:
            await self._remove(identifier)
        return given(Image.of(progress), self._zone)

    async def _remove(self, identifier: str) -> None:
        """Raises ApiRefused for one that a campaign has yet to bring to meters."""
        with query.looking():
            bodies = await self._history.open_bodies(transfer_firmware.NAME)
            if any(firmware_order.parse_order(body).identifier == identifier for body in bodies):
                reason = f"meters of a campaign have yet to get {identifier}; cancel it first"
                raise ApiRefused(HTTPStatus.CONFLICT, reason)
            await self._store.remove(identifier)

    async def _found(self, request: Request) -> ImageProgress:
        identifier = request.path_params["identifier"]
        with query.looking():
            found = await self._store.image(identifier)
        if found is None:
            raise _unknown(identifier)
        return found


def _decoded(text: str) -> bytes:
    try:
        octets = b64decode(text, validate=True)
    except Base64Error:
        octets = b""
    if not 0 < len(octets) <= PART_OCTETS:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, f"octets: 1 to {PART_OCTETS} octets as base64 were expected")
    return octets


def _unknown(identifier: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.NOT_FOUND, f"there is no image {identifier[:100]}")
