"""The quick road of ordinary frames: general-glo or general-ded under authenticated encryption (Green Book 9.2.7.2.4).

What the general road of `protection` works out for each frame anew is worked out once an association here, and no objects
stand between octets and plaintext. `open` gives None for every other frame, a forged one included, and moves nothing: the
general road then decides, and says what is wrong.
"""

from __future__ import annotations

from hmac import compare_digest

from dlms.cursor import MAX_LENGTH_OCTETS, encode_length
from dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys
from dlms.security.aead import FULL_TAG_LENGTH, HEADER_LENGTH, SYSTEM_TITLE_LENGTH, TAG_LENGTH

HEAD = 2 + SYSTEM_TITLE_LENGTH
SMALLEST = HEADER_LENGTH + TAG_LENGTH
UNSENT = FULL_TAG_LENGTH - TAG_LENGTH
LARGEST_LENGTH_FORM = 0x80 + MAX_LENGTH_OCTETS


class Envelope:
    """Seals our frames and opens the peer's, for one pair of titles under one key."""

    __slots__ = ("_additional", "_control", "_encrypt", "_head", "_peer_head", "_peer_title", "_title", "control")

    def __init__(self, outer_tag: int, suite: int, keys: GlobalKeys, title: bytes, peer_title: bytes) -> None:
        self.control = suite | AUTHENTICATED | ENCRYPTED
        self._control = bytes((self.control,))
        self._additional = self._control + keys.authentication_key
        self._encrypt = keys.cipher.encrypt
        self._title, self._peer_title = title, peer_title
        self._head = bytes((outer_tag, SYSTEM_TITLE_LENGTH)) + title
        self._peer_head = bytes((outer_tag, SYSTEM_TITLE_LENGTH)) + peer_title

    def seal(self, invocation_counter: int, plaintext: bytes) -> bytes:
        """The whole protected APDU."""
        counter = invocation_counter.to_bytes(4, "big")
        sealed = self._encrypt(self._title + counter, plaintext, self._additional)
        length = encode_length(HEADER_LENGTH + len(sealed) - UNSENT)
        return self._head + length + self._control + counter + sealed[:-UNSENT]

    def open(self, octets: bytes) -> tuple[int, bytes] | None:
        """Invocation counter and plaintext of a protected APDU whose tag holds; None leaves it to the general road."""
        size = len(octets)
        if size <= HEAD + SMALLEST or not octets.startswith(self._peer_head):
            return None
        start, length = HEAD + 1, octets[HEAD]
        if length > LARGEST_LENGTH_FORM:
            return None
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(octets[HEAD + 1 : start], "big")
        if start + length != size or length < SMALLEST or octets[start] != self.control:
            return None
        counter = octets[start + 1 : start + HEADER_LENGTH]
        iv = self._peer_title + counter
        plaintext = self._encrypt(iv, octets[start + HEADER_LENGTH : -TAG_LENGTH], None)[:-FULL_TAG_LENGTH]
        tag = self._encrypt(iv, plaintext, self._additional)[-FULL_TAG_LENGTH:-UNSENT]
        return (int.from_bytes(counter, "big"), plaintext) if compare_digest(tag, octets[-TAG_LENGTH:]) else None
