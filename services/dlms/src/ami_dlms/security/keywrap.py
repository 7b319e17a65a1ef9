"""Key transfer (Green Book 9.2.3.3.8, RFC 3394): a key wrapped under the master key, which its receiver can check."""

from __future__ import annotations

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security.keys import KEY_LENGTHS

CHECK_LENGTH = 8


def wrap_key(master_key: bytes, key: bytes) -> bytes:
    """A key of 16 or 32 octets, wrapped: 8 octets longer."""
    for length in (len(master_key), len(key)):
        if length not in KEY_LENGTHS:
            raise LocalError(f"a key of {length} octets, wanted 16 or 32")
    return aes_key_wrap(master_key, key)


def unwrap_key(master_key: bytes, wrapped: bytes) -> bytes:
    """The key that a peer wrapped; SecurityError when it was altered or wrapped under another master key."""
    if len(master_key) not in KEY_LENGTHS:
        raise LocalError(f"a master key of {len(master_key)} octets, wanted 16 or 32")
    if len(wrapped) - CHECK_LENGTH not in KEY_LENGTHS:
        raise SecurityError(f"a wrapped key of {len(wrapped)} octets, wanted 24 or 40")
    try:
        return aes_key_unwrap(master_key, wrapped)
    except InvalidUnwrap:
        raise SecurityError("a wrapped key does not open: wrong master key or altered") from None
