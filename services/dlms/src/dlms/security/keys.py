"""Symmetric keys of one association: the global pair, or a dedicated key with the same authentication key.

Keys appear in no repr and in no error text. The AES-GCM object is made once per key, because making it costs more than using it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dlms.errors import LocalError

KEY_LENGTHS = (16, 32)


@dataclass(frozen=True, slots=True)
class GlobalKeys:
    """Global unicast encryption key and authentication key, 16 octets each (32 in suite 2)."""

    encryption_key: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)
    cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.encryption_key) not in KEY_LENGTHS:
            raise LocalError(f"encryption key of {len(self.encryption_key)} octets, wanted 16 or 32")
        if len(self.authentication_key) != len(self.encryption_key):
            raise LocalError(
                f"authentication key of {len(self.authentication_key)} octets, wanted {len(self.encryption_key)}"
            )
        object.__setattr__(self, "cipher", AESGCM(self.encryption_key))

    def with_encryption_key(self, encryption_key: bytes) -> GlobalKeys:
        """The same authentication key with another encryption key: how a dedicated key is used."""
        return GlobalKeys(encryption_key, self.authentication_key)
