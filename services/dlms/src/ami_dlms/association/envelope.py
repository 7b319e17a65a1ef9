"""The quick road of ordinary frames: general-glo or general-ded under authenticated encryption (Green Book 9.2.7.2.4).

What the general road of `protection` works out for each frame anew is worked out once an association here, and no objects
stand between octets and plaintext. `open` gives None for every other frame, a forged or repeated one included, and moves
nothing: the general road then decides, and says what is wrong.
"""

from __future__ import annotations

from hmac import compare_digest

from ami_dlms.cursor import MAX_LENGTH_OCTETS, encode_length
from ami_dlms.enums import ApduTag
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, ReceiveCounter, SendCounter
from ami_dlms.security.aead import FULL_TAG_LENGTH, HEADER_LENGTH, SYSTEM_TITLE_LENGTH, TAG_LENGTH, UNSENT

HEAD = 2 + SYSTEM_TITLE_LENGTH
SMALLEST = HEADER_LENGTH + TAG_LENGTH
LONG_FORM = 0x80
LARGEST_LENGTH_FORM = LONG_FORM + MAX_LENGTH_OCTETS
SHORT_LENGTHS = [bytes((size,)) for size in range(LONG_FORM)]
# Octets that a frame has beside its plaintext, at most.
MARGIN = HEAD + 1 + MAX_LENGTH_OCTETS + SMALLEST
# Where plaintext, tag and what is sent of them lie in what AESGCM gives, and the tag in a frame.
TEXT, SENT, SENT_TAG = slice(-FULL_TAG_LENGTH), slice(-UNSENT), slice(-FULL_TAG_LENGTH, -UNSENT)
TAG = slice(-TAG_LENGTH, None)
_number = int.from_bytes
SIGNED = bytes((ApduTag.GENERAL_SIGNING,))


class Envelope:
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
    )

    def __init__(
        self,
        outer_tag: int,
        suite: int,
        keys: GlobalKeys,
        title: bytes,
        peer_title: bytes,
        send_counter: SendCounter,
        receive_counter: ReceiveCounter,
    ) -> None:
        self.control = suite | AUTHENTICATED | ENCRYPTED
        self._control = bytes((self.control,))
        self._additional = self._control + keys.authentication_key
        self._encrypt = keys.cipher.encrypt
        self._title, self._peer_title = title, peer_title
        self._head = bytes((outer_tag, SYSTEM_TITLE_LENGTH)) + title
        self._peer_head = bytes((outer_tag, SYSTEM_TITLE_LENGTH)) + peer_title
        self._send_counter, self._receive_counter = send_counter, receive_counter

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
        body = start + HEADER_LENGTH
        counter = octets[start + 1 : body]
        iv = self._peer_title + counter
        encrypt = self._encrypt
        plaintext = encrypt(iv, octets[body:-TAG_LENGTH], None)[TEXT]
        if not compare_digest(encrypt(iv, plaintext, self._additional)[SENT_TAG], octets[TAG]):
            return None
        fresh = plaintext[:1] != SIGNED and self._receive_counter.accepts(_number(counter, "big"))
        return plaintext if fresh else None
