"""A small meter that takes firmware (class 18), and a head-end before it that can be killed between any two of its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from hashlib import sha256
from typing import Any

from keyed_meter import Life, Step, job
from small_meter import SmallMeter

from ami_dlms import data
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_hes.commands import Outcome
from ami_hes.operations import transfer_firmware
from ami_hes.operations.firmware_order import FirmwareOrder, format_order
from ami_hes.store import Database, FirmwareStore, SqlFirmware, StoredImage, StoredTransfer

IMAGE_TRANSFER = Obis.parse("0-0:44.0.0*255")
VERSION = (Obis.parse("1-0:0.2.0*255"), 2)
SCHEDULE = (Obis.parse("0-0:15.0.2*255"), 4)
CLOCK = (Obis.parse("0-0:1.0.0*255"), 2)
ZONE = timezone(timedelta(hours=2))
BLOCK = 64
CONTENT = bytes(range(128)) + b"the last block is short"
BLOCKS = [CONTENT[at : at + BLOCK] for at in range(0, len(CONTENT), BLOCK)]
IMAGE = StoredImage(
    identifier="fw-2",
    version="2.0",
    version_object="1-0:0.2.0*255",
    size=len(CONTENT),
    sha256=sha256(CONTENT).hexdigest(),
    imported_at=datetime(2026, 11, 29, tzinfo=UTC),
)


@dataclass
class FirmwareMeter(SmallMeter):
    """`memory` is its image memory: blocks by number, of an image that it was told the name of."""

    step: Step = lambda _: None
    loses: Callable[[int], bool] = lambda _: False
    """Which block is confirmed and forgotten, by the count of blocks that came."""
    verifies: bool = True
    activates: bool = True
    slow: int = 0
    """How many looks verification and activation take."""
    no_bits: bool = False
    """It does not say of each block whether it is there."""
    restarts: bool = True
    """It hangs up after its activation, without an answer."""
    calls_it: bytes | None = None
    """What it calls an image that it has verified; None: as it was told."""
    refusal: dict[int, ActionResult] = field(default_factory=dict)
    """By method."""
    came: int = 0
    taken: int = 0
    """Blocks that were not there before."""
    initiated: int = 0
    activations: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.memory: dict[int, bytes] = {}
        self.told: tuple[bytes, int] | None = None
        self.status = 0
        self.enabled = False
        self.running = 0
        self.values |= {
            VERSION: data.octet_string(b"1.0"),
            SCHEDULE: data.array(),
            CLOCK: data.date_time(CosemDateTime.from_datetime(datetime.now(ZONE), clock_status=0)),
        }

    @property
    def version(self) -> bytes:
        return bytes(self.values[VERSION].value)

    def _get(self, descriptor: AttributeDescriptor) -> Data | DataAccessResult:
        if descriptor.instance_id != IMAGE_TRANSFER:
            return super()._get(descriptor)
        return self._shown(descriptor.attribute_id)

    def _shown(self, number: int) -> Data | DataAccessResult:
        blocks = 0 if self.told is None else -(-self.told[1] // BLOCK)
        first = next((one for one in range(blocks) if one not in self.memory), blocks)
        verified = self.told is not None and self.status == 3
        info = (
            [
                data.structure(
                    data.double_long_unsigned(self.told[1]),
                    data.octet_string(self.calls_it or self.told[0]),
                    data.octet_string(b"s"),
                )
            ]
            if verified and self.told
            else []
        )
        if number == 6 and self.running:
            self.running -= 1
            if not self.running:
                self._end()
        shown: dict[int, Data | DataAccessResult] = {
            2: data.double_long_unsigned(BLOCK),
            3: DataAccessResult.READ_WRITE_DENIED
            if self.no_bits
            else data.bit_string(tuple(one in self.memory for one in range(blocks))),
            4: data.double_long_unsigned(first),
            5: data.boolean(self.enabled),
            6: data.enum(self.status),
            7: data.array(*info),
        }
        return shown[number]

    def _set(self, descriptor: AttributeDescriptor, value: Data) -> DataAccessResult:
        if descriptor == AttributeDescriptor(18, IMAGE_TRANSFER, 5):
            self.enabled = value.value
            return DataAccessResult.SUCCESS
        if (descriptor.instance_id, descriptor.attribute_id) == SCHEDULE:
            self.step("the meter has got a time")
            self.values[SCHEDULE] = value
            self.step("the meter has the time and has not answered")
            return DataAccessResult.SUCCESS
        return super()._set(descriptor, value)

    def _act(self, descriptor: MethodDescriptor, parameters: Data | None) -> ActionResult:
        if descriptor.instance_id != IMAGE_TRANSFER or parameters is None:
            return super()._act(descriptor, parameters)
        number = descriptor.method_id
        self.step(f"the meter has got method {number}")
        if number in self.refusal:
            return self.refusal[number]
        if not self.enabled:
            return ActionResult.READ_WRITE_DENIED
        result = (self._initiate, self._take, self._verify, self._activate)[number - 1](parameters)
        self.step(f"the meter has done method {number} and has not answered")
        return result

    def _initiate(self, parameters: Data) -> ActionResult:
        identifier, size = (one.value for one in parameters.value)
        self.told, self.memory, self.status = (identifier, size), {}, 1
        self.initiated += 1
        return ActionResult.SUCCESS

    def _take(self, parameters: Data) -> ActionResult:
        number, octets = (one.value for one in parameters.value)
        if self.status not in (1, 4):
            return ActionResult.OTHER_REASON
        self.came += 1
        if not self.loses(self.came) and number not in self.memory:
            self.memory[number] = octets
            self.taken += 1
        return ActionResult.SUCCESS

    def _verify(self, _: Data) -> ActionResult:
        if self.status not in (1, 3, 4):
            return ActionResult.OTHER_REASON
        self.status, self.running = 2, self.slow
        if self.slow:
            return ActionResult.TEMPORARY_FAILURE
        self._end()
        return ActionResult.SUCCESS if self.status == 3 else ActionResult.OTHER_REASON

    def _activate(self, _: Data) -> ActionResult:
        if self.status != 3:
            return ActionResult.OTHER_REASON
        self.activations += 1
        if self.activates:
            self.status, self.running = 5, self.slow
            if not self.slow:
                self._end()
            if self.restarts:
                self.dies_after_action = True
        return ActionResult.SUCCESS

    def _end(self) -> None:
        whole = b"".join(octets for _, octets in sorted(self.memory.items()))
        if self.status == 2:
            self.status = 3 if self.verifies and whole == CONTENT else 4
        elif self.status == 5:
            self.status = 6
            self.values[VERSION] = data.octet_string(b"2.0")
            self.hang_up()

    def activate_by_schedule(self) -> None:
        """Its time has come."""
        self.status = 5
        self._end()


class _Store(SqlFirmware):
    def __init__(self, database: Database, life: FirmwareLife) -> None:
        super().__init__(database)
        self._life = life

    async def keep_transfer(self, transfer: StoredTransfer) -> None:
        await self._life.around(f"{transfer.stage} is kept", partial(super().keep_transfer, transfer))


@dataclass
class FirmwareLife(Life):
    """A life of the head-end's process that has the image."""

    request_id: str = "start"

    def firmware(self, database: Database) -> FirmwareStore:
        return _Store(database, self)

    async def start(
        self,
        image: StoredImage = IMAGE,
        content: bytes = CONTENT,
        *,
        is_cancelled: Callable[[], bool] = lambda: False,
        **order: Any,
    ) -> Outcome | None:
        """Work the command as the worker does; None when this life was killed."""
        async with Database(self.path) as database:
            store = SqlFirmware(database)
            if not (await store.declare(image)).image.complete:
                await store.add_part(image.identifier, 0, content)
        named = (image.identifier, image.sha256, image.size, image.version, image.version_object)
        body = format_order(FirmwareOrder(*named, **order))
        return await self.work(job(self.request_id, self.meter, transfer_firmware.NAME, body), is_cancelled)
