"""Key transfer (Green Book 9.2.3.3.8, RFC 3394): a key wrapped under the master key, which its receiver can check."""

from __future__ import annotations

from collections.abc import Container

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security.keys import KEY_LENGTHS

CHECK_LENGTH = 8
SHIPPED_LENGTHS = (*KEY_LENGTHS, 48)
"""Octets of what a manufacturer ships wrapped: private keys of P-384 as well."""


def wrap_key(master_key: bytes, key: bytes, lengths: Container[int] = KEY_LENGTHS) -> bytes:
    """A key of 16 or 32 octets, or of these lengths, wrapped: 8 octets longer."""
    if len(master_key) not in KEY_LENGTHS:
        raise LocalError(f"a master key of {len(master_key)} octets, wanted 16 or 32")
    if len(key) not in lengths:
        raise LocalError(f"a key of {len(key)} octets can't be wrapped here")
    return aes_key_wrap(master_key, key)


def unwrap_key(master_key: bytes, wrapped: bytes, lengths: Container[int] = KEY_LENGTHS) -> bytes:
    """The key that a peer wrapped; SecurityError when it was altered or wrapped under another master key."""
    if len(master_key) not in KEY_LENGTHS:
        raise LocalError(f"a master key of {len(master_key)} octets, wanted 16 or 32")
    if len(wrapped) - CHECK_LENGTH not in lengths:
        raise SecurityError(f"a wrapped key of {len(wrapped)} octets, which is no length of one")
    try:
        return aes_key_unwrap(master_key, wrapped)
    except InvalidUnwrap:
        raise SecurityError("a wrapped key does not open: wrong master key or altered") from None
