"""The narrow port to the store of firmware images and of what is known of their transfers, and the plain values that pass through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A firmware image; its octets are beside it."""

    identifier: str
    """image_identifier, which image_transfer_initiate says (class 18): 1 to 64 octets of UTF-8."""
    version: str
    """What a meter shows that runs it."""
    version_object: str
    """Where: the logical name of the object of class 1, as 1-0:0.2.0*255."""
    size: int
    """In octets."""
    sha256: str
    """Of all octets, in hexadecimal."""
    imported_at: datetime
    complete: bool = False
    """Whether all octets are there and have this digest."""


class ImageExists(Exception):
    """There is another image of this identifier."""


class WrongPart(Exception):
    """Octets that are not the next ones of an image, or that make another one of it; the text says why."""


@dataclass(frozen=True, slots=True)
class ImageProgress:
    """An image, and how many of its octets are there."""

    image: StoredImage
    octets: int


class TransferStage(StrEnum):
    """What was ordered of a meter last, before it left. The store keeps the word."""

    INITIATING = "initiating"
    """Whether the meter has begun anew is not known."""
    TRANSFERRING = "transferring"
    """The meter has begun anew with this image: what it has of one is of this one."""
    SCHEDULING = "scheduling"
    SCHEDULED = "scheduled"
    """The meter has shown the time."""
    ACTIVATING = "activating"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTransfer:
    """The image that a meter has in its image memory, as far as we know, and how far it is."""

    mrid: str
    request_id: str
    """Which campaign has put it there, or goes on with it."""
    identifier: str
    sha256: str
    """Of the image."""
    stage: TransferStage
    blocks: int
    there: int
    """Blocks that the meter had when it was asked last."""
    stuck: int = 0
    """How often in a row blocks were sent that the meter had not in the end."""
    refusals: int = 0
    """How often its verification failed, over this request."""
    changed_at: datetime
    """When the meter came a step further."""
    named: str | None = None
    """What the meter calls this image since it has verified it, in hexadecimal; None: not seen yet."""


class FirmwareStore(Protocol):
    """Images and transfers. Every method has committed when it returns, or raises StoreUnavailable."""

    async def declare(self, image: StoredImage) -> ImageProgress:
        """Keep an image without its octets; one that is there already is given with what it has. Raises ImageExists."""

    async def add_part(self, identifier: str, offset: int, octets: bytes) -> ImageProgress:
        """Keep the next octets; those that are there are a success. Raises LookupError and WrongPart.

        With the last of them the image is complete, unless its digest is another one: then all of its octets are dropped.
        """

    async def images(self) -> Sequence[ImageProgress]:
        """All of them, by identifier."""

    async def image(self, identifier: str) -> ImageProgress | None: ...

    async def remove(self, identifier: str) -> bool:
        """False if there is none."""

    async def octets(self, identifier: str, sha256: str) -> bytes | None:
        """Those of a complete image with this digest."""

    async def transfer(self, mrid: str) -> StoredTransfer | None: ...

    async def keep_transfer(self, transfer: StoredTransfer) -> None:
        """In place of what was known of the meter."""

    async def under_way(self, request_id: str, limit: int) -> Sequence[tuple[str, StoredTransfer]]:
        """Those of a campaign, at meters that have no end, in the order of its commands; each with the meter's name."""

    async def shares(self, request_id: str) -> float:
        """The sum over a campaign's meters, of the part of the image that is there: 1 for each that has the version."""
