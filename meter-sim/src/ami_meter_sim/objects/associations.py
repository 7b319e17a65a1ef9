"""Association LN (15) and SAP assignment (17): what a meter tells of its associations, and how their secrets are changed.

0-0:40.0.0 is the current association: what it shows depends on who asks. Another object shows the association that its model names in
the option `association`. No attribute gives a secret or a key away: `secret` is never readable and can be written where it is a
password; that of HLS is changed by its method. Both count from the next association on.
"""

from collections.abc import Callable
from typing import ClassVar

from ami_dlms import data
from ami_dlms.association import AssociationProfile
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, ApplicationContext, DataAccessResult, DataTag, Mechanism
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, CosemObject, Options, Read, ReadContext
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.keys import keep_association_secret
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.shapes import UINT8, Array, Octets, Structure
from ami_packs.event_list import Occurrence
from ami_packs.model import ObjectDescription

COSEM_ARCS = bytes.fromhex("6085740508")
"""2.16.756.5.8, the arcs in front of context and mechanism names."""
DLMS_VERSION = 6
QUALITY_OF_SERVICE = 0
NON_ASSOCIATED, _PENDING, ASSOCIATED = range(3)
SECURITY_SETUP = bytes((0, 0, 43, 0, 0, 255))
NOTHING = bytes(6)
CONFORMANCE_BITS = 24
MOST_OCTETS_OF_A_SECRET = 64
MOST_USERS = 32
MOST_OCTETS_OF_A_NAME = 32
NO_USER = data.structure(data.unsigned(0), data.visible_string(""))
WITH_HLS_SECRET = frozenset({Mechanism.HIGH, Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256})


def _user_name(value: Data) -> bool:
    return value.tag == DataTag.VISIBLE_STRING and len(value.value) <= MOST_OCTETS_OF_A_NAME


USER = Structure(UINT8, _user_name)


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
    name = self.option("association") or context.association
    if name not in self.device.model.object_lists:
        raise AccessRefused(DataAccessResult.OBJECT_UNAVAILABLE)
    return self.device.model.object_lists[name]


def _of_profile(make: Callable[[AssociationProfile], object]) -> Read:
    """Only a client has an association; for the meter itself there is none to show."""

    def read(self: "AssociationLN", context: ReadContext) -> object:
        return make(self.profile(context))

    return read


class AssociationObject(KeptObject):
    """What associations by logical and by short names have in common."""

    __slots__ = ()

    initial: ClassVar = {}

    def profile(self, context: ReadContext) -> AssociationProfile:
        """The association that is shown; AccessRefused where there is none."""
        if context.profile is None:
            raise AccessRefused(DataAccessResult.OBJECT_UNAVAILABLE)
        return context.profile

    def write_password(self, value: Data) -> None:
        """Change a password (LLS)."""
        profile = self.profile(self.device.communication.asked_by)
        if profile.mechanism is not Mechanism.LOW:
            raise AccessRefused(DataAccessResult.READ_WRITE_DENIED)
        if not Octets(most=MOST_OCTETS_OF_A_SECRET)(value) or not value.value:
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        self._change_secret(profile, value.value)

    def change_secret(self, given: Data | None, allowed: frozenset[Mechanism]) -> None:
        """Change the secret of one of these mechanisms; ActionRefused for any other association."""
        secret = parameter(given, Octets(most=MOST_OCTETS_OF_A_SECRET)).value
        try:
            profile = self.profile(self.device.communication.asked_by)
        except AccessRefused:
            raise ActionRefused(ActionResult.OBJECT_UNAVAILABLE) from None
        if profile.mechanism not in allowed or not secret:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._change_secret(profile, secret)

    def _change_secret(self, profile: AssociationProfile, secret: bytes) -> None:
        keep_association_secret(self.device, profile.client_wport, secret)
        self.device.communication.security_changed()
        record(self.device, Occurrence.SECURITY_CHANGED)

    def add_user(self, given: Data | None) -> None:
        """A user of an id that is there takes its place."""
        new = parameter(given, USER)
        others = [one for one in self.elements("user_list") if one.value[0] != new.value[0]]
        if len(others) >= MOST_USERS:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("user_list", data.array(*others, new))

    def remove_user(self, given: Data | None) -> None:
        """Take a user out; the standard's parameter is the whole entry, whose id alone counts."""
        gone, there = parameter(given, USER).value[0], self.elements("user_list")
        others = [one for one in there if one.value[0] != gone]
        if len(others) == len(there):
            raise ActionRefused(ActionResult.OBJECT_UNDEFINED)
        self.change("user_list", data.array(*others))


