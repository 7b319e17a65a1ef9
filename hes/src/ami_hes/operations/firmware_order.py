"""The body of a command that brings a meter to another firmware: the image, and when it is to be activated."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from ami_dlms.obis import Obis
from ami_hes.store import StoredImage


@dataclass(frozen=True, slots=True)
class FirmwareOrder:
    """`activate_at`: None for at once."""

    identifier: str
    sha256: str
    size: int
    version: str
    version_object: str
    activate_at: datetime | None = None
    activates_alone: bool = False
    """Whether nothing is transferred: the meter has the image already, or it is not done."""

    @property
    def image_identifier(self) -> bytes:
        """As the meter gets it."""
        return self.identifier.encode()

    @property
    def shows_version(self) -> Obis:
        """The object of class 1 whose value is the version that runs."""
        return Obis.parse(self.version_object)


def order_of(
    image: StoredImage, activate_at: datetime | None = None, *, activates_alone: bool = False
) -> FirmwareOrder:
    """An order of this image."""
    about = (image.identifier, image.sha256, image.size, image.version, image.version_object)
    return FirmwareOrder(*about, activate_at, activates_alone)


def format_order(order: FirmwareOrder) -> str:
    """As the body of a command."""
    return _ORDERS.dump_json(order, exclude_none=True, exclude_defaults=True).decode()


def parse_order(body: str) -> FirmwareOrder:
    """Inverse of format_order."""
    return _ORDERS.validate_json(body)


_ORDERS: TypeAdapter[FirmwareOrder] = TypeAdapter(FirmwareOrder)
