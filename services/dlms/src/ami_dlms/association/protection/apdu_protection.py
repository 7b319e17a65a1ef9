"""How one APDU is protected inside an association, and how much of it fits into what the peer takes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ami_dlms.association.message_keys import KeyForm
from ami_dlms.association.protection.general_ciphering import CipheringHeader, key_info_length
from ami_dlms.association.protection.general_signing import signing_overhead
from ami_dlms.cursor import largest_counted
from ami_dlms.enums import ApduTag
from ami_dlms.errors import LocalError
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, ProtectionFlags, SecuritySuite, overhead
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH
from ami_dlms.security.suites import SUITE_MASK
from ami_dlms.transitions import IdentityEnum

PROTECTION_MASK = SUITE_MASK | AUTHENTICATED | ENCRYPTED
GENERAL_HEADER = 2 + SYSTEM_TITLE_LENGTH
TITLE = bytes(SYSTEM_TITLE_LENGTH)
TRANSACTION_ID_LENGTH = 8
SIGNED = bytes((ApduTag.GENERAL_SIGNING,))
FIRST_LN_SERVICE = int(ApduTag.GET_REQUEST)
LAST_LN_SERVICE = int(ApduTag.ACTION_RESPONSE)
LAST_SN_SERVICE = int(ApduTag.INFORMATION_REPORT_REQUEST)


class CipheringKind(IdentityEnum):
    """The APDU that carries a protected one; plain where nothing does."""

    PLAIN = "plain"
    GENERAL_GLO = "general-glo"
    GENERAL_DED = "general-ded"
    GENERAL_CIPHERING = "general-ciphering"
    GLO = "glo"
    DED = "ded"


GENERAL = frozenset({CipheringKind.GENERAL_GLO, CipheringKind.GENERAL_DED})
DEDICATED = frozenset({CipheringKind.GENERAL_DED, CipheringKind.DED})
SERVICE_SPECIFIC = frozenset({CipheringKind.GLO, CipheringKind.DED})
OUTER_TAG = {
    CipheringKind.GENERAL_GLO: ApduTag.GENERAL_GLO_CIPHERING,
    CipheringKind.GENERAL_DED: ApduTag.GENERAL_DED_CIPHERING,
}


class ApduProtection(NamedTuple):
    """How one APDU is protected: an answer is protected like its request, as far as the policy leaves it open."""

    kind: CipheringKind
    control: int = 0
    signed: bool = False
    transaction_id: bytes = b""
    key_form: KeyForm = KeyForm.IDENTIFIED

    @property
    def scheme(self) -> tuple[CipheringKind, int, bool, KeyForm]:
        """What the blocks of one transfer have in common, while each has a transaction id of its own."""
        return self.kind, self.control, self.signed, self.key_form

    @property
    def flags(self) -> ProtectionFlags:
        """The protections that an APDU has this way."""
        return _FLAGS[bool(self.control & AUTHENTICATED), bool(self.control & ENCRYPTED), bool(self.signed)]


_FLAGS = {
    (
        one & ProtectionFlags.AUTHENTICATED != 0,
        one & ProtectionFlags.ENCRYPTED != 0,
        one & ProtectionFlags.SIGNED != 0,
    ): one
    for one in map(ProtectionFlags, range(8))
}
"""Whether authenticated, encrypted and signed -> the flags that say so."""

PLAIN = ApduProtection(CipheringKind.PLAIN)


def largest_plaintext(limit: int, protection: ApduProtection) -> int:
    """Octets of a plain APDU that still fit into `limit` octets when so protected; negative when nothing does."""
    transaction_id_length = len(protection.transaction_id) or TRANSACTION_ID_LENGTH
    return _largest_plaintext(limit, protection.scheme, transaction_id_length)


@lru_cache(maxsize=256)
def _largest_plaintext(limit: int, scheme: tuple[CipheringKind, int, bool, KeyForm], transaction_id_length: int) -> int:
    kind, control, signed, key_form = scheme
    if kind is CipheringKind.PLAIN:
        return limit
    head = GENERAL_HEADER if kind in GENERAL else 1
    if kind is CipheringKind.GENERAL_CIPHERING:
        key_info = key_info_length(key_form, SecuritySuite(control & SUITE_MASK))
        head = 1 + len(CipheringHeader(bytes(transaction_id_length), TITLE, TITLE).octets) + key_info
    room = largest_counted(limit - head) - overhead(control)
    if signed:
        suite = SecuritySuite(control & SUITE_MASK)
        room -= signing_overhead(suite, transaction_id_length, SYSTEM_TITLE_LENGTH, room)
    return room


def service_tag(plain: int, kind: CipheringKind) -> int:
    """The glo-* or ded-* tag of a service."""
    steps = 2 if kind is CipheringKind.DED else 1
    if plain <= LAST_SN_SERVICE:
        return plain + 32 * steps
    if FIRST_LN_SERVICE <= plain <= LAST_LN_SERVICE:
        return plain + 8 * steps
    raise LocalError(f"an APDU with tag {plain} has no service-specific ciphering")


def plain_tag(tag: int) -> int:
    """The service that a glo-* or ded-* tag promises."""
    if tag < FIRST_LN_SERVICE:
        return tag & 0x1F
    return FIRST_LN_SERVICE + (tag & 0x07)
