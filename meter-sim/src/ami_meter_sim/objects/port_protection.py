"""Communication port protection (class 124): a port that locks itself for longer and longer after failed attempts.

Strategy: whether a port is locked is a function of the attempts that failed and the time of the last one. The lock after the nth failure
beyond the allowed ones takes initial_lockout_time x steepness_factor ^ (n - 1), at most max_lockout_time.
"""

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import ClassVar

from ami_dlms import data
from ami_dlms.enums import DataTag
from ami_meter_sim.objects.kept_object import FIRST_OWN, KeptObject
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.shapes import LOGICAL_NAME, UINT8, UINT16, UINT32, Number
from ami_packs.event_list import Occurrence

FAILED_AT = FIRST_OWN
"""When the last attempt failed, in seconds since the epoch."""
MOST_STEPS = 64


class ProtectionMode(IntEnum):
    """protection_mode."""

    LOCKED = 0
    LOCKED_ON_FAILED_ATTEMPTS = 1
    UNLOCKED = 2


class ProtectionStatus(IntEnum):
    """protection_status."""

    UNLOCKED = 0
    TEMPORARILY_LOCKED = 1
    LOCKED = 2


class PortProtection(KeptObject):
    """Who serves the port asks `locks` before an attempt and reports how it went."""

    __slots__ = ()

    class_id, version = 124, 0
    initial: ClassVar = {
        "protection_mode": data.enum(ProtectionMode.LOCKED_ON_FAILED_ATTEMPTS),
        "allowed_failed_attempts": data.long_unsigned(3),
        "initial_lockout_time": data.double_long_unsigned(60),
        "steepness_factor": data.unsigned(2),
        "max_lockout_time": data.double_long_unsigned(3600),
        "port_reference": data.octet_string(bytes(6)),
        "failed_attempts": data.double_long_unsigned(0),
        "cumulative_failed_attempts": data.double_long_unsigned(0),
    }
    writable: ClassVar = {
        "protection_mode": Number(DataTag.ENUM, range(len(ProtectionMode))),
        "allowed_failed_attempts": UINT16,
        "initial_lockout_time": UINT32,
        "steepness_factor": UINT8,
        "max_lockout_time": UINT32,
        "port_reference": LOGICAL_NAME,
    }
    reads: ClassVar = {"protection_status": lambda self, _: self.status(self.device.clock.at)}
    methods: ClassVar = {"reset": lambda self, _: self.succeeded()}

    def status(self, at: datetime) -> ProtectionStatus:
        """protection_status at an instant."""
        mode = self.sound("protection_mode").value
        if mode == ProtectionMode.LOCKED:
            return ProtectionStatus.LOCKED
        until = self._locked_until()
        if mode == ProtectionMode.UNLOCKED or until is None or at >= until:
            return ProtectionStatus.UNLOCKED
        return ProtectionStatus.TEMPORARILY_LOCKED

    def locks(self, at: datetime) -> bool:
        """Whether an attempt at this instant meets a closed port."""
        return self.status(at) is not ProtectionStatus.UNLOCKED

    def failed(self, at: datetime) -> None:
        """An attempt has failed."""
        for name in ("failed_attempts", "cumulative_failed_attempts"):
            self.change(name, data.double_long_unsigned(min(self.value(name).value + 1, 0xFFFFFFFF)))
        self.remember(FAILED_AT, data.double_long_unsigned(int(at.timestamp())))
        if self.locks(at):
            record(self.device, Occurrence.PORT_LOCKED)

    def succeeded(self) -> None:
        """An attempt was right, or a client resets the counter: counting begins anew."""
        self.change("failed_attempts", data.double_long_unsigned(0))
        self.remember(FAILED_AT, None)

    def _locked_until(self) -> datetime | None:
        failed_at = self.remembered(FAILED_AT)
        beyond = self.value("failed_attempts").value - self.sound("allowed_failed_attempts").value
        if failed_at is None or beyond < 0:
            return None
        first, most = (self.sound(name).value for name in ("initial_lockout_time", "max_lockout_time"))
        seconds = min(first * self.sound("steepness_factor").value ** min(beyond, MOST_STEPS), most)
        return datetime.fromtimestamp(failed_at.value, UTC) + timedelta(seconds=seconds)
