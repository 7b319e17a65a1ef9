"""What a meter shows of its image transfer (class 18) and of its schedule (class 22), and the requests that are made of them.

Nothing here decides what is done next (`transfer_firmware`), and nothing that a meter shows is taken for more than it is.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, unique

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_hes.meters import GetRefused, MeterFault, Session
from ami_mapping.recipes.moments import TIME, local_octets, shown_moment
from ami_mapping.recipes.steps import Stopped

IMAGE_TRANSFER = Obis.parse("0-0:44.0.0*255")
SCHEDULE = Obis.parse("0-0:15.0.2*255")
"""The single action schedule of image activation."""
INITIATE, TRANSFER_BLOCK, VERIFY, ACTIVATE = (MethodDescriptor(18, IMAGE_TRANSFER, number) for number in range(1, 5))
ENABLED = AttributeDescriptor(18, IMAGE_TRANSFER, 5)
EXECUTION_TIME = AttributeDescriptor(22, SCHEDULE, 4)
EXECUTED_SCRIPT = AttributeDescriptor(22, SCHEDULE, 2)
SCRIPTS = Obis.parse("0-0:10.0.107*255")
"""The script table of image activation, whose script 1 activates."""
NOTHING = data.integer(0)
"""The parameter of image_verify and image_activate."""
_SHOWN = tuple(AttributeDescriptor(18, IMAGE_TRANSFER, number) for number in range(2, 8))
LARGEST_BLOCK, MOST_BLOCKS = 2**16, 2**18
_TIME_SHOWN, _DATE_SHOWN = 3, 4
"""Octets of a time and a date that a meter gives back as they were written: hundredths and the day of the week it may know better."""


@unique
class ImageTransferStatus(IntEnum):
    """image_transfer_status."""

    NOT_INITIATED = 0
    INITIATED = 1
    VERIFICATION_INITIATED = 2
    VERIFICATION_SUCCESSFUL = 3
    VERIFICATION_FAILED = 4
    ACTIVATION_INITIATED = 5
    ACTIVATION_SUCCESSFUL = 6
    ACTIVATION_FAILED = 7


RUNNING = frozenset({ImageTransferStatus.VERIFICATION_INITIATED, ImageTransferStatus.ACTIVATION_INITIATED})
TAKES_BLOCKS = frozenset({ImageTransferStatus.INITIATED, ImageTransferStatus.VERIFICATION_FAILED})


@dataclass(frozen=True, slots=True)
class ImageState:
    """What the meter shows now."""

    block_size: int
    enabled: bool
    status: ImageTransferStatus
    first_missing: int
    there: tuple[bool, ...]
    """image_transferred_blocks_status; empty where the meter does not give it."""
    to_activate: tuple[tuple[int, bytes], ...]
    """Size and identification of the images that were verified."""

    def missing(self, blocks: int) -> list[int]:
        """Numbers of blocks of an image of so many that the meter has not; those behind the first one, where it does not say it of each."""
        if len(self.there) == blocks:
            return [number for number, there in enumerate(self.there) if not there]
        return list(range(min(self.first_missing, blocks), blocks))

    def names(self, identifier: bytes, size: int, named: bytes | None = None) -> bool:
        """Whether what was verified is this image, which a meter may call otherwise (`named`); one that names none leaves it to us."""
        return not self.to_activate or any((size, one) in self.to_activate for one in (identifier, named))

    def other_name(self, size: int) -> bytes | None:
        """What the meter calls the one image of this size that it names; None where that is none or several."""
        found = [name for of_size, name in self.to_activate if of_size == size]
        return found[0] if len(found) == 1 else None


async def read_state(session: Session) -> ImageState:
    """Raises MeterFault; GetRefused where the meter has no image transfer that we may read."""
    block_size, bits, first, enabled, status, info = await session.get_each(*_SHOWN)
    for refused in (block_size, first, enabled, status):
        if isinstance(refused, GetRefused):
            raise refused
    state = ImageState(
        block_size=_number(block_size, LARGEST_BLOCK),
        enabled=_value(enabled) is True,
        status=_status(status),
        first_missing=_number(first, 2**32),
        there=_bits(bits),
        to_activate=_images(info),
    )
    if not state.block_size:
        raise MeterFault("firmware", "unsuitable", detail="its image_block_size is 0")
    return state


def initiate_parameters(identifier: bytes, size: int) -> Data:
    """Of image_transfer_initiate."""
    return data.structure(data.octet_string(identifier), data.double_long_unsigned(size))


def block_parameters(number: int, octets: bytes) -> Data:
    """Of image_block_transfer."""
    return data.structure(data.double_long_unsigned(number), data.octet_string(octets))


async def execution_time(session: Session, at: datetime | None) -> Data:
    """Attribute 4 of the schedule: nothing, or this moment by the deviation that the meter's clock shows now (M-145)."""
    if at is None:
        return data.array()
    shown = shown_moment(await session.get(TIME))
    if shown is None or shown.deviation_minutes is None:
        raise MeterFault(
            "firmware", "unsuitable", detail="its clock shows no deviation from UTC: its local time is not known"
        )
    try:
        octets = local_octets(at, shown.deviation_minutes)
    except Stopped as stopped:
        raise MeterFault("firmware", "unsuitable", detail=stopped.detail) from None
    return data.array(data.structure(data.octet_string(octets[5:9]), data.octet_string(octets[:5])))


