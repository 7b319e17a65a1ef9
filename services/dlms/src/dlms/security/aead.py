"""AES-GCM as DLMS uses it (Green Book 9.2.3.3.7): IV = system title || invocation counter, 12-octet tag.

Additional data is SC || AK, and for authentication alone SC || AK || plaintext. The library's AESGCM can't check a short
tag, so the stream is run twice: encrypting the ciphertext gives the plaintext, encrypting the plaintext gives the tag.
The plaintext leaves this module only after the tags agreed in constant time.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NamedTuple

from dlms.errors import LocalError, SecurityError
from dlms.security.keys import GlobalKeys
from dlms.security.suites import AUTHENTICATED, ENCRYPTED

SYSTEM_TITLE_LENGTH = 8
HEADER_LENGTH = 5
TAG_LENGTH = 12
FULL_TAG_LENGTH = 16


class Unprotected(NamedTuple):
    """What a verified ciphered content held."""

    control: int
    invocation_counter: int
    plaintext: bytes


def overhead(control: int) -> int:
    """Octets that protection adds to a plaintext: header, and a tag when authenticated."""
    return HEADER_LENGTH + (TAG_LENGTH if control & AUTHENTICATED else 0)


def protect(control: int, keys: GlobalKeys, system_title: bytes, invocation_counter: int, plaintext: bytes) -> bytes:
    """Security control || invocation counter || protected octets, by the bits of the security control octet."""
    counter = invocation_counter.to_bytes(4, "big")
    header = bytes((control,)) + counter
    iv = _iv(system_title, counter)
    if control & ENCRYPTED:
        if control & AUTHENTICATED:
            sealed = keys.cipher.encrypt(iv, plaintext, header[:1] + keys.authentication_key)
            return header + sealed[: TAG_LENGTH - FULL_TAG_LENGTH]
        return header + keys.cipher.encrypt(iv, plaintext, None)[:-FULL_TAG_LENGTH]
    if control & AUTHENTICATED:
        return header + plaintext + gmac(control, keys, iv, plaintext)
    raise LocalError("a security control that neither authenticates nor encrypts protects nothing")


def unprotect(keys: GlobalKeys, system_title: bytes, content: bytes) -> Unprotected:
    """Verify and decrypt what `protect` makes; SecurityError for anything else, with no hint on what differed."""
    if len(content) < HEADER_LENGTH:
        raise SecurityError(f"a ciphered content has at least {HEADER_LENGTH} octets, got {len(content)}")
    control = content[0]
    counter = content[1:HEADER_LENGTH]
    iv = _iv(system_title, counter)
    if control & AUTHENTICATED:
        if len(content) < HEADER_LENGTH + TAG_LENGTH:
            raise SecurityError(
                f"an authenticated content has at least {HEADER_LENGTH + TAG_LENGTH} octets, got {len(content)}"
            )
        body, tag = content[HEADER_LENGTH:-TAG_LENGTH], content[-TAG_LENGTH:]
        plaintext, expected = _open(control, keys, iv, body)
        if not compare_digest(tag, expected):
            raise SecurityError(
                "the authentication tag does not hold: wrong key, wrong system title or altered content"
            )
    elif control & ENCRYPTED:
        plaintext = keys.cipher.encrypt(iv, content[HEADER_LENGTH:], None)[:-FULL_TAG_LENGTH]
    else:
        raise SecurityError(f"security control {control:#04x} neither authenticates nor encrypts")
    return Unprotected(control, int.from_bytes(counter, "big"), plaintext)


def gmac(control: int, keys: GlobalKeys, iv: bytes, message: bytes) -> bytes:
    """The 12-octet tag over SC || AK || message, with nothing encrypted."""
    additional = bytes((control,)) + keys.authentication_key + message
    return keys.cipher.encrypt(iv, b"", additional)[:TAG_LENGTH]


def _open(control: int, keys: GlobalKeys, iv: bytes, body: bytes) -> tuple[bytes, bytes]:
    if not control & ENCRYPTED:
        return body, gmac(control, keys, iv, body)
    plaintext = keys.cipher.encrypt(iv, body, None)[:-FULL_TAG_LENGTH]
    sealed = keys.cipher.encrypt(iv, plaintext, bytes((control,)) + keys.authentication_key)
    return plaintext, sealed[-FULL_TAG_LENGTH : TAG_LENGTH - FULL_TAG_LENGTH]


def _iv(system_title: bytes, counter: bytes) -> bytes:
    if len(system_title) != SYSTEM_TITLE_LENGTH:
        raise SecurityError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, got {len(system_title)}")
    return system_title + counter
