"""Image transfer (class 18): firmware in blocks, verified, activated at once or by a schedule, and a restart into the new version.

Strategy: a meter keeps which blocks it has and a running checksum (`firmware`), and what it is doing until when. Verification and
activation take as long as the model says; while they do, the method answers temporary-failure and the status says it, and they end
at their own instant even when the process was away in between. The new version and the status after it are one change, so
that a meter has the old firmware or the new one and nothing else.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum, unique
from typing import TYPE_CHECKING, ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import ActionRefused, Options
from ami_meter_sim.objects.firmware import Transfer
from ami_meter_sim.objects.kept_object import parameter
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.shapes import UINT32, Number, Octets, Structure, boolean
from ami_meter_sim.objects.timed import TimedObject
from ami_packs.event_list import Occurrence

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

IMAGE_TRANSFER = Obis.parse("0-0:44.0.0")
MOST_OCTETS_OF_AN_IMAGE = 16 * 2**20
MOST_BLOCKS = 2**14
MOST_OCTETS_OF_AN_IDENTIFIER = 64
MOST_OCTETS_OF_A_BLOCK = 2**16
INITIATE = Structure(
    Octets(most=MOST_OCTETS_OF_AN_IDENTIFIER),
    Number(DataTag.DOUBLE_LONG_UNSIGNED, range(1, MOST_OCTETS_OF_AN_IMAGE + 1)),
)
BLOCK = Structure(UINT32, Octets(most=MOST_OCTETS_OF_A_BLOCK))
DATA, VALUE = 1, 2
TRANSFER, DUE_AT, ACTIVE_FIRMWARE = -1, -2, -3
"""What the object keeps for itself."""


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


class ImageTransfer(TimedObject):
    """The parameter of image_verify and image_activate, integer (0), means nothing."""

    __slots__ = ()

    class_id, version = 18, 0
    options: ClassVar[Options] = {
        "verification_s": 0,
        "activation_s": 0,
        "firmware": "1.0",
        "version_object": "",
        "activation_fails": False,
    }
    """How long verification and activation take, which firmware a new meter has, the object (class 1) that shows the version once
    another one was activated, and whether an activation ever succeeds."""
    initial: ClassVar = {
        "image_block_size": data.double_long_unsigned(512),
        "image_transfer_enabled": data.boolean(True),
        "image_transfer_status": data.enum(ImageTransferStatus.NOT_INITIATED),
        "image_to_activate_info": data.array(),
    }
    writable: ClassVar = {"image_transfer_enabled": boolean}
    reads: ClassVar = {
        "image_transferred_blocks_status": lambda self, _: self._blocks_status(),
        "image_first_not_transferred_block_number": lambda self, _: (
            0 if self._transfer is None else self._transfer.first_missing
        ),
    }
    methods: ClassVar = {
        "image_transfer_initiate": lambda self, given: self._initiate(parameter(given, INITIATE)),
        "image_block_transfer": lambda self, given: self._take_block(parameter(given, BLOCK)),
        "image_verify": lambda self, _: self._verify(),
        "image_activate": lambda self, _: self._activate(),
    }

    # --- what there is

    @property
    def status(self) -> ImageTransferStatus:
        """As image_transfer_status shows it."""
        return ImageTransferStatus(self.value("image_transfer_status").value)

    @property
    def firmware(self) -> bytes:
        """The version that runs."""
        kept = self.remembered(ACTIVE_FIRMWARE)
        return self.option("firmware").encode() if kept is None else bytes(kept.value)

    @property
    def _transfer(self) -> Transfer | None:
        kept = self.remembered(TRANSFER)
        return None if kept is None else Transfer.decode(kept)

    @property
    def _failed(self) -> bool:
        return self.status in (ImageTransferStatus.VERIFICATION_FAILED, ImageTransferStatus.ACTIVATION_FAILED)

    def _blocks_status(self) -> tuple[bool, ...]:
        transfer = self._transfer
        return () if transfer is None else tuple([transfer.has(number) for number in range(transfer.blocks)])

    def _move(self, status: ImageTransferStatus) -> None:
        self.change("image_transfer_status", data.enum(status))

    def _begun(self) -> Transfer:
        """The transfer that a method is about."""
        if not self.value("image_transfer_enabled").value:
            raise ActionRefused(ActionResult.READ_WRITE_DENIED)
        if self.status in RUNNING:
            raise ActionRefused(ActionResult.TEMPORARY_FAILURE)
        transfer = self._transfer
        if transfer is None:
            raise ActionRefused(ActionResult.OTHER_REASON)
        return transfer

    # --- methods

    def _initiate(self, given: Data) -> None:
        """Begin anew: whatever was transferred before is gone."""
        if not self.value("image_transfer_enabled").value:
            raise ActionRefused(ActionResult.READ_WRITE_DENIED)
        if self.status in RUNNING:
            raise ActionRefused(ActionResult.TEMPORARY_FAILURE)
        identifier, size = (part.value for part in given.value)
        transfer = Transfer(identifier, size, self.value("image_block_size").value)
        if transfer.blocks > MOST_BLOCKS:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.remember(TRANSFER, transfer.encode())
        self.change("image_to_activate_info", data.array())
        self._move(ImageTransferStatus.INITIATED)

    def _take_block(self, given: Data) -> None:
        """A block that is there already is a success and changes nothing."""
        transfer = self._begun()
        number, octets = (part.value for part in given.value)
        if self.status not in TAKES_BLOCKS or number >= transfer.blocks or len(octets) != transfer.length_of(number):
            raise ActionRefused(ActionResult.OTHER_REASON)
        if not transfer.has(number):
            self.remember(TRANSFER, transfer.with_block(number, octets).encode())

    def _verify(self) -> None:
        transfer = self._begun()
        if self.status is ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            return
        if self.status not in TAKES_BLOCKS:
            raise ActionRefused(ActionResult.OTHER_REASON)
        if not transfer.complete:
            self._end_verification()
        else:
            self._run(ImageTransferStatus.VERIFICATION_INITIATED, self.option("verification_s"), self._end_verification)
        if self._failed:
            raise ActionRefused(ActionResult.OTHER_REASON)

    def _activate(self) -> None:
        self._begun()
        if self.status is not ImageTransferStatus.VERIFICATION_SUCCESSFUL:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._run(ImageTransferStatus.ACTIVATION_INITIATED, self.option("activation_s"), self._end_activation)
        if self._failed:
            raise ActionRefused(ActionResult.OTHER_REASON)

    def _run(self, status: ImageTransferStatus, seconds: int, end: Callable[[], None]) -> None:
        """Do it now, or say when it will be done."""
        if not seconds:
            end()
            return
        due_at = int(self.device.clock.at.timestamp()) + seconds
        self.remember(DUE_AT, data.double_long_unsigned(due_at))
        self._move(status)
        raise ActionRefused(ActionResult.TEMPORARY_FAILURE)

    # --- in time

    def next_due(self, after: datetime) -> datetime | None:
        """When what is running ends; what should have ended already ends as soon as may be."""
        kept = self.remembered(DUE_AT)
        if kept is None or self.status not in RUNNING:
            return None
        return max(datetime.fromtimestamp(kept.value, UTC), after + timedelta(seconds=1))

    def advance(self, at: datetime) -> bool:
        """End what was running."""
        end = (
            self._end_verification
            if self.status is ImageTransferStatus.VERIFICATION_INITIATED
            else self._end_activation
        )
        end()
        return False

    def _end_verification(self) -> None:
        transfer = self._transfer
        self.remember(DUE_AT, None)
        if transfer is None or not transfer.complete or not transfer.sound:
            self._move(ImageTransferStatus.VERIFICATION_FAILED)
            record(self.device, Occurrence.IMAGE_VERIFICATION_FAILED)
            return
        info = data.structure(
            data.double_long_unsigned(transfer.size),
            data.octet_string(transfer.identifier),
            data.octet_string(transfer.signature),
        )
        self.change("image_to_activate_info", data.array(info))
        self._move(ImageTransferStatus.VERIFICATION_SUCCESSFUL)
        record(self.device, Occurrence.IMAGE_VERIFIED)

    def _end_activation(self) -> None:
        transfer = self._transfer
        self.remember(DUE_AT, None)
        if transfer is None or self.option("activation_fails"):
            self._move(ImageTransferStatus.ACTIVATION_FAILED)
            record(self.device, Occurrence.IMAGE_ACTIVATION_FAILED)
        else:
            self.remember(ACTIVE_FIRMWARE, data.octet_string(transfer.version))
            self._show(transfer.version)
            self.remember(TRANSFER, None)
            self.change("image_to_activate_info", data.array())
            self._move(ImageTransferStatus.ACTIVATION_SUCCESSFUL)
            device, obis = self.device, self.described.obis
            device.history.happened(Record(device.clock.at, RecordKind.FIRMWARE, obis, detail=transfer.version))
            record(device, Occurrence.IMAGE_ACTIVATED)
        self.device.communication.restart()

    def _show(self, version: bytes) -> None:
        """The object with the version has another value from here on, in the same commit."""
        if where := self.option("version_object"):
            self.device.kept.put(DATA, Obis.parse(where), VALUE, data.octet_string(version))


def active_firmware(device: "Device") -> bytes:
    """The version that a meter runs; empty where its model has no image transfer."""
    found = device.find(ImageTransfer.class_id, IMAGE_TRANSFER)
    return found.firmware if isinstance(found, ImageTransfer) else b""