async def check_script(session: Session) -> None:
    """The schedule has to execute the activation; one that does not show what it executes is taken at its name. Raises MeterFault."""
    try:
        shown = await session.get(EXECUTED_SCRIPT)
    except GetRefused:
        return
    parts = shown.value if isinstance(shown.value, tuple) else ()
    if [one.value for one in parts if isinstance(one, Data)] != [SCRIPTS, 1]:
        detail = f"its schedule of image activation {SCHEDULE} executes another script than 1 of {SCRIPTS}"
        raise MeterFault("firmware", "unsuitable", detail=detail)


def same_times(shown: Data, written: Data) -> bool:
    """Whether a schedule shows what was written."""
    return _times(shown) == _times(written)


def _times(value: Data) -> list[tuple[bytes, bytes]] | None:
    if not isinstance(value.value, tuple):
        return None
    times = []
    for entry in value.value:
        parts = entry.value if isinstance(entry, Data) else None
        if not isinstance(parts, tuple) or len(parts) != 2 or not all(isinstance(one.value, bytes) for one in parts):
            return None
        times.append((parts[0].value[:_TIME_SHOWN], parts[1].value[:_DATE_SHOWN]))
    return times


def _value(shown: Data | GetRefused) -> object:
    return None if isinstance(shown, GetRefused) else shown.value


def _number(shown: Data | GetRefused, most: int) -> int:
    value = _value(shown)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise MeterFault("data-access-result", "unexpected-value", where="reading the image transfer")
    return int(value)


def _status(shown: Data | GetRefused) -> ImageTransferStatus:
    number = _number(shown, max(ImageTransferStatus))
    return ImageTransferStatus(number)


def _bits(shown: Data | GetRefused) -> tuple[bool, ...]:
    value = _value(shown)
    if not isinstance(value, tuple) or not all(isinstance(bit, bool) for bit in value):
        return ()
    return value


def _images(shown: Data | GetRefused) -> tuple[tuple[int, bytes], ...]:
    """What it names readably."""
    value = _value(shown)
    found = []
    for entry in value if isinstance(value, tuple) else ():
        parts = entry.value if isinstance(entry, Data) else None
        if isinstance(parts, tuple) and len(parts) >= 2 and isinstance(parts[1].value, bytes):
            found.append((parts[0].value, parts[1].value))
    return tuple(found)
