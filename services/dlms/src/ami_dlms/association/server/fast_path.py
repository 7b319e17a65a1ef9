"""The fast path of a server: GET of one attribute without selection, which the client may read without further protection.

Everything is looked at before anything moves. What is not exactly that gives None, and the general path decides from the
beginning, between request and answer as well. Where nothing is ciphered a request is taken straight from its octets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from struct import error as StructError

from ami_dlms.apdu.fast_get import GET_REQUEST_NORMAL, KNOWN_DESCRIPTORS, REQUEST_SIZE, asked_in, response_with
from ami_dlms.association.access_rights import AccessRights
from ami_dlms.association.events import Answer, Get
from ami_dlms.association.protection.apdu_protection import PLAIN, largest_plaintext
from ami_dlms.association.protection.association_protection import AssociationProtection
from ami_dlms.association.protection.fast_ciphering import FastCiphering
from ami_dlms.association.server.access_control import ALL_BUT_WRITE, READ
from ami_dlms.association.server.requests import PendingGet, PendingRequest
from ami_dlms.association.settings import AssociationProfile
from ami_dlms.data import Data
from ami_dlms.enums import Conformance
from ami_dlms.security import ProtectionFlags

AFTER_INVOKE_ID = 3
ANY_INVOKE_ID = b"\0"


class FastPath:
    """Plain GETs of one open association: opening its frames, and writing its responses."""

    __slots__ = ("_access", "_room", "answer_protection", "open", "request_protection", "seal")

    def __init__(
        self,
        access: AccessRights | None,
        limit: int,
        protection: AssociationProtection | None,
        ciphering: FastCiphering | None,
    ) -> None:
        self._access = access
        self.answer_protection, self.request_protection = PLAIN, ProtectionFlags.NOTHING
        self.open: Callable[[bytes], bytes | None] = _plain_request
        self.seal: Callable[[bytes], bytes] = bytes
        if protection is not None and ciphering is not None:
            answer_protection = protection.answer_protection(ciphering.protection)
            self.answer_protection, self.request_protection = answer_protection, ciphering.protection.flags
            self.open, self.seal = ciphering.open, partial(protection.protect, protection=answer_protection)
            if answer_protection == ciphering.protection:
                self.seal = ciphering.seal
        self._room = largest_plaintext(limit, self.answer_protection)

    def granted(self, plaintext: bytes) -> tuple[Get] | None:
        """The item of a plain GET that is granted."""
        if len(plaintext) != REQUEST_SIZE or plaintext[:2] != GET_REQUEST_NORMAL or self._access is None:
            return None
        items = _items(plaintext[AFTER_INVOKE_ID:])
        allowed = None if items is None else self._access.attribute(items[0].descriptor)
        return items if allowed is not None and int(allowed) & ALL_BUT_WRITE == READ else None

    def response(self, pending: PendingRequest, answer: Answer) -> bytes | None:
        """The plain response when the answer is a value that fits into one APDU."""
        if type(pending) is not PendingGet or pending.answer_protection is not self.answer_protection:
            return None
        results = answer.results
        if len(results) != 1 or type(results[0]) is not Data:
            return None
        try:
            whole = response_with(pending.key.invoke_id_and_priority, results[0])
        except (StructError, OverflowError):
            return None
        return whole if len(whole) <= self._room else None


def _plain_request(octets: bytes) -> bytes | None:
    return octets if octets[:2] == GET_REQUEST_NORMAL else None


@lru_cache(maxsize=KNOWN_DESCRIPTORS)
def _items(octets: bytes) -> tuple[Get] | None:
    """By what follows the invoke id: clients ask for the same attributes again and again."""
    request = asked_in(GET_REQUEST_NORMAL + ANY_INVOKE_ID + octets)
    return None if request is None else (Get(request[1]),)


def fast_path(
    profile: AssociationProfile, protection: AssociationProtection | None, conformance: Conformance, limit: int
) -> FastPath | None:
    """The fast path of an association whose client takes `limit` octets; None where frames need the general path."""
    if not profile.fast_path:
        return None
    access = profile.access if profile.short_names is None and conformance & Conformance.GET else None
    if protection is None or not protection.security.ciphered:
        return None if access is None else FastPath(access, limit, None, None)
    return None if protection.fast is None else FastPath(access, limit, protection, protection.fast)
