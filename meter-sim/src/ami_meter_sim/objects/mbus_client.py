"""M-Bus client (class 72, versions 0 and 1) with one gas meter behind it.

Strategy: what the gas meter has counted is a closed form of time, and what was captured last is known from when it was installed and
from capture_period, so nothing has to be done at the end of a period. Its keys are kept as secrets, and their status is shown.
"""

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

import numpy as np

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, Options
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.secrets import Secret, keep_secret, secret_of
from ami_meter_sim.objects.shapes import LOGICAL_NAME, UINT32, AnyOf, Array, Number, Octets, Structure, plain

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

CLIENT = Obis.parse("0-1:24.1.0")
INSTALLED_AT, CAPTURED_AT, PERIOD_SINCE, CAPTURES = -1, -2, -3, -4
"""What the object keeps for itself, seconds since the epoch, and how often a client has called for a capture."""
BLOCK = Octets(most=20)
MOST_BLOCKS = 16
ADDRESS = AnyOf(Number(DataTag.UNSIGNED, range(251)), Number(DataTag.INTEGER, range(128)))
KEY_OCTETS = 16
TRANSFERRED_KEY = Octets(most=48)
NO_KEY, KEY_SET, KEY_TRANSFERRED, KEY_SET_AND_TRANSFERRED, KEY_IN_USE = range(5)
YEAR_S = 365.2425 * 86400
LITRES_A_YEAR = 1_500_000
COLDEST_S = 15 * 86400
SHARE_OF_HEATING = 0.9
FIELDS = ("identification_number", "manufacturer_id", "version", "device_type")


def gas_litres(name: str, seconds: "int | Integers") -> Any:
    """What the gas meter of a meter has counted since 2020, by a heating that follows the year; never falling.

    At one second or at each of many.
    """
    elapsed = np.asarray(seconds, np.int64) - int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    scale = 0.6 + crc32(name.encode()) % 1000 / 1250
    angle = 2 * math.pi / YEAR_S
    swing = SHARE_OF_HEATING * (np.sin(angle * (elapsed - COLDEST_S)) + math.sin(angle * COLDEST_S)) / angle
    litres = np.maximum((LITRES_A_YEAR / YEAR_S * scale * (elapsed + swing)).astype(np.int64), 0)
    return int(litres) if isinstance(seconds, int) else litres


