"""The form in which an APDU travels inside an association, and how much of it fits into what the peer takes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ami_dlms.association.general_ciphering import Header, key_info_length
from ami_dlms.association.general_signing import signing_overhead
from ami_dlms.association.message_keys import KeyForm
from ami_dlms.cursor import encode_length
from ami_dlms.enums import ApduTag
from ami_dlms.errors import LocalError
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, Demand, SecuritySuite, overhead
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH
from ami_dlms.security.suites import SUITE_MASK
from ami_dlms.transitions import Named

PROTECTION_MASK = SUITE_MASK | AUTHENTICATED | ENCRYPTED
GENERAL_HEADER = 2 + SYSTEM_TITLE_LENGTH
TITLE = bytes(SYSTEM_TITLE_LENGTH)
TRANSACTION_ID_LENGTH = 8
SIGNED = bytes((ApduTag.GENERAL_SIGNING,))
FIRST_LN_SERVICE = int(ApduTag.GET_REQUEST)
LAST_LN_SERVICE = int(ApduTag.ACTION_RESPONSE)
LAST_SN_SERVICE = int(ApduTag.INFORMATION_REPORT_REQUEST)


class Wrapping(Named):
    """How an APDU travels."""

    PLAIN = "plain"
    GENERAL_GLO = "general-glo"
    GENERAL_DED = "general-ded"
    GENERAL_CIPHERING = "general-ciphering"
    GLO = "glo"
    DED = "ded"


GENERAL = frozenset({Wrapping.GENERAL_GLO, Wrapping.GENERAL_DED})
DEDICATED = frozenset({Wrapping.GENERAL_DED, Wrapping.DED})
SERVICE_SPECIFIC = frozenset({Wrapping.GLO, Wrapping.DED})
OUTER_TAG = {Wrapping.GENERAL_GLO: ApduTag.GENERAL_GLO_CIPHERING, Wrapping.GENERAL_DED: ApduTag.GENERAL_DED_CIPHERING}


class Form(NamedTuple):
    """How one APDU is protected: an answer takes the form of its request, as far as the policy leaves it open."""

    wrapping: Wrapping
    control: int = 0
    signed: bool = False
    transaction_id: bytes = b""
    key_form: KeyForm = KeyForm.IDENTIFIED

    @property
    def way(self) -> tuple[Wrapping, int, bool, KeyForm]:
        """How it is protected: what the blocks of one transfer share, while each has a transaction id of its own."""
        return self.wrapping, self.control, self.signed, self.key_form


PLAIN = Form(Wrapping.PLAIN)


def largest_plaintext(limit: int, form: Form) -> int:
    """Octets of a plain APDU that still fit into `limit` octets in this form; negative when nothing does."""
    return _largest_plaintext(limit, form.way, len(form.transaction_id) or TRANSACTION_ID_LENGTH)


@lru_cache(maxsize=256)
def _largest_plaintext(limit: int, way: tuple[Wrapping, int, bool, KeyForm], transaction_id_length: int) -> int:
    wrapping, control, signed, key_form = way
    if wrapping is Wrapping.PLAIN:
        return limit
    head = GENERAL_HEADER if wrapping in GENERAL else 1
    if wrapping is Wrapping.GENERAL_CIPHERING:
        key_info = key_info_length(key_form, SecuritySuite(control & SUITE_MASK))
        head = 1 + len(Header(bytes(transaction_id_length), TITLE, TITLE).octets) + key_info
    room = largest_counted(limit - head) - overhead(control)
    if signed:
        suite = SecuritySuite(control & SUITE_MASK)
        room -= signing_overhead(suite, transaction_id_length, SYSTEM_TITLE_LENGTH, room)
    return room


def largest_counted(limit: int) -> int:
    """The largest n for which an A-XDR length and n octets fit into `limit` octets."""
    largest = limit - 1
    while largest > 0 and len(encode_length(largest)) + largest > limit:
        largest -= 1
    return largest


def demand_of(form: Form) -> Demand:
    """The protections of a form."""
    authenticated = Demand.AUTHENTICATED if form.control & AUTHENTICATED else Demand.NOTHING
    encrypted = Demand.ENCRYPTED if form.control & ENCRYPTED else Demand.NOTHING
    return authenticated | encrypted | (Demand.SIGNED if form.signed else Demand.NOTHING)


def service_tag(plain: int, wrapping: Wrapping) -> int:
    """The glo-* or ded-* tag of a service."""
    steps = 2 if wrapping is Wrapping.DED else 1
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
