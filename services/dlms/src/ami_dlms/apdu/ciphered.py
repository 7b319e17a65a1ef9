"""APDUs that carry a protected APDU: general ciphering of every kind, signing, and the glo-* and ded-* ones (IEC 62056-5-3).

The content is security control octet, invocation counter (4 octets), then ciphertext and authentication tag as the
security control says; taking it apart is the matter of `ami_dlms.security`.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from ami_dlms.apdu.codec import Choice, Enumerated, Optional, sequence
from ami_dlms.apdu.fields import Octets
from ami_dlms.cursor import encode_length
from ami_dlms.enums import ApduTag, KekId, KeyId
from ami_dlms.errors import LocalError
from ami_dlms.frozen import frozen


@frozen
class GeneralGloCiphering:
    """General-Glo-Ciphering: under a global key."""

    system_title: Octets
    content: Octets


@frozen
class GeneralDedCiphering:
    """General-Ded-Ciphering: under the dedicated key of this association."""

    system_title: Octets
    content: Octets


@frozen
class IdentifiedKey:
    """Identified-Key: one that both ends hold."""

    key_id: Annotated[KeyId, Enumerated(KeyId)]


@frozen
class WrappedKey:
    """Wrapped-Key: sent along, wrapped under a key that both ends hold."""

    kek_id: Annotated[KekId, Enumerated(KekId)]
    key_ciphered_data: Octets = field(repr=False)


@frozen
class AgreedKey:
    """Agreed-Key: `key_parameters` names the scheme (01: one-pass Diffie-Hellman, 02: static unified model)."""

    key_parameters: Octets
    key_ciphered_data: Octets = field(repr=False)


KeyInfo = IdentifiedKey | WrappedKey | AgreedKey
_KEY_INFO = Choice(
    {number: (kind, sequence(kind)) for number, kind in enumerate((IdentifiedKey, WrappedKey, AgreedKey))}
)


@frozen
class GeneralCiphering:
    """General-Ciphering: for one recipient, under the key that `key_info` leads to.

    The fields before `key_info` are part of the authenticated data, so they are kept as the octets that came.
    """

    transaction_id: Octets
    originator_system_title: Octets
    recipient_system_title: Octets
    date_time: Octets
    other_information: Octets
    key_info: Annotated[KeyInfo | None, Optional(_KEY_INFO)]
    content: Octets


@frozen
class GeneralSigning:
    """General-Signing: any APDU with a digital signature, which covers all fields before it."""

    transaction_id: Octets
    originator_system_title: Octets
    recipient_system_title: Octets
    date_time: Octets
    other_information: Octets
    content: Octets = field(repr=False)
    signature: Octets


@frozen
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
