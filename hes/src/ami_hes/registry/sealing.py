"""Secrets sealed for the store: AES-256-GCM (NIST SP 800-38D) under a master key, bound to their device and purpose.

What is sealed for one device or purpose is not opened for another: both are the additional data. A nonce is 96 random bits,
so a master key is good for some 2**32 seals (section 8.3), which is more than a million meters renewed a thousand times.
"""

from collections.abc import Callable, Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ami_hes.registry.master_keys import SETTING, MasterKey, MasterKeys
from ami_hes.store import Sealed
from ami_process.settings import SettingsError

NONCE_OCTETS = 12
_VERSION = b"ami-hes sealed 1"


class CannotOpen(Exception):
    """What is sealed can't be opened; the text says which secret of which device, and why."""


class Sealer:
    """Seals and opens; asks for a master key once."""

    def __init__(self, masters: MasterKeys, random_bytes: Callable[[int], bytes]) -> None:
        self.masters = masters
        self._random_bytes = random_bytes
        self._current: MasterKey | None = None
        self._ciphers: dict[str, AESGCM] = {}

    def seal(self, secret: bytes, device: str, purpose: str) -> Sealed:
        """Raises SettingsError where there is no usable master key."""
        if self._current is None:
            self._current = self.masters.current()
        nonce = self._random_bytes(NONCE_OCTETS)
        sealed = self._cipher(self._current).encrypt(nonce, secret, _bound(device, purpose))
        return Sealed(purpose, self._current.id, nonce + sealed)

    def open(self, sealed: Sealed, device: str) -> bytes:
        """Raises CannotOpen."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            master = self.masters.find(sealed.key_id)
            if master is None:
                raise CannotOpen(f"{sealed.purpose} of {device}: its master key {sealed.key_id} is not there")
            cipher = self._cipher(master)
        nonce, octets = sealed.octets[:NONCE_OCTETS], sealed.octets[NONCE_OCTETS:]
        try:
            return cipher.decrypt(nonce, octets, _bound(device, sealed.purpose))
        except (InvalidTag, ValueError):
            raise CannotOpen(f"{sealed.purpose} of {device}: it is not what was sealed") from None

    def demand(self, key_ids: Iterable[str]) -> None:
        """Raises SettingsError unless all of these master keys are there."""
        for key_id in sorted(set(key_ids)):
            if self.masters.find(key_id) is None:
                raise SettingsError(
                    f"{SETTING}: the keys of meters in the store are sealed by the master key {key_id}, and "
                    f"{self.masters.place} does not hold it: bring that key back, since without it those keys are lost"
                )

    def _cipher(self, master: MasterKey) -> AESGCM:
        return self._ciphers.setdefault(master.id, AESGCM(master.octets))


def _bound(device: str, purpose: str) -> bytes:
    return b"\0".join((_VERSION, device.encode(), purpose.encode()))
