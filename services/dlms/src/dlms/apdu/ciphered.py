"""APDUs that carry a protected APDU: general-glo/ded-ciphering and the service-specific glo-* and ded-* ones (IEC 62056-5-3).

The content is security control octet, invocation counter (4 octets), then ciphertext and authentication tag as the
security control says; taking it apart is the matter of `dlms.security`.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlms.apdu.fields import Octets
from dlms.cursor import encode_length
from dlms.enums import ApduTag
from dlms.errors import LocalError


@dataclass(frozen=True, slots=True)
class GeneralGloCiphering:
    """General-Glo-Ciphering: under a global key."""

    system_title: Octets
    content: Octets


@dataclass(frozen=True, slots=True)
class GeneralDedCiphering:
    """General-Ded-Ciphering: under the dedicated key of this association."""

    system_title: Octets
    content: Octets


@dataclass(frozen=True, slots=True)
class ServiceCiphering:
    """Any glo-* or ded-* APDU: its tag says which service it hides."""

    tag: int
    content: Octets


SERVICE_CIPHERING_TAGS = frozenset(tag for tag in ApduTag if tag.name.startswith(("GLO_", "DED_")))


def encode_service_ciphering(apdu: ServiceCiphering) -> bytes:
    """Tag, length, content; LocalError when the tag is none of a ciphered service."""
    if apdu.tag not in SERVICE_CIPHERING_TAGS:
        raise LocalError(f"0x{apdu.tag:02X} is no tag of a ciphered service")
    return bytes((apdu.tag,)) + encode_length(len(apdu.content)) + apdu.content
