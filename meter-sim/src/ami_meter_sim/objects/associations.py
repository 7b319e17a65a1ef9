"""Association LN (15), SAP assignment (17) and security setup (64): what a meter tells of its own communication.

0-0:40.0.0 is the current association: what it shows depends on who asks. No attribute gives a secret or a key away: secret
(attribute 7 of class 15) is readable by nobody, and the object list says so.
"""

from collections.abc import Callable
from typing import ClassVar

from ami_dlms import data
from ami_dlms.association import AssociationProfile, Security
from ami_dlms.data import Data
from ami_dlms.enums import ApplicationContext, DataAccessResult
from ami_meter_sim.objects.cosem_object import CosemObject, Read, ReadContext, Refused
from ami_meter_sim.objects.device import Device
from ami_packs.model import ObjectDescription

COSEM_ARCS = bytes.fromhex("6085740508")
"""2.16.756.5.8, the arcs in front of context and mechanism names."""
DLMS_VERSION = 6
QUALITY_OF_SERVICE = 0
ASSOCIATED = 2
SECURITY_SETUP = bytes((0, 0, 43, 0, 0, 255))
NOTHING = bytes(6)
CONFORMANCE_BITS = 24


def _ciphered(profile: AssociationProfile) -> bool:
    return profile.security is not None and profile.security.ciphered


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


def _object_list(self: "AssociationLN", context: ReadContext) -> Data:
    if context.association is None:
        raise Refused(DataAccessResult.OBJECT_UNAVAILABLE)
    return self.device.model.object_lists[context.association]


def _of_profile(make: Callable[[AssociationProfile], object]) -> Read:
    """Only a client has an association; for the meter itself there is none to show."""

    def read(self: CosemObject, context: ReadContext) -> object:
        if context.profile is None:
            raise Refused(DataAccessResult.OBJECT_UNAVAILABLE)
        return make(context.profile)

    return read


class OfDevice(CosemObject):
    """An object that shows something of the device."""

    __slots__ = ("device",)

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self.device = device


class AssociationLN(OfDevice):
    """The current association."""

    __slots__ = ()

    class_id, version = 15, 1
    reads: ClassVar = {
        "object_list": _object_list,
        "associated_partners_id": _of_profile(_associated_partners_id),
        "application_context_name": _of_profile(_application_context_name),
        "xdlms_context_info": _of_profile(_xdlms_context_info),
        "authentication_mechanism_name": _of_profile(_mechanism_name),
        "association_status": _of_profile(lambda _: ASSOCIATED),
        "security_setup_reference": _of_profile(lambda profile: SECURITY_SETUP if profile.security else NOTHING),
    }


class SapAssignment(OfDevice):
    """The logical devices behind this address."""

    __slots__ = ()

    class_id, version = 17, 0
    reads: ClassVar = {"sap_assignment_list": lambda self, _: _sap_assignment_list(self.device.logical_devices)}


class SecuritySetup(OfDevice):
    """Read only; security_policy 0 none, 1 authenticated, 2 encrypted, 3 both."""

    __slots__ = ()

    class_id, version = 64, 0
    reads: ClassVar = {
        "security_policy": lambda _, context: _policy(_security(context)),
        "security_suite": lambda _, context: security.suite if (security := _security(context)) else 0,
        "client_system_title": lambda _, context: context.client_system_title or b"",
        "server_system_title": lambda self, _: self.device.identity.system_title or b"",
    }


def _sap_assignment_list(devices: tuple[tuple[int, bytes], ...]) -> Data:
    return data.array(*(data.structure(data.long_unsigned(sap), data.octet_string(name)) for sap, name in devices))


def _security(context: ReadContext) -> Security | None:
    return context.profile.security if context.profile is not None else None


def _policy(security: Security | None) -> int:
    return security.authenticated + 2 * security.encrypted if security is not None else 0
