"""NTP setup (class 100): a time server that the meter asks when a client says so.

Strategy: no packet leaves. A meter whose time server is switched on and has an address gets the process's time from it, which sets the clock as a
client would. Keys are taken and checked, listed by their numbers, and not kept, since nothing is authenticated with them.
"""

from datetime import UTC
from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataTag
from ami_meter_sim.objects.clock import CLOCK, Clock
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.shapes import UINT16, UINT32, Number, Octets, Structure, boolean

NTP_PORT = 123
MOST_KEYS = 16
KEY = Structure(UINT32, Octets(most=64))
NO_KEY = data.octet_string(b"")


class NtpSetup(KeptObject):
    """authentication_method: 0 none, 1 shared secrets, 2 keys that are exchanged by themselves."""

    __slots__ = ()

    class_id, version = 100, 0
    initial: ClassVar = {
        "activated": data.boolean(False),
        "server_address": data.octet_string(b""),
        "server_port": data.long_unsigned(NTP_PORT),
        "authentication_method": data.enum(0),
        "authentication_keys": data.array(),
        "client_key": NO_KEY,
    }
    writable: ClassVar = {
        "activated": boolean,
        "server_address": Octets(most=128),
        "server_port": UINT16,
        "authentication_method": Number(DataTag.ENUM, range(3)),
    }
    methods: ClassVar = {
        "synchronize": lambda self, _: self._synchronize(),
        "add_authentication_key": lambda self, given: self._add(parameter(given, KEY)),
        "delete_authentication_key": lambda self, given: self._delete(parameter(given, UINT32)),
    }

    def _synchronize(self) -> None:
        if not self.sound("activated").value or not self.sound("server_address").value:
            raise ActionRefused(ActionResult.OTHER_REASON)
        told = CosemDateTime.from_datetime(self.device.clock.at.astimezone(UTC))
        try:
            self.device.write(Clock.class_id, CLOCK, 2, data.octet_string(told.encode()))
        except AccessRefused:
            raise ActionRefused(ActionResult.OTHER_REASON) from None

    def _add(self, key: Data) -> None:
        """A key of the same number is replaced."""
        others = self._without(key.value[0])
        if len(others) >= MOST_KEYS:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("authentication_keys", data.array(*others, data.structure(key.value[0], NO_KEY)))

    def _delete(self, number: Data) -> None:
        others = self._without(number)
        if len(others) == len(self.elements("authentication_keys")):
            raise ActionRefused(ActionResult.OBJECT_UNDEFINED)
        self.change("authentication_keys", data.array(*others))

    def _without(self, number: Data) -> list[Data]:
        return [one for one in self.elements("authentication_keys") if one.value[0] != number]
