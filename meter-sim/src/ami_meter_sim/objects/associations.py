"""Association LN (15), SAP assignment (17) and security setup (64): what a meter tells of its own communication.

0-0:40.0.0 is the current association: what it shows depends on who asks. No attribute gives a secret or a key away: secret
(attribute 7 of class 15) is readable by nobody, and the object list says so.
"""

from collections.abc import Callable

from ami_dlms import data
from ami_dlms.association import AssociationProfile
from ami_dlms.data import Data
from ami_dlms.enums import ApplicationContext, DataAccessResult
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.interface_class import Asked, InterfaceClass, Refused
from ami_meter_sim.objects.model import ObjectDescription

COSEM_ARCS = bytes.fromhex("6085740508")
"""2.16.756.5.8, the arcs in front of context and mechanism names."""
DLMS_VERSION = 6
QUALITY_OF_SERVICE = 0
ASSOCIATED = 2
CONFORMANCE_BITS = 24


def _ciphered(profile: AssociationProfile) -> bool:
    return profile.security is not None and profile.security.ciphered


class AssociationLN(InterfaceClass):
    """Class 15, version 1."""

    __slots__ = ("_device",)

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device

    def _read(self, attribute_id: int, asked: Asked) -> Data:
        if asked.profile is None or asked.association is None:
            raise Refused(DataAccessResult.OBJECT_UNAVAILABLE)
        if attribute_id == 2:
            return self._device.model.object_lists[asked.association]
        if attribute_id == 9:
            return data.octet_string(bytes((0, 0, 43, 0, 0, 255)) if asked.profile.security else bytes(6))
        if attribute_id not in _ASSOCIATION:
            return super()._read(attribute_id, asked)
        return _ASSOCIATION[attribute_id](asked.profile)


def _associated_partners_id(profile: AssociationProfile) -> Data:
    """client_SAP is an integer in the standard; a wrapper port beyond 127 does not fit and is shown in 16 bits."""
    client = profile.client_wport
    shown = data.integer(client) if client < 0x80 else data.long_unsigned(client)
    return data.structure(shown, data.long_unsigned(profile.server_wport))


def _application_context_name(profile: AssociationProfile) -> Data:
    context = ApplicationContext.LN_CIPHERED if _ciphered(profile) else ApplicationContext.LN
    return data.octet_string(COSEM_ARCS + bytes((1, context)))


def _xdlms_context_info(profile: AssociationProfile) -> Data:
    """What the meter can; the conformance agreed with this client is a subset of it."""
    bits = tuple(bool(profile.conformance >> bit & 1) for bit in reversed(range(CONFORMANCE_BITS)))
    return data.structure(
        data.bit_string(bits),
        data.long_unsigned(profile.max_receive_pdu_size),
        data.long_unsigned(profile.max_receive_pdu_size),
        data.unsigned(DLMS_VERSION),
        data.integer(QUALITY_OF_SERVICE),
        data.octet_string(b""),
    )


def _mechanism_name(profile: AssociationProfile) -> Data:
    return data.octet_string(COSEM_ARCS + bytes((2, profile.mechanism)))


_ASSOCIATION: dict[int, Callable[[AssociationProfile], Data]] = {
    3: _associated_partners_id,
    4: _application_context_name,
    5: _xdlms_context_info,
    6: _mechanism_name,
    8: lambda _: data.enum(ASSOCIATED),
}


class SapAssignment(InterfaceClass):
    """Class 17, version 0: the logical devices behind this address."""

    __slots__ = ("_device",)

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device

    def _read(self, attribute_id: int, asked: Asked) -> Data:
        if attribute_id != 2:
            return super()._read(attribute_id, asked)
        devices = self._device.logical_devices
        return data.array(*(data.structure(data.long_unsigned(sap), data.octet_string(name)) for sap, name in devices))


class SecuritySetup(InterfaceClass):
    """Class 64, version 0, read only: security_policy 0 none, 1 authenticated, 2 encrypted, 3 both."""

    __slots__ = ("_device",)

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device

    def _read(self, attribute_id: int, asked: Asked) -> Data:
        security = asked.profile.security if asked.profile is not None else None
        match attribute_id:
            case 2:
                policy = security.authenticated + 2 * security.encrypted if security is not None else 0
                return data.enum(policy)
            case 3:
                return data.enum(security.suite if security is not None else 0)
            case 4:
                return data.octet_string(asked.client_system_title or b"")
            case 5:
                return data.octet_string(self._device.identity.system_title or b"")
        return super()._read(attribute_id, asked)
