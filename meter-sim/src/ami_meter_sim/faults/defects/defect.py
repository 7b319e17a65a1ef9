"""What defects have in common: they are faults of a whole meter, and some stand between the protection of an association and its services."""

from dataclasses import replace
from typing import NamedTuple

from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.association import AssociationProfile
from ami_dlms.association.settings import Inside
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_meter_sim.faults.fault import Fault


class Defect(Fault):
    """Wrong in one thing."""


class InsideDefect(Defect):
    """Wrong in requests after their protection was taken off, or in responses before they are protected."""

    def on_profile(self, profile: AssociationProfile) -> AssociationProfile:
        """The same with this defect inside."""
        inside: Inside = self if profile.inside is None else _Both(profile.inside, self)
        return replace(profile, inside=inside, fast_path=False)

    def arrived(self, message: Apdu) -> Apdu:
        """What is served in place of this request."""
        return message

    def leaves(self, octets: bytes) -> bytes:
        """What is sent in place of this response."""
        changed = self.changed(message := apdu.decode(octets))
        return octets if changed is message else apdu.encode(changed)

    def changed(self, message: Apdu) -> Apdu:
        """The response itself in place of this one."""
        return message


class _Both(NamedTuple):
    """Two that stand inside: requests come to the outer one first, responses last."""

    outer: Inside
    inner: Inside

    def arrived(self, message: Apdu) -> Apdu:
        return self.inner.arrived(self.outer.arrived(message))

    def leaves(self, octets: bytes) -> bytes:
        return self.outer.leaves(self.inner.leaves(octets))


def tag_of(pdu: WrapperPdu | LinkLost) -> int | None:
    """The tag of an APDU that arrives; None for the end of a link."""
    return pdu.apdu[0] if isinstance(pdu, WrapperPdu) and pdu.apdu else None
