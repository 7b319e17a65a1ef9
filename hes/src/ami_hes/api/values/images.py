"""Firmware images, as `/api/v1/images` takes and gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.store import ImageProgress


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
