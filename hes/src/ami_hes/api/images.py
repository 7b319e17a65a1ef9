"""`/api/v1/images`: firmware images; declared, filled part by part as bodies of requests are bounded, listed, shown, removed."""

import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import tzinfo
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_hes.api import paths, query
from ami_hes.api.moments import Moment, given
from ami_hes.operations import firmware_order, transfer_firmware
from ami_hes.store import FirmwareStore, ImageExists, ImageProgress, StoredImage, WrongPart
from ami_hes.store.history import SqlHistory
from ami_process.api import ApiRefused, read_body
from ami_process.environment import Environment
from ami_process.query_parameters import check_known

MOST_OCTETS = 16 * 2**20
"""Of an image."""
PART_OCTETS = 65_536
"""Of a part; as base64 it fits into a body."""
MOST_IDENTIFIER = 64
ACTIVE_FIRMWARE = "1-0:0.2.0"
"""Active firmware identifier: where most meters show their version."""


def _identifier(value: str) -> str:
    if not 0 < len(value.encode()) <= MOST_IDENTIFIER or not value.isprintable():
        raise ValueError(f"1 to {MOST_IDENTIFIER} octets of printable text were expected")
    return value


def _obis(value: str) -> str:
    try:
        return str(Obis.parse(value))
    except (DecodeError, LocalError, ValueError):
        raise ValueError(f"an OBIS code was expected, as {ACTIVE_FIRMWARE}") from None


class ImageOrder(BaseModel):
    """An image that is to come: `version` is what a meter shows that runs it, in the object (class 1) `version_object`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identifier: Annotated[str, AfterValidator(_identifier)]
    version: Annotated[str, Field(min_length=1, max_length=100)]
    version_object: Annotated[str, AfterValidator(_obis)] = Field(default=ACTIVE_FIRMWARE, validate_default=True)
    size: Annotated[int, Field(gt=0, le=MOST_OCTETS)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ImagePart(BaseModel):
    """The next octets of an image, from `offset` on, as base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: Annotated[int, Field(ge=0, lt=MOST_OCTETS)]
    octets: str


class Image(BaseModel):
    """An image; `octets` of it are there, and it is `complete` when all of them are and have the digest."""

    model_config = ConfigDict(frozen=True)

    identifier: str
    version: str
    version_object: str
    size: int
    sha256: str
    imported_at: Moment
    octets: int
    complete: bool

    @classmethod
    def of(cls, progress: ImageProgress) -> Self:
        one = progress.image
        return cls(
            identifier=one.identifier,
            version=one.version,
            version_object=one.version_object,
            size=one.size,
            sha256=one.sha256,
            imported_at=one.imported_at,
            octets=progress.octets,
            complete=one.complete,
        )


class ImageList(BaseModel):
    """All images."""

    model_config = ConfigDict(frozen=True)

    images: tuple[Image, ...]


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
