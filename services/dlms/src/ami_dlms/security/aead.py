"""AES-GCM as DLMS uses it (Green Book 9.2.3.3.7): IV = system title || invocation counter, 12-octet tag.

Additional data is SC || AK, and for authentication alone SC || AK || plaintext; in general-ciphering the fields of its
header (`context`) follow AK. The library's AESGCM can't check a short tag, so the stream is run twice: encrypting the
ciphertext gives the plaintext, encrypting the plaintext gives the tag. The plaintext leaves this module only after the
tags agreed in constant time. Compression (V.44) is declined in both directions.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security.keys import GlobalKeys
from ami_dlms.security.suites import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED

SYSTEM_TITLE_LENGTH = 8
HEADER_LENGTH = 5
TAG_LENGTH = 12
FULL_TAG_LENGTH = 16
UNSENT = FULL_TAG_LENGTH - TAG_LENGTH
_new_tuple, _number = tuple.__new__, int.from_bytes


class Unprotected(NamedTuple):
    """What a verified ciphered content held."""

    control: int
    invocation_counter: int
    plaintext: bytes


def overhead(control: int) -> int:
    """Octets that protection adds to a plaintext: header, and a tag when authenticated."""
    return HEADER_LENGTH + (TAG_LENGTH if control & AUTHENTICATED else 0)


def protect(
    control: int, keys: GlobalKeys, system_title: bytes, invocation_counter: int, plaintext: bytes, context: bytes = b""
) -> bytes:
    """Security control || invocation counter || protected octets, by the bits of the security control octet."""
    cipher = keys.cipher if control < BROADCAST else _other_cipher(control, keys, LocalError)
    if len(system_title) != SYSTEM_TITLE_LENGTH:
        raise _wrong_title(system_title)
    counter = invocation_counter.to_bytes(4, "big")
    header = bytes((control,)) + counter
    iv = system_title + counter
    if control & ENCRYPTED:
        if control & AUTHENTICATED:
            sealed = cipher.encrypt(iv, plaintext, header[:1] + keys.authentication_key + context)
            return header + sealed[:-UNSENT]
        return header + cipher.encrypt(iv, plaintext, None)[:-FULL_TAG_LENGTH]
    if control & AUTHENTICATED:
        return header + plaintext + _tag(cipher, control, keys, iv, context + plaintext)
    raise LocalError("a security control that neither authenticates nor encrypts protects nothing")


def unprotect(keys: GlobalKeys, system_title: bytes, content: bytes, context: bytes = b"") -> Unprotected:
    """Verify and decrypt what `protect` makes; SecurityError for anything else, with no hint on what differed."""
    if len(content) < HEADER_LENGTH:
        raise SecurityError(f"a ciphered content has at least {HEADER_LENGTH} octets, got {len(content)}")
    if len(system_title) != SYSTEM_TITLE_LENGTH:
        raise _wrong_title(system_title)
    control = content[0]
    counter = content[1:HEADER_LENGTH]
    iv = system_title + counter
    encrypt = (keys.cipher if control < BROADCAST else _other_cipher(control, keys, SecurityError)).encrypt
    if control & AUTHENTICATED:
        if len(content) < HEADER_LENGTH + TAG_LENGTH:
            raise SecurityError(
                f"an authenticated content has at least {HEADER_LENGTH + TAG_LENGTH} octets, got {len(content)}"
            )
        additional = content[:1] + keys.authentication_key + context
        plaintext = content[HEADER_LENGTH:-TAG_LENGTH]
        if control & ENCRYPTED:
            plaintext = encrypt(iv, plaintext, None)[:-FULL_TAG_LENGTH]
            expected = encrypt(iv, plaintext, additional)[-FULL_TAG_LENGTH:-UNSENT]
        else:
            expected = encrypt(iv, b"", additional + plaintext)[:TAG_LENGTH]
        if not compare_digest(content[-TAG_LENGTH:], expected):
            raise SecurityError(
                "the authentication tag does not hold: wrong key, wrong system title or altered content"
            )
    elif control & ENCRYPTED:
        plaintext = encrypt(iv, content[HEADER_LENGTH:], None)[:-FULL_TAG_LENGTH]
    else:
        raise SecurityError(f"security control {control:#04x} neither authenticates nor encrypts")
    return _new_tuple(Unprotected, (control, _number(counter, "big"), plaintext))


def gmac(control: int, keys: GlobalKeys, iv: bytes, message: bytes) -> bytes:
    """The 12-octet tag over SC || AK || message under the unicast key, with nothing encrypted."""
    return _tag(keys.cipher, control, keys, iv, message)


def _tag(cipher: AESGCM, control: int, keys: GlobalKeys, iv: bytes, message: bytes) -> bytes:
    additional = bytes((control,)) + keys.authentication_key + message
    return cipher.encrypt(iv, b"", additional)[:TAG_LENGTH]


def _other_cipher(control: int, keys: GlobalKeys, error: type[LocalError | SecurityError]) -> AESGCM:
    """The cipher of a control octet that has one of the two upper bits."""
    if control & COMPRESSED:
        raise error(f"security control {control:#04x} asks for compression (V.44), which is not supported")
    if keys.broadcast_cipher is None:
        raise error(f"security control {control:#04x} asks for a broadcast key, and there is none")
    return keys.broadcast_cipher


def _wrong_title(system_title: bytes) -> SecurityError:
    return SecurityError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, got {len(system_title)}")