class MBusClientV0(KeptObject):
    """One slave, there from the beginning if the model gives it an address; identification_number is BCD. The parameter of methods without one, integer (0), means nothing."""

    __slots__ = ()

    class_id, version = 72, 0
    options: ClassVar[Options] = {
        "identification": 0x12345678,
        "manufacturer": 0x05A9,
        "device_version": 1,
        "device_type": 3,
    }
    """What the slave says of itself when it is installed; device_type 3 is gas."""
    initial: ClassVar = {
        "mbus_port_reference": data.octet_string(bytes((0, 0, 24, 6, 0, 255))),
        "capture_definition": data.array(),
        "capture_period": data.double_long_unsigned(0),
        "primary_address": data.unsigned(0),
        "identification_number": data.double_long_unsigned(0),
        "manufacturer_id": data.long_unsigned(0),
        "version": data.unsigned(0),
        "device_type": data.unsigned(0),
        "status": data.unsigned(0),
        "alarm": data.unsigned(0),
    }
    writable: ClassVar = {
        "mbus_port_reference": LOGICAL_NAME,
        "capture_definition": Array(Structure(BLOCK, BLOCK), MOST_BLOCKS),
    }
    reads: ClassVar = {"access_number": lambda self, _: self._access_number()}
    writes: ClassVar = {"capture_period": lambda self, value: self._set_period(value)}
    methods: ClassVar = {
        "slave_install": lambda self, given: self._install(parameter(given, ADDRESS).value),
        "slave_deinstall": lambda self, _: self._deinstall(),
        "capture": lambda self, _: self._capture(),
        "reset_alarm": lambda self, _: self.change("alarm", data.unsigned(0)),
        "synchronize_clock": lambda self, _: self._need_slave(),
        "data_send": lambda self, given: self._send(given),
        "set_encryption_key": lambda self, given: self._set_key(parameter(given, Octets(most=KEY_OCTETS)).value),
        "transfer_key": lambda self, given: self._transfer_key(parameter(given, TRANSFERRED_KEY).value),
    }

    # --- what was captured

    @property
    def captured_at(self) -> int | None:
        """The second of the last capture; None before the first one, and without a slave."""
        installed = self._installed_at
        if installed is None:
            return None
        found = self._second(CAPTURED_AT)
        period = self.value("capture_period").value
        if period and (last := self._now() // period * period) > max(installed, self._second(PERIOD_SINCE) or 0):
            found = max(found or 0, last)
        return found

    @property
    def _installed_at(self) -> int | None:
        kept = self._second(INSTALLED_AT)
        return 0 if kept is None and self.value("primary_address").value else kept

    def captures(self, seconds: "int | Integers") -> Any:
        """The second of the last capture at each of these; 0 before the first one, and without a slave.

        A row of a profile that was captured before capture_period was written goes by the period of the model.
        """
        now = self.captured_at
        if isinstance(seconds, int):
            return now or 0
        if now is None:
            return 0 * seconds
        written = self._second(PERIOD_SINCE) or 0
        kept = self.described.attributes.get(self._numbers["capture_period"])
        before = int(kept.value) if kept is not None else 0
        period = int(self.value("capture_period").value)
        old = seconds // before * before if before else 0 * seconds
        new = np.maximum(seconds // period * period if period else 0 * seconds, self._second(CAPTURED_AT) or 0)
        found = np.minimum(np.where(seconds > written, new, old), now)
        return np.where(found > (self._installed_at or 0), found, 0)

    @property
    def litres(self) -> int:
        """What the gas meter showed at the last capture; 0 before the first one."""
        at = self.captured_at
        return 0 if at is None else gas_litres(self.device.identity.name, at)

    def _access_number(self) -> int:
        called = self._second(CAPTURES) or 0
        installed, period = self._installed_at, int(self.value("capture_period").value)
        if installed is None or not period:
            return called % 256
        since = max(installed, self._second(PERIOD_SINCE) or 0)
        return (called + self._now() // period - since // period) % 256

    def _second(self, own: int) -> int | None:
        kept = self.remembered(own)
        return None if kept is None else int(kept.value)

    def _note(self, own: int, second: int | None) -> None:
        self.remember(own, None if second is None else data.double_long_unsigned(second))

    def _now(self) -> int:
        return int(self.device.clock.at.timestamp())

    # --- what a client does

    def _set_period(self, value: Data) -> None:
        if not UINT32(value):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        captured, number = self.captured_at, self._access_number()
        self._note(CAPTURED_AT, captured)
        self._note(CAPTURES, number)
        self._note(PERIOD_SINCE, self._now())
        self.change("capture_period", value)

    def _need_slave(self) -> None:
        if self._installed_at is None:
            raise ActionRefused(ActionResult.OTHER_REASON)

    def _install(self, address: int) -> None:
        """Address 0 lets the meter choose one. A slave that is there already is not installed again."""
        if self._installed_at is not None:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._note(INSTALLED_AT, self._now())
        self.change("primary_address", data.unsigned(address or 1))
        self.change("identification_number", data.double_long_unsigned(self.option("identification")))
        self.change("manufacturer_id", data.long_unsigned(self.option("manufacturer")))
        self.change("version", data.unsigned(self.option("device_version")))
        self.change("device_type", data.unsigned(self.option("device_type")))

    def _deinstall(self) -> None:
        """The slave and its keys are forgotten."""
        self._need_slave()
        for own in (INSTALLED_AT, CAPTURED_AT, CAPTURES):
            self._note(own, None)
        for name in ("primary_address", *FIELDS):
            self.change(name, self.initial[name])
        for which in (Secret.MBUS_KEY, Secret.MBUS_TRANSFERRED_KEY):
            self._keep_key(which, None)

    def _capture(self) -> None:
        self._need_slave()
        self._note(CAPTURES, (self._second(CAPTURES) or 0) + 1)
        self._note(CAPTURED_AT, self._now())

    def _send(self, given: Data | None) -> None:
        parameter(given, Array(Structure(BLOCK, BLOCK, plain), MOST_BLOCKS))
        self._need_slave()

    def _set_key(self, key: bytes) -> None:
        """An empty one ends encryption."""
        self._need_slave()
        if len(key) not in (0, KEY_OCTETS):
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._keep_key(Secret.MBUS_KEY, key or None)
        if not key:
            self._keep_key(Secret.MBUS_TRANSFERRED_KEY, None)

    def _transfer_key(self, encrypted: bytes) -> None:
        self._need_slave()
        if not encrypted:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._keep_key(Secret.MBUS_TRANSFERRED_KEY, encrypted)

    def _keep_key(self, which: Secret, key: bytes | None) -> None:
        keep_secret(self.device.kept, self.class_id, self.described.obis, which, key)

    def _has_key(self, which: Secret) -> bool:
        return secret_of(self.device.kept, self.class_id, self.described.obis, which) is not None


class MBusClientV1(MBusClientV0):
    """Version 1: configuration, and what has become of the key. It is in use once something was captured after its transfer."""

    __slots__ = ()

    class_id, version = 72, 1
    initial: ClassVar = {**MBusClientV0.initial, "configuration": data.long_unsigned(0)}
    reads: ClassVar = {**MBusClientV0.reads, "encryption_key_status": lambda self, _: self._key_status()}

    def _key_status(self) -> int:
        given, transferred = self._has_key(Secret.MBUS_KEY), self._has_key(Secret.MBUS_TRANSFERRED_KEY)
        if given and transferred and self.captured_at is not None:
            return KEY_IN_USE
        return KEY_SET * given + KEY_TRANSFERRED * transferred


def sub_meter_captures(device: "Device", seconds: "int | Integers") -> Any:
    """When the sub-meter of a meter was captured last, at one second, which is now, or at each of many in the past."""
    found = device.find(MBusClientV0.class_id, CLIENT)
    return found.captures(seconds) if isinstance(found, MBusClientV0) else 0 * seconds


def sub_meter_litres(device: "Device") -> int:
    """What the sub-meter of a meter showed at its last capture; 0 without one."""
    found = device.find(MBusClientV0.class_id, CLIENT)
    return found.litres if isinstance(found, MBusClientV0) else 0
