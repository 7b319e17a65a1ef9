"""The fast path of ciphering: general-glo or general-ded under authenticated encryption (Green Book 9.2.7.2.4).

What `association_protection` works out for each frame anew is worked out once per association here, and no objects come
between octets and plaintext. `open` gives None for every other frame, a forged or repeated one included, and changes
nothing: the general path then decides, and says what is wrong.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NamedTuple

from ami_dlms.association.protection.apdu_protection import OUTER_TAG, SIGNED, ApduProtection, CipheringKind
from ami_dlms.association.settings import Security
from ami_dlms.cursor import MAX_LENGTH_OCTETS, encode_length
from ami_dlms.enums import ApduTag
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, ReceiveCounter, SendCounter
from ami_dlms.security.aead import FULL_TAG_LENGTH, HEADER_LENGTH, SYSTEM_TITLE_LENGTH, TAG_LENGTH, UNSENT

HEAD = 2 + SYSTEM_TITLE_LENGTH
SMALLEST = HEADER_LENGTH + TAG_LENGTH
LONG_FORM = 0x80
LARGEST_LENGTH_FORM = LONG_FORM + MAX_LENGTH_OCTETS
INITIATES = {
    bytes((ApduTag.GLO_INITIATE_REQUEST,)): bytes((ApduTag.INITIATE_REQUEST,)),
    bytes((ApduTag.GLO_INITIATE_RESPONSE,)): bytes((ApduTag.INITIATE_RESPONSE,)),
}
SHORT_LENGTHS = [bytes((size,)) for size in range(LONG_FORM)]
# Octets that a frame has beside its plaintext, at most.
MARGIN = HEAD + 1 + MAX_LENGTH_OCTETS + SMALLEST
# Where plaintext, tag and what is sent of them lie in what AESGCM gives, and the tag in a frame.
TEXT, SENT, SENT_TAG = slice(-FULL_TAG_LENGTH), slice(-UNSENT), slice(-FULL_TAG_LENGTH, -UNSENT)
TAG = slice(-TAG_LENGTH, None)
_number = int.from_bytes


class FrameKeys(NamedTuple):
    """The key of one kind of frame, and the counters of both directions that belong to it."""

    keys: GlobalKeys
    send_counter: SendCounter
    receive_counter: ReceiveCounter


class FastCiphering:
    """Seals our frames and opens the peer's, for one pair of titles under one key, with the counters of both."""

    __slots__ = (
        "_additional",
        "_control",
        "_encrypt",
        "_head",
        "_peer_head",
        "_peer_title",
        "_receive_counter",
        "_send_counter",
        "_title",
        "control",
        "protection",
    )

    def __init__(self, kind: CipheringKind, security: Security, peer_title: bytes, frame_keys: FrameKeys) -> None:
        keys, self._send_counter, self._receive_counter = frame_keys
        self.control = security.suite | AUTHENTICATED | ENCRYPTED
        self.protection = ApduProtection(kind, self.control)
        self._control = bytes((self.control,))
        self._additional = self._control + keys.authentication_key
        self._encrypt = keys.cipher.encrypt
        self._title, self._peer_title = security.system_title, peer_title
        head = bytes((OUTER_TAG[kind], SYSTEM_TITLE_LENGTH))
        self._head, self._peer_head = head + self._title, head + peer_title

    @property
    def under_global_key(self) -> bool:
        """Whether no dedicated key counts."""
        return self.protection.kind is CipheringKind.GENERAL_GLO

    def seal(self, plaintext: bytes) -> bytes:
        """The whole protected APDU, with a new counter value."""
        counter = self._send_counter.take().to_bytes(4, "big")
        sealed = self._encrypt(self._title + counter, plaintext, self._additional)
        size = HEADER_LENGTH - UNSENT + len(sealed)
        length = SHORT_LENGTHS[size] if size < LONG_FORM else encode_length(size)
        return self._head + length + self._control + counter + sealed[SENT]

    def open(self, octets: bytes) -> bytes | None:
        """The plaintext of a protected APDU whose tag holds and whose counter is fresh, which then counts as used."""
        size = len(octets)
        if size <= HEAD + SMALLEST or not octets.startswith(self._peer_head):
            return None
        start, length = HEAD + 1, octets[HEAD]
        if length & LONG_FORM:
            if length > LARGEST_LENGTH_FORM:
                return None
            start += length & 0x7F
            length = int.from_bytes(octets[HEAD + 1 : start], "big")
        if start + length != size or length < SMALLEST or octets[start] != self.control:
            return None
        # the same as `_deciphered`, without a call: every frame of an association comes here
        body = start + HEADER_LENGTH
        counter = octets[start + 1 : body]
        iv = self._peer_title + counter
        encrypt = self._encrypt
        plaintext = encrypt(iv, octets[body:-TAG_LENGTH], None)[TEXT]
        if not compare_digest(encrypt(iv, plaintext, self._additional)[SENT_TAG], octets[TAG]):
            return None
        if plaintext[:1] == SIGNED or not self._receive_counter.accepts(_number(counter, "big")):
            return None
        return plaintext

    def open_initiate(self, octets: bytes) -> bytes | None:
        """The same for a glo-initiateRequest or -Response, as AARQ, AARE, RLRQ and RLRE carry it; its length is short."""
        size, held = len(octets) - 2, INITIATES.get(octets[:1])
        if not self.under_global_key or held is None or not SMALLEST < size < LONG_FORM:
            return None
        if octets[1] != size or octets[2] != self.control:
            return None
        plaintext, counter = self._deciphered(octets, 2)
        fresh = plaintext is not None and plaintext[:1] == held and self._receive_counter.accepts(counter)
        return plaintext if fresh else None

    def _deciphered(self, octets: bytes, start: int) -> tuple[bytes | None, int]:
        """Plaintext and counter of the content from `start` to the end; None for the plaintext when the tag does not hold."""
        body = start + HEADER_LENGTH
        counter = octets[start + 1 : body]
        iv = self._peer_title + counter
        encrypt = self._encrypt
        plaintext = encrypt(iv, octets[body:-TAG_LENGTH], None)[TEXT]
        holds = compare_digest(encrypt(iv, plaintext, self._additional)[SENT_TAG], octets[TAG])
        return plaintext if holds else None, _number(counter, "big")