def _nobody(_self: AssociationObject, _context: ReadContext) -> Data:
    raise AccessRefused(DataAccessResult.READ_WRITE_DENIED)


class AssociationLN(AssociationObject):
    """Version 1, which has a security setup and no users. Its own list of objects can't be changed by a client."""

    __slots__ = ()

    class_id, version = 15, 1
    options: ClassVar[Options] = {"association": ""}
    """Which of the model's associations it shows; without one the current association of the client."""
    reads: ClassVar = {
        "object_list": _object_list,
        "associated_partners_id": _of_profile(_associated_partners_id),
        "application_context_name": _of_profile(_application_context_name),
        "xdlms_context_info": _of_profile(_xdlms_context_info),
        "authentication_mechanism_name": _of_profile(_mechanism_name),
        "secret": _nobody,
        "association_status": lambda self, context: self._status(context),
        "security_setup_reference": _of_profile(lambda profile: SECURITY_SETUP if profile.security else NOTHING),
    }
    writes: ClassVar = {"secret": lambda self, value: self.write_password(value)}
    methods: ClassVar = {"change_hls_secret": lambda self, given: self.change_secret(given, WITH_HLS_SECRET)}

    def profile(self, context: ReadContext) -> AssociationProfile:
        """The association that this object is about."""
        name = self.option("association")
        device = self.device
        found = context.profile if name in ("", context.association) else device.communication.offered(device, name)
        if found is None:
            raise AccessRefused(DataAccessResult.OBJECT_UNAVAILABLE)
        return found

    def _status(self, context: ReadContext) -> int:
        """What this client can know: whether it is its own association."""
        self.profile(context)
        return ASSOCIATED if self.option("association") in ("", context.association) else NON_ASSOCIATED


class AssociationLNv0(AssociationLN):
    """Version 0, without security setup."""

    __slots__ = ()

    class_id, version = 15, 0
    reads: ClassVar = {name: one for name, one in AssociationLN.reads.items() if name != "security_setup_reference"}


class AssociationLNv2(AssociationLN):
    """Version 2, with users. An AARQ does not say which user asks, so there is no current one."""

    __slots__ = ()

    class_id, version = 15, 2
    initial: ClassVar = {"user_list": data.array(), "current_user": NO_USER}
    writable: ClassVar = {"user_list": Array(USER, MOST_USERS)}
    methods: ClassVar = {
        **AssociationLN.methods,
        "add_user": lambda self, given: self.add_user(given),
        "remove_user": lambda self, given: self.remove_user(given),
    }


class AssociationLNv3(AssociationLNv2):
    """Version 3: access rights are bits."""

    __slots__ = ()

    class_id, version = 15, 3


class SapAssignment(CosemObject):
    """The logical devices behind this address."""

    __slots__ = ("_device",)

    class_id, version = 17, 0
    reads: ClassVar = {"sap_assignment_list": lambda self, _: _sap_assignment_list(self._device.logical_devices)}

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device


def _sap_assignment_list(devices: tuple[tuple[int, bytes], ...]) -> Data:
    return data.array(*(data.structure(data.long_unsigned(sap), data.octet_string(name)) for sap, name in devices))
